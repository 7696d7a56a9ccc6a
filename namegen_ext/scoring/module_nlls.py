"""Negative log-likelihoods through torch: for models that the native sampler does not cover, and as the definition."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from namegen_ext.data.sequences import IGNORED, sequences_of_symbols
from namegen_ext.data.windows import windows_of_symbols
from namegen_ext.models.conditioned import ConditionedModel
from namegen_ext.models.evaluation_mode import evaluating
from namegen_ext.sampling.sampling_errors import NOT_FINITE, SamplingError
from namegen_ext.sampling.shaping import Shaping

_SYMBOLS = 2**18  # whose windows are made at a time
_TARGETS = 2**14  # that go through the model at a time


class ModuleNlls:
    """Asks a module for -log P of each symbol of names.

    Args:
        model: gives logits (N, V) for windows (N, block_size), or, with ``sequences``, (N, T, V).
        block_size: the number of symbols in a context.
        sequences: whether the model predicts all characters of a sequence at once.
        shaping: temperature and top-k.
        drawn: whether the first symbol of a name is never its end.

    """

    def __init__(
        self, model: nn.Module, block_size: int, *, sequences: bool, shaping: Shaping, drawn: bool = False
    ) -> None:
        self._mark: int | None = None
        if sequences and isinstance(
            model, ConditionedModel
        ):  # whose sequences have the mark behind the start
            self._mark, self._num_letters = model.mark, model.vocab_size
            model = model.base
        self._model = model
        self._block_size = block_size
        self._sequences = sequences
        self._shaping = shaping
        self._drawn = drawn
        first = next(model.parameters(), None)
        self._device = torch.device("cpu") if first is None else first.device

    def __call__(self, symbols: NDArray[np.int32]) -> NDArray[np.float64]:
        """Compute -log P: symbols int32 (n,) of names one after another, each with its 0 -> float64 (n,)."""
        every = torch.from_numpy(symbols).long()  # (n,)
        ends = torch.nonzero(every == 0).squeeze(1) + 1  # (num_names,)
        found, begin = [torch.zeros(0, dtype=torch.float64)], 0
        while begin < len(every):
            # Whole names, one at least.
            last = int(torch.searchsorted(ends, torch.tensor(begin + _SYMBOLS), right=True)) - 1
            first = int(torch.searchsorted(ends, torch.tensor(begin), right=True))
            end = int(ends[max(last, first)])
            part = every[begin:end]
            found.append(self._of_sequences(part) if self._sequences else self._of_windows(part))
            begin = end
        return cast("NDArray[np.float64]", torch.cat(found).numpy())

    def _of_windows(self, symbols: Tensor) -> Tensor:
        tokens, targets = windows_of_symbols(symbols, self._block_size)  # (n, block_size), (n,)
        parts = zip(tokens.split(_TARGETS), targets.split(_TARGETS), strict=True)
        return torch.cat([self._nll(part, following, (part == 0).all(dim=1)) for part, following in parts])

    def _of_sequences(self, symbols: Tensor) -> Tensor:
        is_end = symbols == 0  # (symbols,)
        num_words = int(is_end.sum())
        begins = torch.cat([torch.zeros(1, dtype=torch.int64), torch.nonzero(is_end).squeeze(1)[:-1] + 1])
        lengths = torch.diff(begins, append=torch.tensor([len(symbols)]))  # (num_words,)
        places = torch.arange(len(symbols)) - torch.repeat_interleave(begins, lengths)  # (symbols,)
        fits = places < self._block_size  # (symbols,); the others have a window each
        if self._mark is None:
            tokens, targets = sequences_of_symbols(symbols, self._block_size)  # (n, T), (n, T)
        else:
            marked = symbols.new_full((len(symbols) + num_words,), self._mark)  # (symbols + num_words,)
            marked[
                torch.arange(len(symbols)) + torch.repeat_interleave(torch.arange(num_words), lengths) + 1
            ] = symbols
            tokens, targets = sequences_of_symbols(marked, self._block_size, self._num_letters)
        rows = max(1, _TARGETS // self._block_size)
        parts = zip(tokens.split(rows), targets.split(rows), strict=True)
        place = int(self._mark is not None)
        nlls = torch.cat([self._nll(part, following, _starts(part, place)) for part, following in parts])
        # (n, T), 0 where nothing is predicted
        result = torch.empty(len(symbols), dtype=torch.float64)
        result[fits] = nlls[:num_words][targets[:num_words] != IGNORED]
        result[~fits] = nlls[num_words:, -1]
        return result

    @torch.no_grad()
    def _nll(self, tokens: Tensor, targets: Tensor, is_first: Tensor) -> Tensor:
        """Return -log P of the targets, in float64.

        Args:
            tokens: (N, T).
            targets: (N,) or (N, T).
            is_first: bool, of the targets' shape: whether it is the first symbol of a name.

        """
        with evaluating(self._model):
            output: Any = self._model(tokens.to(self._device))
        logits = output[0] if isinstance(output, tuple) else output  # (N, V) or (N, T, V)
        rows = logits.reshape(-1, logits.shape[-1]).double().cpu()  # (n, V)
        if self._mark is not None:
            rows = rows[:, : self._num_letters]
        if not bool(rows.isfinite().all()):
            raise SamplingError(NOT_FINITE)
        following = targets.reshape(-1)  # (n,)
        if self._shaping == Shaping():
            log_probabilities = rows.log_softmax(dim=1)  # (n, V)
        else:
            log_probabilities = self._shaping.probabilities(rows).log()  # (n, V)
        if self._drawn:
            first = is_first.reshape(-1)  # (n,)
            log_probabilities[first] = self._shaping.probabilities(rows[first], allow_end=False).log()
        chosen = log_probabilities.gather(1, following.clamp(min=0)[:, None]).squeeze(1)  # (n,)
        return torch.where(following == IGNORED, 0.0, -chosen).view(targets.shape)


def _starts(tokens: Tensor, place: int) -> Tensor:
    """Tell which positions of sequences (N, T) are followed by the first letter of a word."""
    is_start = torch.zeros_like(tokens, dtype=torch.bool)  # (N, T)
    is_start[:, place] = tokens[:, 0] == 0
    return is_start
