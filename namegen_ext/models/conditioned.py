"""A model of names of one category, as a module around one that was trained on several."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.models.model_sizes import block_size_of


class ConditionedModel(nn.Module):
    """Predicts the next letter of a name of one category.

    Args:
        base: the model of all categories: it takes contexts (N, block_size), whose oldest place holds the mark of the
            category; or, where it has ``next_logits``, sequences with the mark behind the start.
        mark: the number of the category's mark.
        num_letters: V, the number of symbols without the marks, the end marker included; the marks follow them.

    Attributes:
        block_size: the number of letters in a context: one less than the base's.

    """

    def __init__(self, base: nn.Module, mark: int, num_letters: int) -> None:
        super().__init__()
        self.base = base
        self.mark = mark
        self.vocab_size = num_letters
        self.block_size = block_size_of(base) - 1

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute logits (N, V) of the next letters, for contexts (N, block_size) int64."""
        ask: Any = getattr(self.base, "next_logits", self.base)
        output = ask(self.with_mark(tokens))
        logits = output[0] if isinstance(output, tuple) else output  # (N, V + categories)
        return logits[:, : self.vocab_size]

    def with_mark(self, tokens: Tensor) -> Tensor:
        """Put the mark into contexts: (N, block_size) -> (N, block_size + 1)."""
        marks = torch.full_like(tokens[:, :1], self.mark)  # (N, 1)
        marked = torch.cat([marks, tokens], dim=1)  # (N, block_size + 1)
        if not hasattr(self.base, "next_logits"):
            return marked
        # A sequence begins with the last 0, which the mark changes places with: what is before it is not seen.
        places = torch.arange(marked.shape[1], device=tokens.device)  # (block_size + 1,)
        last_start = (marked == 0).mul(places).amax(dim=1, keepdim=True)  # (N, 1), 0 where there is none
        shifted = torch.cat(
            [tokens, tokens[:, -1:]], dim=1
        )  # (N, block_size + 1): the letters one place earlier
        before = torch.where(places < last_start, shifted, marked)  # (N, block_size + 1)
        return torch.where(places == last_start, marks, before)
