"""Next-symbol probabilities from a model that keeps the keys and values of the symbols before."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from namegen_ext.models.evaluation_mode import evaluating
from namegen_ext.models.gpt import GPT
from namegen_ext.nn.plain_calls import all_plain, why_not_at_all
from namegen_ext.sampling.distribution import ModelDistribution, cumulative_rows

# A cache holds so many names. This limits the memory, because each name has a place in every layer.
# Measured: 239 ms without the cache, 41 ms with (16 symbols of 256 names, GPT of 204,544 parameters); 1,066 ms without,
# 151 ms with (1,000 names); 6.2 ms without, 5.5 ms with (1 name).
CACHED_NAMES = 512


class CachedDistribution:
    """Asks the model for one new symbol at a time. The work for the symbols before is not done again.

    Once a name is longer than the block, the positions of all its symbols move with each new one, so that the
    model has to be asked anew for the whole context.

    One object serves one run of the drawing loop, which tells it by `keep` which samples go on.

    Args:
        direct: the same model, which is asked for whole contexts where the cache does not serve.

    """

    def __init__(self, direct: ModelDistribution) -> None:
        self.vocab_size = direct.vocab_size
        self.block_size = direct.block_size
        self.device = direct.device
        self._direct = direct
        self._model = cast(Any, direct.model)
        self._cache = self._model.new_cache()

    @staticmethod
    def serves(direct: ModelDistribution) -> bool:
        """Tell whether the model can keep keys and values, and a call of it would compute what its step does.

        A hook on the model, or a ``forward`` or ``next_logits`` of its own, is passed over by ``step``.
        """
        model: Any = direct.model
        own = type(model)
        if not (hasattr(model, "new_cache") and hasattr(model, "step")):
            return False
        if why_not_at_all() is not None or not all_plain((model,)):
            return False
        if not isinstance(model, GPT):
            return True
        same = all(getattr(own, name) is getattr(GPT, name) for name in ("forward", "next_logits"))
        return (same or own.step is not GPT.step) and "next_logits" not in model.__dict__

    def draw(self, contexts: Tensor, uniforms: Tensor) -> Tensor:
        """Draw the next symbol of each context; see `NextSymbolDistribution`."""
        return self._invert(self._logits(contexts), uniforms, allow_end=True)

    def probabilities(self, contexts: Tensor) -> Tensor:
        """Give the probabilities of the next symbol: (N, block_size) int64 -> (N, V) float64."""
        return self._direct.shaping.probabilities(self._logits(contexts))

    def draw_first(self, uniforms: Tensor) -> Tensor:
        """Draw the first symbol of names; see `NextSymbolDistribution`."""
        start = torch.zeros(1, self.block_size, dtype=torch.int64, device=self.device)
        return self._invert(self._logits(start), uniforms, allow_end=False)

    def keep(self, rows: Tensor) -> None:
        """Keep the samples of some rows (M,) int64 of the last draw; the others have ended."""
        if self._cache.length == self.block_size:
            return  # the cache is full, and not used again
        if self._cache.num_sequences == 1:  # all names still share the start and the prefix
            rows = torch.zeros_like(rows)
        if len(rows) != self._cache.num_sequences:
            self._cache.select(rows)

    def _invert(self, logits: Tensor, uniforms: Tensor, *, allow_end: bool) -> Tensor:
        probabilities = self._direct.shaping.probabilities(logits, allow_end=allow_end)
        cumulative = cumulative_rows(probabilities)  # (N, V) or (1, V)
        return (cumulative <= uniforms[:, None]).sum(dim=1)  # (N,)

    @torch.no_grad()
    def _logits(self, contexts: Tensor) -> Tensor:
        """Return the logits (N, V) after contexts (N, block_size): one row for all at first, then one for each name."""
        known = self._cache.length
        starts = (contexts[0] == 0).nonzero()  # (number of zeros, 1)
        if known == self.block_size or len(starts) == 0:
            return self._direct.logits(contexts)  # the word is longer than the block
        first_new = int(starts[-1]) if known == 0 else self.block_size - 1
        with evaluating(self._model):
            for symbols in contexts[:, first_new:].T:  # (N,)
                logits = self._model.step(symbols, self._cache)  # (N, V)
        return self._direct.checked(logits, len(contexts))
