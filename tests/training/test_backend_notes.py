"""What is told where a model runs on the stock layers."""

from __future__ import annotations

import pytest
import torch

from namegen_ext.models import GPT
from namegen_ext.training import BackendError, choose_backend


def test_a_deep_model_is_told_about_in_few_words() -> None:
    model = GPT(27, num_layers=6)
    optimizer = torch.optim.AdamW(model.parameters())
    backend = choose_backend("auto", model, optimizer)
    assert backend.name == "stock"
    assert "token_embedding: it is called by GPT" in backend.note
    # Two embeddings, 24 linear layers and the head, less the three that are named.
    assert "and so on for 24 more" in backend.note
    with pytest.raises(BackendError, match="and so on for 24 more"):
        choose_backend("layers", model, optimizer)
