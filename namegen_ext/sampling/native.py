"""The native sampler: csrc/core/engine/sampling made ready for a model. Torch is not needed.

It draws what the Python of draw.py and stream.py draws, which defines it: the same random numbers by the same
counters, inverted through the same cumulative probabilities.

A network is evaluated in float32, a GPT in the type of its weights. From the logits on, everything is computed in
float64 or integers. The table of all contexts is made by the arithmetic that draws from a network directly, so that
both methods give the same names to the bit. Python asks torch, which adds in another order: the logits agree to about
1e-6 of the largest, so that about one letter in a million differs; of a GPT in float64, none. A model whose layers are
not covered is drawn from a table that torch makes; its names are then those of Python to the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.sampling.predictors import Conditioned, Counts, Gpt, Mixture, Predictor
from namegen_ext.sampling.sampling_errors import NOT_FINITE, NotCoveredError, SamplingError
from namegen_ext.sampling.sampling_network import Array, Network
from namegen_ext.sampling.shaping import Shaping

_Result = TypeVar("_Result")


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


def native_predictor(predictor: Predictor) -> Any:
    """Hand a model to the native sampler.

    Raises:
        NotCoveredError: the context or the vocabulary is too large, or its arrays do not fit.

    """
    sampling = _core.sampling
    try:
        if isinstance(predictor, Counts):
            return sampling.Counts(predictor.layout.native(predictor.arrays))
        if isinstance(predictor, Conditioned):
            newest = isinstance(predictor.base, Counts) and predictor.base.layout.category_newest
            return sampling.Conditioned(
                native_predictor(predictor.base), predictor.mark, predictor.vocab_size, newest
            )
        if isinstance(predictor, Gpt):
            return _gpt(predictor)
        if isinstance(predictor, Mixture):
            return sampling.Mixture(
                [native_predictor(component) for component in predictor.components],
                predictor.weights,
                predictor.block_size,
                predictor.known_keys,
                _float32(predictor.known_adjustments),
            )
    except ValueError as error:
        raise NotCoveredError(str(error)) from None
    return native_network(predictor)


def native_network(network: Network) -> Any:
    """Hand a network to the native sampler.

    Raises:
        NotCoveredError: the context or the vocabulary is too large.

    """
    sampling = _core.sampling
    try:
        if not network.levels:
            return sampling.Network.of_table(network.block_size, network.embedding)
        levels = [
            sampling.Level(level.factor, _float32(level.weight), _float32(level.bias), level.tanh)
            for level in network.levels
        ]
        return sampling.Network(network.embedding, levels)
    except ValueError as error:
        raise NotCoveredError(str(error)) from None


def _gpt(gpt: Gpt) -> Any:
    layout = gpt.layout
    network = {
        "vocab": layout.vocab_size,
        "block": layout.block_size,
        "embed": layout.embedding_dim,
        "layers": layout.num_layers,
        "heads": layout.num_heads,
        "hidden": layout.hidden_size,
        "tied": layout.tied,
        "eps": gpt.eps,
        "norm": layout.norm,
        "activation": layout.activation,
        "biases": layout.biases,
        "final_norm": layout.final_norm,
        "embedding_norm": layout.embedding_norm,
    }
    return _core.sampling.Gpt(network, list(gpt.parameters), gpt.parameters[0].dtype == np.float64)


def direct_sampler(network: Any, shaping: Shaping, spelling: Spelling) -> Any:
    """Make the sampler that evaluates a network, that of `native_network`, for each context."""
    return _core.sampling.direct_sampler(
        network,
        shaping.temperature,
        _top_k(network, shaping),
        spelling.encodings,
        spelling.prefix,
        spelling.max_steps,
    )


def network_table_sampler(network: Any, shaping: Shaping, spelling: Spelling) -> Any:
    """Tabulate a network, that of `native_network`, and make the sampler that draws from the table.

    Raises:
        SamplingError: the network's logits are not all finite.

    """
    table = checked(lambda: _core.sampling.tabulate(network, shaping.temperature, _top_k(network, shaping)))
    return _table_sampler(table, spelling)


def rows_table_sampler(
    rows: Iterable[tuple[int, Array]], vocab_size: int, block_size: int, spelling: Spelling
) -> Any:
    """Make the sampler that draws from a table of given rows.

    Args:
        rows: the number of a first row, and the cumulative probabilities (rows, V) float64 from there on; see
            `namegen_ext.sampling.distribution.cumulative_table`.
        vocab_size: V.
        block_size: the number of symbols in a context.
        spelling: what the names are written with.

    """
    table = _core.sampling.ContextTable(vocab_size, block_size)
    for first, cumulative in rows:
        table.set_rows(first, cumulative)
    return _table_sampler(table, spelling)


def checked(call: Callable[[], _Result]) -> _Result:
    """Call a native function that evaluates a network.

    Raises:
        SamplingError: the network's logits are not all finite.

    """
    try:
        return call()
    except _core.sampling.NonFiniteLogitsError:
        raise SamplingError(NOT_FINITE) from None


def lines(text: bytes) -> list[str]:
    """Split names with a newline behind each; other line separators may stand in a name."""
    names = text.decode().split("\n")
    names.pop()  # what is behind the last newline
    return names


def _table_sampler(table: Any, spelling: Spelling) -> Any:
    return _core.sampling.table_sampler(table, spelling.encodings, spelling.prefix, spelling.max_steps)


def _top_k(network: Any, shaping: Shaping) -> int:
    vocab_size: int = network.vocab_size
    return vocab_size if shaping.top_k is None else shaping.top_k


def _float32(array: Array) -> Array:
    with np.errstate(over="ignore"):  # the sampler reports values that are not finite
        return array.astype(np.float32)
