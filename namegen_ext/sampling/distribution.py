"""Gives the probabilities of the next symbol after a context: by asking the model, or from a table of it.

The drawing loop (draw.py) needs no more than `NextSymbolDistribution`, so that another source of
probabilities, or another loop, can take the place of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from namegen_ext.models.evaluation_mode import evaluating
from namegen_ext.sampling.plan import row_width
from namegen_ext.sampling.sampling_errors import NOT_FINITE, SamplingError
from namegen_ext.sampling.shaping import Shaping

# Contexts per forward pass when the whole model is tabulated. The number is fixed, so that the table does not depend
# on the batch.
_TABLE_CHUNK = 2048


class NextSymbolDistribution(Protocol):
    """What the drawing loop asks of a model.

    Attributes:
        vocab_size: V, the number of symbols; 0 is the end marker.
        block_size: the number of symbols in a context.
        device: of the contexts and the results.

    """

    vocab_size: int
    block_size: int
    device: torch.device

    def draw(self, contexts: Tensor, uniforms: Tensor) -> Tensor:
        """Draw the next symbol of each context by inversion.

        It is the first symbol whose cumulative probability, in the vocabulary's order, exceeds the uniform
        number.

        Args:
            contexts: (N, block_size) int64, oldest symbol first; or (1, block_size), shared by all.
            uniforms: (N,) float64 in [0, 1).

        Returns:
            (N,) int64.

        """
        ...

    def draw_first(self, uniforms: Tensor) -> Tensor:
        """Draw the first symbol of names without a prefix, in the same way: never the end marker.

        Args:
            uniforms: (N,) float64 in [0, 1).

        Returns:
            (N,) int64.

        """
        ...


class ModelDistribution:
    """Asks the model for each context.

    Args:
        model: maps (N, block_size) int64 tokens to logits (N, vocab_size), or to a tuple that starts with
            them; by its method ``next_logits`` where it has one.
        vocab_size: the number of symbols, the end marker included.
        block_size: the number of symbols in a context.
        shaping: temperature and top-k.

    """

    def __init__(self, model: nn.Module, vocab_size: int, block_size: int, shaping: Shaping) -> None:
        self.model = model
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.shaping = shaping
        first_parameter = next(model.parameters(), None)
        self.device = torch.device("cpu") if first_parameter is None else first_parameter.device

    def probabilities(self, contexts: Tensor, *, allow_end: bool = True) -> Tensor:
        """Give the probabilities of the next symbol: (N, block_size) int64 -> (N, V) float64."""
        return self.shaping.probabilities(self.logits(contexts), allow_end=allow_end)

    def beginning_probability(self, symbols: list[int]) -> float:
        """Return how likely a name starts with some symbols."""
        padded = [0] * self.block_size + symbols
        windows = [padded[place : place + self.block_size] for place in range(len(symbols))]
        contexts = torch.tensor(windows, dtype=torch.int64, device=self.device)  # (n, block_size)
        first = self.probabilities(contexts[:1], allow_end=False)  # (1, V)
        others = self.probabilities(contexts[1:]) if len(symbols) > 1 else first[:0]  # (n - 1, V)
        found = torch.cat([first, others])[torch.arange(len(symbols)), symbols]  # (n,)
        return float(found.prod())

    def first_probabilities(self) -> Tensor:
        """Give the probabilities of a name's first symbol: (1, V) float64. That of the end marker is 0."""
        start = torch.zeros(1, self.block_size, dtype=torch.int64, device=self.device)
        return self.probabilities(start, allow_end=False)

    def draw(self, contexts: Tensor, uniforms: Tensor) -> Tensor:
        """Draw the next symbol of each context; see `NextSymbolDistribution`."""
        cumulative = cumulative_rows(self.probabilities(contexts))  # (N, V) or (1, V)
        return (cumulative <= uniforms[:, None]).sum(dim=1)  # (N,)

    def draw_first(self, uniforms: Tensor) -> Tensor:
        """Draw the first symbol of names; see `NextSymbolDistribution`."""
        cumulative = cumulative_rows(self.first_probabilities())  # (1, V)
        return (cumulative <= uniforms[:, None]).sum(dim=1)  # (N,)

    @torch.no_grad()
    def logits(self, contexts: Tensor) -> Tensor:
        """Ask the model: (N, block_size) int64 -> (N, V), checked."""
        with evaluating(self.model):
            # A model over sequences finds by itself where in a context the word begins.
            output = getattr(self.model, "next_logits", self.model)(contexts)
        return self.checked(output[0] if isinstance(output, tuple) else output, len(contexts))

    def checked(self, logits: Tensor, num_contexts: int) -> Tensor:
        """Return logits that are as they must be: (num_contexts, V), all finite.

        Raises:
            ValueError: they have another shape.
            SamplingError: they are not all finite.

        """
        expected = (num_contexts, self.vocab_size)
        if logits.shape != expected:
            raise ValueError(
                f"model must give logits of shape {expected} (contexts, vocab_size) for {num_contexts} "
                f"contexts, but gave {tuple(logits.shape)}"
            )
        if not torch.isfinite(logits).all():
            raise SamplingError(NOT_FINITE)
        return logits


