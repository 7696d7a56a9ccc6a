"""The native sampler: csrc/core/engine/sampling made ready for a model.

It draws what the Python of draw.py and stream.py draws, which defines it: the same random numbers by the same
counters, inverted through the same cumulative probabilities. From a table the names are equal to the letter,
as it is built from the same float64 numbers. Where a network is evaluated for each context, that is done in
float32 with another order of summation than torch's: the logits agree to about 1e-6 of the largest, so about
one letter in a million is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.sampling.distribution import NOT_FINITE, ModelDistribution, Shaping, cumulative_table
from namegen_ext.sampling.errors import SamplingError
from namegen_ext.sampling.network import Network, NotCoveredError


class Spelling:
    """What the native samplers need to know beside the probabilities.

    Args:
        vocabulary: the symbols.
        prefix: the symbols at the start of each name.
        max_steps: how many symbols may follow.

    """

    def __init__(self, vocabulary: Vocabulary, prefix: list[int], max_steps: int) -> None:
        self.encodings = [b"", *(symbol.encode() for symbol in vocabulary.symbols)]
        self.prefix = prefix
        self.max_steps = min(max_steps, 2**62)  # fits 64 bits


def table_sampler(direct: ModelDistribution, spelling: Spelling) -> Any:
    """Tabulate a model, and make the sampler that draws from the table.

    Raises:
        SamplingError: the model's logits are not all finite.

    """
    table = _core.sampling.ContextTable(direct.vocab_size, direct.block_size)
    for first, cumulative in cumulative_table(direct):
        table.set_rows(first, cumulative.cpu().numpy())
    return _core.sampling.table_sampler(table, spelling.encodings, spelling.prefix, spelling.max_steps)


def direct_sampler(network: Any, shaping: Shaping, spelling: Spelling) -> Any:
    """Make the sampler that evaluates a network, that of `native_network`, for each context."""
    return _core.sampling.direct_sampler(
        network,
        shaping.temperature,
        network.vocab_size if shaping.top_k is None else shaping.top_k,
        spelling.encodings,
        spelling.prefix,
        spelling.max_steps,
    )


def native_network(network: Network) -> Any:
    """Hand a network to the native sampler.

    Raises:
        NotCoveredError: the context or the vocabulary is too large.

    """
    levels = [
        _core.sampling.Level(level.factor, _numpy(level.weight), _numpy(level.bias), level.tanh)
        for level in network.levels
    ]
    try:
        return _core.sampling.Network(_numpy(network.embedding), levels)
    except ValueError as error:
        raise NotCoveredError(str(error)) from None


def draw_text(draw: Callable[[], bytes]) -> bytes:
    """Call a native function that draws names.

    Raises:
        SamplingError: the network's logits are not all finite.

    """
    try:
        return draw()
    except _core.sampling.NonFiniteLogitsError:
        raise SamplingError(NOT_FINITE) from None


def lines(text: bytes) -> list[str]:
    """Split names with a newline behind each; other line separators may stand in a name."""
    names = text.decode().split("\n")
    names.pop()  # what is behind the last newline
    return names


def _numpy(tensor: Tensor) -> Any:
    return tensor.float().contiguous().numpy()
