"""How a model is sampled: from a table or by asking it, natively or in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from namegen_ext.sampling.distribution import ModelDistribution, TableDistribution
from namegen_ext.sampling.native import native_network
from namegen_ext.sampling.network import NotCoveredError, read_network

Method = Literal["auto", "direct", "table"]
METHODS: tuple[Method, ...] = ("auto", "direct", "table")

Backend = Literal["auto", "native", "python"]
BACKENDS: tuple[Backend, ...] = ("auto", "native", "python")

# A table larger than this is never chosen by "auto", and refused when asked for.
MAX_TABLE_BYTES = 256 * 2**20

# "auto" takes the table where it has at most so many contexts per name.
# Measured with 27 symbols, block 3 and hidden 200 (19,683 contexts) on one thread: the table takes
# 20 ms, and both methods take as long as each other at about 2,500 names.
TABLE_CONTEXTS_PER_NAME = 8
# The same where the native sampler can evaluate the network itself: for the same model, from about 150,000
# names on the table pays.
NATIVE_TABLE_CONTEXTS_PER_NAME = 0.125


@dataclass(frozen=True)
class Plan:
    """How a model is sampled.

    Attributes:
        method: "direct" or "table".
        why_not_native: None where the native sampler draws, else why it is Python.
        network: what the native sampler evaluates, for "direct"; else None.

    """

    method: Literal["direct", "table"]
    why_not_native: str | None = None
    network: Any = None


def make_plan(direct: ModelDistribution, expected_names: int, *, method: Method, backend: Backend) -> Plan:
    """Choose how to sample a model.

    Args:
        direct: the model, with its sizes.
        expected_names: about how many names will be drawn.
        method: what was asked for; see `NameSampler`.
        backend: the same.

    Raises:
        ValueError: what was asked for can't be had; the message names the argument.
        SamplingError: the model's logits are not all finite.

    """
    network, why_not = None, "Python was asked for"
    if backend != "python" and method != "table":
        try:
            network, why_not = native_network(read_network(direct)), ""
        except NotCoveredError as error:
            why_not = str(error)
    per_name = TABLE_CONTEXTS_PER_NAME if network is None else NATIVE_TABLE_CONTEXTS_PER_NAME
    if _takes_table(direct, per_name * expected_names, method):
        # A table is made by asking the model, whatever it is.
        return Plan("table", why_not if backend == "python" else None)
    if backend == "native" and network is None:
        raise ValueError(
            f"backend must be 'auto' or 'python' for this model without a table, but got 'native': {why_not}"
        )
    return Plan("direct", None if network is not None else why_not, network)


def _takes_table(direct: ModelDistribution, most_contexts: float, method: Method) -> bool:
    num_contexts = direct.vocab_size**direct.block_size
    table_bytes = TableDistribution.num_bytes(direct.vocab_size, direct.block_size)
    if method == "table" and table_bytes > MAX_TABLE_BYTES:
        raise ValueError(
            f"method 'table' must need at most {MAX_TABLE_BYTES // 2**20} MiB, but {direct.vocab_size} symbols "
            f"and block_size {direct.block_size} make {num_contexts:,} contexts and "
            f"{table_bytes // 2**20:,} MiB"
        )
    if method == "auto":
        return table_bytes <= MAX_TABLE_BYTES and num_contexts <= most_contexts
    return method == "table"
