"""A model, a vocabulary and the way to draw, made ready once: the names at any place of a seed's stream."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from namegen_ext.data import END_MARKER, Vocabulary
from namegen_ext.sampling.arguments import check_count, check_prefix, check_temperature, check_top_k
from namegen_ext.sampling.cached import CACHED_NAMES, CachedDistribution
from namegen_ext.sampling.distribution import (
    ModelDistribution,
    NextSymbolDistribution,
    Shaping,
    TableDistribution,
)
from namegen_ext.sampling.draw import draw_symbols

Method = Literal["auto", "direct", "table"]
METHODS: tuple[Method, ...] = ("auto", "direct", "table")

DEFAULT_MAX_LENGTH = 64

# A table larger than this is never chosen by "auto", and refused when asked for.
MAX_TABLE_BYTES = 256 * 2**20

# "auto" takes the table where it has at most so many contexts per name.
# Measured with 27 symbols, block 3 and hidden 200 (19,683 contexts) on one thread: the table takes
# 20 ms, and both methods take as long as each other at about 2,500 names.
TABLE_CONTEXTS_PER_NAME = 8

_UTF32 = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"


class NameSampler:
    """Draws the names of a seed's stream; each depends on the seed and on its place in the stream alone.

    That holds to the bit where the model is tabulated. Where the model is asked each time, a matrix product
    may round differently for another number of rows, which changes about one drawn letter in a million.

    Args:
        model: maps (N, block_size) int64 tokens to logits (N, len(vocabulary)), or to a tuple that starts
            with them.
        vocabulary: the symbols.
        expected_names: about how many names will be drawn; "auto" chooses the method by it.
        block_size: the number of symbols in a context; None takes ``model.block_size``.
        temperature: the logits are divided by it; greater than 0.
        top_k: draw among the k likeliest symbols only; None for all.
        prefix: stands at the start of each name.
        max_length: a name, its prefix included, is cut after so many letters.
        method: "direct" asks the model for each symbol; "table" asks it once for every context there is;
            "auto" takes the table where it has few contexts against the names to be drawn. Both draw the
            same names, up to float rounding.
        use_cache: whether "direct" keeps the keys and values of the symbols before, where the model can.

    Raises:
        ValueError: an argument that cannot be; the message names it.
        SamplingError: the model's logits are not all finite.

    """

    def __init__(
        self,
        model: nn.Module,
        vocabulary: Vocabulary,
        expected_names: int,
        *,
        block_size: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        prefix: str = "",
        max_length: int = DEFAULT_MAX_LENGTH,
        method: Method = "auto",
        use_cache: bool = True,
    ) -> None:
        max_length = check_count(max_length, minimum=1, name="max_length")
        shaping = Shaping(
            temperature=check_temperature(temperature),
            top_k=None if top_k is None else check_top_k(top_k, len(vocabulary)),
        )
        self._prefix = prefix
        self._prefix_symbols = check_prefix(prefix, vocabulary, max_length)
        self._max_steps = max_length - len(prefix)
        direct = ModelDistribution(model, len(vocabulary), _block_size(model, block_size), shaping)
        self.distribution: NextSymbolDistribution = direct
        if _choose_method(method, len(vocabulary), direct.block_size, expected_names) == "table":
            self.distribution = TableDistribution(direct)
        self._direct = direct if use_cache and CachedDistribution.serves(direct) else None
        code_points = [ord(symbol) for symbol in (END_MARKER, *vocabulary.symbols)]
        self._code_points = torch.tensor(code_points, dtype=torch.int32)  # (V,)

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        if count == 0:
            return []
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
            names += self._to_text(symbols.cpu()).split(END_MARKER)[:-1]
        return [self._prefix + name for name in names] if self._prefix else names

    def _parts(self, first: int, count: int) -> Iterator[tuple[NextSymbolDistribution, int, int]]:
        """Yield what to draw from, the number of the first name, and how many: all, or a cache's worth."""
        if self._direct is None or self.distribution is not self._direct:
            yield self.distribution, first, count
            return
        for start in range(first, first + count, CACHED_NAMES):
            size = min(CACHED_NAMES, first + count - start)
            yield CachedDistribution(self._direct), start, size

    def _to_text(self, symbols: Tensor) -> str:
        """Write rows of symbols (N, L), each ending in zeros, as one text: an end marker after each row."""
        is_letter = symbols != 0  # (N, L)
        # A row is written up to its first zero: the letters, and whatever follows a letter.
        is_written = torch.cat([torch.ones_like(is_letter[:, :1]), is_letter[:, :-1]], dim=1)  # (N, L)
        written = symbols.masked_select(is_written)  # (characters,), row by row
        code_points = self._code_points.index_select(0, written)  # (characters,) int32
        # The int32 code points are the UTF-32 text as it stands in memory; letter by letter takes four
        # times as long.
        data = ctypes.string_at(code_points.data_ptr(), 4 * len(code_points))
        return data.decode(_UTF32)


def _block_size(model: nn.Module, block_size: int | None) -> int:
    if block_size is None:
        block_size = getattr(model, "block_size", None)
        if block_size is None:
            raise ValueError(
                "block_size must be given for a model that has no attribute block_size, but got None"
            )
    return check_count(block_size, minimum=1, name="block_size")


def _choose_method(method: str, vocab_size: int, block_size: int, expected_names: int) -> str:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, but got {method!r}")
    num_contexts = vocab_size**block_size
    table_bytes = TableDistribution.num_bytes(vocab_size, block_size)
    if method == "table" and table_bytes > MAX_TABLE_BYTES:
        raise ValueError(
            f"method 'table' must need at most {MAX_TABLE_BYTES // 2**20} MiB, but {vocab_size} symbols and "
            f"block_size {block_size} make {num_contexts:,} contexts and {table_bytes // 2**20:,} MiB"
        )
    if method != "auto":
        return method
    fits = table_bytes <= MAX_TABLE_BYTES and num_contexts <= TABLE_CONTEXTS_PER_NAME * expected_names
    return "table" if fits else "direct"
