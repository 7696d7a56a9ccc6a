"""What is told where a model runs on the stock layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from namegen_ext.models import GPT
from namegen_ext.training import BackendError, choose_backend
from namegen_ext.training.backends import Backend


class Deep(nn.Module):
    """Layers that only a hand-written forward calls."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(27, 8)
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(26)])


def test_a_deep_model_is_told_about_in_few_words() -> None:
    model = Deep()
    optimizer = torch.optim.AdamW(model.parameters())
    backend = choose_backend("auto", model, optimizer)
    assert backend.name == "stock"
    assert "embedding: it is called by Deep" in backend.note
    # One embedding and 26 linear layers, less the three that are named.
    assert "and so on for 24 more" in backend.note
    with pytest.raises(BackendError, match="and so on for 24 more"):
        choose_backend("layers", model, optimizer)


def test_the_fused_layers_of_a_deep_model_share_a_line() -> None:
    model = GPT(27, num_layers=6, dropout=0.1)
    backend = choose_backend("auto", model, torch.optim.AdamW(model.parameters()))
    assert backend.name == "fused-layers"
    line = "blocks.0.attention.projections.0 to blocks.5.network.2 (24 sites): Linear -> linear"
    assert line in backend.note
    assert len(backend.note.splitlines()) <= 9
    assert backend.note.startswith(
        "the step engine does not cover this model: its dropout is 0.1, and the engine"
    )


def test_a_gpt_without_dropout_runs_in_the_engine() -> None:
    model = GPT(27)
    assert choose_backend("auto", model, torch.optim.AdamW(model.parameters())) == Backend("fused-step")
