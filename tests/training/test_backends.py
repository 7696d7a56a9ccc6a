"""Choosing a backend and a device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from namegen_ext.models import MLP
from namegen_ext.training import BackendError, choose_backend, choose_device


def test_nothing_asked_for_is_stock() -> None:
    model = MLP(9)
    assert choose_backend(None, model).name == "stock"
    assert type(model.net) is nn.Sequential


@pytest.mark.parametrize("fused", ["auto", "layers"])
def test_fused_layers(fused: str) -> None:
    model = MLP(9)
    backend = choose_backend(fused, model)
    assert backend.name == "fused-layers"
    assert "embedding_concat_linear" in backend.note
    assert type(model.net) is not nn.Sequential


def test_the_step_engine_is_not_there() -> None:
    with pytest.raises(BackendError, match="the native step engine is not part of this version"):
        choose_backend("step", MLP(9))


def test_a_model_with_nothing_to_fuse() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    backend = choose_backend("auto", model)
    assert backend.name == "stock"
    assert "stock" in backend.note
    assert type(model) is nn.Sequential  # left as it was
    with pytest.raises(BackendError, match="no layer of the model can be fused") as caught:
        choose_backend("layers", model)
    assert "\n" not in str(caught.value)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match="auto, layers, step, but got 'fast'"):
        choose_backend("fast", MLP(9))


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == "cpu"
    with pytest.raises(BackendError, match="got 'cuda', but "):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(name).type for name in ("cpu", "auto", "cuda")] == ["cpu", "cuda", "cuda"]
    with pytest.raises(ValueError, match="cpu, cuda, auto, but got 'tpu'"):
        choose_device("tpu")