class TableDistribution:
    """Looks contexts up in a table of all vocab_size**block_size ones, for which the model is asked once.

    Args:
        model: the distribution to tabulate.

    """

    def __init__(self, model: ModelDistribution) -> None:
        self.vocab_size = model.vocab_size
        self.block_size = model.block_size
        self.device = model.device
        self._powers = _powers(model)  # (block_size,)
        self._width = row_width(self.vocab_size)
        table = self._tabulate(model)  # (contexts + 1, width)
        self._first_row_start = table.numel() - self._width
        self._table = table.flatten()

    def _tabulate(self, model: ModelDistribution) -> Tensor:
        num_contexts = self.vocab_size**self.block_size
        table = torch.ones(num_contexts + 1, self._width, dtype=torch.float64, device=self.device)
        for start, cumulative in cumulative_table(model):
            table[start : start + len(cumulative), : self.vocab_size] = cumulative
        return table

    def draw(self, contexts: Tensor, uniforms: Tensor) -> Tensor:
        """Draw the next symbol of each context; see `NextSymbolDistribution`."""
        row_starts = (contexts * self._powers).sum(dim=1) * self._width  # (N,) or (1,)
        return self._search(row_starts.expand(len(uniforms)), uniforms)

    def draw_first(self, uniforms: Tensor) -> Tensor:
        """Draw the first symbol of names; see `NextSymbolDistribution`."""
        return self._search(torch.full_like(uniforms, self._first_row_start, dtype=torch.int64), uniforms)

    def _search(self, row_starts: Tensor, uniforms: Tensor) -> Tensor:
        """Count the entries of each row up to its uniform number, by a binary search.

        It reads a few entries of each row. A comparison of all entries would copy whole rows.
        """
        position = row_starts.clone()  # (N,)
        half = self._width // 2
        while half >= 1:
            entries = self._table.index_select(0, position + (half - 1))  # (N,)
            position += (entries <= uniforms) * half
            half //= 2
        return position - row_starts


def cumulative_table(model: ModelDistribution) -> Iterator[tuple[int, Tensor]]:
    """Yield the cumulative probabilities of all contexts, a chunk of rows at a time.

    A context read as a number in base V, its oldest symbol first, is its row; one more row, the last, holds
    the first symbol of names without a prefix.

    Args:
        model: the distribution to tabulate.

    Yields:
        The number of a chunk's first row, and its rows (chunk, V) float64.

    """
    num_contexts = model.vocab_size**model.block_size
    powers = _powers(model)  # (block_size,)
    for start in range(0, num_contexts, _TABLE_CHUNK):
        rows = torch.arange(start, min(start + _TABLE_CHUNK, num_contexts), device=model.device)  # (chunk,)
        contexts = rows[:, None] // powers % model.vocab_size  # (chunk, block_size)
        yield start, cumulative_rows(model.probabilities(contexts))  # (chunk, V)
    yield num_contexts, cumulative_rows(model.first_probabilities())  # (1, V)


def _powers(model: ModelDistribution) -> Tensor:
    """Return what each position counts in a context's number: (block_size,) int64."""
    powers = [model.vocab_size**position for position in reversed(range(model.block_size))]
    return torch.tensor(powers, device=model.device)


def cumulative_rows(probabilities: Tensor) -> Tensor:
    """Sum probabilities (N, V) along each row, and scale so that the last entry is exactly 1.

    A uniform number in [0, 1) then always falls below some entry, and never on a symbol whose probability
    is 0.
    """
    cumulative = probabilities.cumsum(dim=1)  # (N, V)
    return cumulative / cumulative[:, -1:]
