"""Names drawn by Python and torch: the readable definition, for any model that gives logits."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from namegen_ext.data import Vocabulary
from namegen_ext.sampling.cached import CACHED_NAMES, CachedDistribution
from namegen_ext.sampling.distribution import ModelDistribution, NextSymbolDistribution, TableDistribution
from namegen_ext.sampling.draw import draw_symbols

_UTF32 = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"


class PythonNames:
    """Draws the names of a seed's stream by asking a model through torch.

    Args:
        direct: the model.
        vocabulary: the symbols.
        prefix: stands at the start of each name.
        max_steps: a name is cut after so many letters behind the prefix.
        method: "direct" asks the model for each symbol, "table" once for every context there is.
        use_cache: whether "direct" keeps the keys and values of the symbols before, where the model can.

    Attributes:
        distribution: what is drawn from.

    """

    def __init__(
        self,
        direct: ModelDistribution,
        vocabulary: Vocabulary,
        prefix: str,
        max_steps: int,
        *,
        method: Literal["direct", "table"],
        use_cache: bool,
    ) -> None:
        self.distribution: NextSymbolDistribution = (
            direct if method == "direct" else TableDistribution(direct)
        )
        self._prefix = prefix
        self._prefix_symbols = vocabulary.encode(prefix)
        self._max_steps = max_steps
        has_cache = method == "direct" and use_cache and CachedDistribution.serves(direct)
        self._cached = direct if has_cache else None
        self._writer = NameWriter(vocabulary)

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        names: list[str] = []
        for distribution, start, size in self._parts(first, count):
            symbols = draw_symbols(
                distribution,
                self._prefix_symbols,
                seed=seed,
                first_sample=start,
                count=size,
                max_steps=self._max_steps,
            )  # (N, L)
            names += self._writer.names(symbols.cpu())
        return [self._prefix + name for name in names] if self._prefix else names

    def _parts(self, first: int, count: int) -> Iterator[tuple[NextSymbolDistribution, int, int]]:
        """Yield what to draw from, the number of the first name, and how many: all, or a cache's worth."""
        if self._cached is None:
            yield self.distribution, first, count
            return
        for start in range(first, first + count, CACHED_NAMES):
            size = min(CACHED_NAMES, first + count - start)
            yield CachedDistribution(self._cached), start, size


class NameWriter:
    """Writes rows of symbols as names.

    Args:
        vocabulary: the symbols.

    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        code_points = [ord(symbol) for symbol in ("\n", *vocabulary.symbols)]
        self._code_points = torch.tensor(code_points, dtype=torch.int32, device="cpu")  # (V,)

    def names(self, symbols: Tensor) -> list[str]:
        """Write rows of symbols (N, L), each ending in zeros."""
        is_letter = symbols != 0  # (N, L)
        # A row is written up to its first zero: the letters, and whatever follows a letter.
        is_written = torch.cat([torch.ones_like(is_letter[:, :1]), is_letter[:, :-1]], dim=1)  # (N, L)
        written = symbols.masked_select(is_written)  # (characters,), row by row
        code_points = self._code_points.index_select(0, written)  # (characters,) int32
        # The int32 code points are the UTF-32 text as it stands in memory; letter by letter takes four
        # times as long.
        data = ctypes.string_at(code_points.data_ptr(), 4 * len(code_points))
        return data.decode(_UTF32).split("\n")[:-1]
