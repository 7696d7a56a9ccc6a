"""A model, a vocabulary and the way to draw, made ready once: the names at any place of a seed's stream."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary
from namegen_ext.sampling.arguments import (
    check_choice,
    check_count,
    check_prefix,
    check_temperature,
    check_top_k,
)
from namegen_ext.sampling.cached import CACHED_NAMES, CachedDistribution
from namegen_ext.sampling.distribution import (
    ModelDistribution,
    NextSymbolDistribution,
    Shaping,
    TableDistribution,
)
from namegen_ext.sampling.draw import draw_symbols
from namegen_ext.sampling.native import Spelling, direct_sampler, draw_text, lines, table_sampler
from namegen_ext.sampling.plan import BACKENDS, METHODS, Backend, Method, make_plan

DEFAULT_MAX_LENGTH = 64

_UTF32 = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"


class NameSampler:
    """Draws the names of a seed's stream; each depends on the seed and on its place in the stream alone.

    That holds to the bit where the model is tabulated, and where the native sampler evaluates its network. Where
    torch is asked each time, a matrix product may round differently for another number of rows, which changes
    about one drawn letter in a million; as many differ between the two ways, and between instruction sets.

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
        backend: "native" draws with csrc/core/engine/sampling, "python" with this package's Python, which is
            slower and easier to read; "auto" takes the native one where it covers the model: every model that
            is tabulated, and networks of the layers in network.py.

    Attributes:
        vocabulary: as given.
        method: "table" or "direct", as chosen.
        native: the native sampler, or None where Python draws.
        why_not_native: None, or why it is Python that draws.
        distribution: what Python draws from, where it does.

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
        backend: Backend = "auto",
    ) -> None:
        max_length = check_count(max_length, minimum=1, name="max_length")
        shaping = Shaping(
            temperature=check_temperature(temperature),
            top_k=None if top_k is None else check_top_k(top_k, len(vocabulary)),
        )
        self.vocabulary = vocabulary
        self._prefix = prefix
        self._prefix_symbols = check_prefix(prefix, vocabulary, max_length)
        self._max_steps = max_length - len(prefix)
        check_choice(method, METHODS, name="method")
        check_choice(backend, BACKENDS, name="backend")
        direct = ModelDistribution(model, len(vocabulary), _block_size(model, block_size), shaping)
        self.distribution: NextSymbolDistribution = direct
        plan = make_plan(direct, expected_names, method=method, backend=backend)
        self.method = plan.method
        self.why_not_native = plan.why_not_native
        self.native: Any = None
        spelling = Spelling(vocabulary, self._prefix_symbols, self._max_steps)
        if plan.why_not_native is not None:
            if plan.method == "table":
                self.distribution = TableDistribution(direct)
        elif plan.network is not None:
            self.native = direct_sampler(plan.network, direct.shaping, spelling)
        else:
            self.native = table_sampler(direct, spelling)
        self._direct = direct if use_cache and CachedDistribution.serves(direct) else None
        code_points = [ord(symbol) for symbol in ("\n", *vocabulary.symbols)]
        self._code_points = torch.tensor(code_points, dtype=torch.int32)  # (V,)

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        if count == 0:
            return []
        if self.native is not None:
            return lines(draw_text(lambda: self.native.draw(seed, first, count)))
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
            names += self._to_text(symbols.cpu()).split("\n")[:-1]
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
        """Write rows of symbols (N, L), each ending in zeros, as one text: a line feed after each row."""
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
