"""Choosing a backend and a device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.models import GPT, MLP, Bigram
from namegen_ext.training import BackendError, build_optimizer, choose_backend, choose_device
from namegen_ext.training.backends import Backend, build_steps
from namegen_ext.training.engine_steps import EngineSteps
from namegen_ext.training.steps import AutogradSteps
from namegen_ext.training.whole_set_steps import WholeSetSteps


def sgd(model: nn.Module, **options: Any) -> torch.optim.Optimizer:
    return build_optimizer("sgd", model.parameters(), learning_rate=0.1, **options)


def test_nothing_asked_for_is_stock() -> None:
    model = MLP(9)
    assert choose_backend(None, model, sgd(model)).name == "stock"
    assert type(model.net) is nn.Sequential


def test_fused_layers() -> None:
    model = MLP(9)
    backend = choose_backend("layers", model, sgd(model))
    assert backend.name == "fused-layers"
    assert "embedding_concat_linear" in backend.note
    assert type(model.net) is not nn.Sequential


@pytest.mark.parametrize("fused", ["auto", "step"])
def test_whole_steps(fused: str) -> None:
    model = MLP(9)
    optimizer = sgd(model)
    backend = choose_backend(fused, model, optimizer)
    assert backend == Backend("fused-step")
    tokens, targets = torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    assert isinstance(build_steps(backend, model, optimizer, tokens, targets), EngineSteps)
    assert type(model.net) is nn.Sequential  # left as it was


def test_where_the_engine_does_not_cover_the_optimizer() -> None:
    model = MLP(9)
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(
        BackendError, match="got 'step', but the step engine does not cover this optimizer: it is Adam"
    ):
        choose_backend("step", model, optimizer)
    backend = choose_backend("auto", model, optimizer)
    assert backend.name == "fused-layers"
    assert backend.note.splitlines()[0].startswith(
        "the step engine does not cover this optimizer: it is Adam"
    )


def test_a_model_with_nothing_to_fuse() -> None:
    model = nn.Sequential(nn.PReLU(4), nn.ReLU())
    backend = choose_backend("auto", model, sgd(model))
    assert backend.name == "stock"
    assert "stock" in backend.note
    assert type(model) is nn.Sequential  # left as it was
    with pytest.raises(BackendError, match="no layer of the model can be fused") as caught:
        choose_backend("layers", model, sgd(model))
    assert "\n" not in str(caught.value)


def test_an_unknown_backend_is_named() -> None:
    model = MLP(9)
    with pytest.raises(ValueError, match="auto, layers, step, off, but got 'fast'"):
        choose_backend("fast", model, sgd(model))


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


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("kind", ["bigram", "mlp"])
def test_a_whole_set_is_trained_by_its_distinct_contexts(kind: str, optimizer: str) -> None:
    def build() -> nn.Module:
        generator = torch.Generator().manual_seed(3)
        if kind == "bigram":
            return Bigram(9, generator=generator).double()
        return MLP(9, 2, 3, 5, batch_norm=False, generator=generator).double()

    ours, all_rows = build(), build()
    draw = torch.Generator().manual_seed(4)
    tokens = torch.randint(9, (500, ours.block_size), generator=draw)  # type: ignore[arg-type]
    targets = torch.randint(7, (500,), generator=draw)  # the last symbols follow nothing
    rates = [0.1] * 5
    indices = torch.arange(500).expand(5, 500)
    runners = []
    for model in (ours, all_rows):
        update = build_optimizer(optimizer, model.parameters(), learning_rate=0.1, momentum=0.0)
        runners.append((model, update))
    found = build_steps(Backend("stock"), *runners[0], tokens, targets, full_batch=True)
    assert isinstance(found, WholeSetSteps)
    assert len(found.contexts) <= 81
    losses = found.run(indices, rates)
    expected = AutogradSteps(*runners[1], tokens, targets).run(indices, rates)
    # Sums of 500 terms of order 1 in another order, in float64; the losses come as float32.
    torch.testing.assert_close(losses, expected.float(), rtol=1e-6, atol=0)
    for own, other in zip(ours.parameters(), all_rows.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-10 if optimizer == "sgd" else 1e-6)


def test_rows_that_depend_on_each_other_are_all_computed() -> None:
    tokens, targets = torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    for model in (MLP(9), GPT(9, 3, 8, 1, 2)):
        steps = build_steps(Backend("stock"), model, sgd(model), tokens, targets, full_batch=True)
        assert isinstance(steps, AutogradSteps)
