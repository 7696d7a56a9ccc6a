"""Chooses how a model is sampled: from a table or by asking it, natively or in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["auto", "direct", "table"]
METHODS: tuple[Method, ...] = ("auto", "direct", "table")

Backend = Literal["auto", "native", "python"]
BACKENDS: tuple[Backend, ...] = ("auto", "native", "python")

# "auto" never chooses a table larger than this, and "table" refuses it.
MAX_TABLE_BYTES = 256 * 2**20

# "auto" takes the table where it has at most so many contexts for each name. Where torch makes the table, it is the
# quicker way from about 2,500 names on.
# Measured: 20 ms to make the table (V=27, block 3, H=200, 19,683 contexts, 1 thread).
TABLE_CONTEXTS_PER_NAME = 8
# The same where the native sampler makes the table.
# Measured: 8.3 ms without the table, 9.3 ms with (40,000 names, V=27, block 3, H=200); 13.3 ms without, 12.2 ms with
# (80,000 names).
NATIVE_TABLE_CONTEXTS_PER_NAME = 0.25


# Names that meet constraints are drawn by messages where the contexts, times the states of what is asked for, are at
# most so many: 128 MiB. A message takes a multiplication for each symbol; so many take about a second.
MOST_MESSAGES = 2**24
MOST_MESSAGE_LINKS = 2**29
MOST_MESSAGE_CONTEXTS = 2**18
# Elsewhere so many of the likeliest beginnings of names are followed first.
FOLLOWED_BEGINNINGS = 8192
_MOST_BEGINNING_LINKS = 2**20


@dataclass(frozen=True)
class Plan:
    """How a model is sampled.

    Attributes:
        method: "direct" or "table".
        why_not_native: None where the native sampler draws, else why it is Python.

    """

    method: Literal["direct", "table"]
    why_not_native: str | None = None


def make_plan(
    vocab_size: int,
    block_size: int,
    expected_names: int,
    *,
    why_no_network: str | None,
    method: Method,
    backend: Backend,
) -> Plan:
    """Choose how to sample a model.

    Args:
        vocab_size: V, the number of symbols, the end marker included.
        block_size: the number of symbols in a context.
        expected_names: about how many names will be drawn.
        why_no_network: None where the native sampler can evaluate the model itself, else why it cannot.
        method: what was asked for; see `NameSampler`.
        backend: the same.

    Raises:
        ValueError: what was asked for can't be had; the message names the argument.

    """
    per_name = TABLE_CONTEXTS_PER_NAME if why_no_network is not None else NATIVE_TABLE_CONTEXTS_PER_NAME
    if _takes_table(vocab_size, block_size, per_name * expected_names, method):
        # The native sampler draws from the table of any model.
        return Plan("table", why_no_network if backend == "python" else None)
    if backend == "native" and why_no_network is not None:
        raise ValueError(
            "backend must be 'auto' or 'python' for this model without a table, but got 'native': "
            f"{why_no_network}"
        )
    return Plan("direct", why_no_network)


def most_message_contexts(states: int, vocab_size: int) -> int:
    """Return for how many contexts messages are kept, for an automaton of so many states."""
    fitting = min(
        MOST_MESSAGE_CONTEXTS,
        MOST_MESSAGES // states,
        MOST_MESSAGE_LINKS // (states * vocab_size),
        MOST_MESSAGES // vocab_size,
    )
    return max(1, fitting)


def followed_beginnings(vocab_size: int) -> int:
    """Return how many beginnings of names are followed before names are drawn by rejection."""
    return max(1, min(FOLLOWED_BEGINNINGS, _MOST_BEGINNING_LINKS // vocab_size))


def table_bytes(vocab_size: int, block_size: int) -> int:
    """Tell how much memory a table of all contexts takes, in float64."""
    return 8 * (vocab_size**block_size + 1) * row_width(vocab_size)


def row_width(vocab_size: int) -> int:
    """Return the power of two that the binary search needs; the padding is above every uniform number."""
    return 1 << (vocab_size - 1).bit_length()


def _takes_table(vocab_size: int, block_size: int, most_contexts: float, method: Method) -> bool:
    num_contexts = vocab_size**block_size
    num_bytes = table_bytes(vocab_size, block_size)
    if method == "table" and num_bytes > MAX_TABLE_BYTES:
        raise ValueError(
            f"method 'table' must need at most {MAX_TABLE_BYTES // 2**20} MiB, but {vocab_size} symbols "
            f"and block_size {block_size} make {num_contexts:,} contexts and "
            f"{num_bytes // 2**20:,} MiB"
        )
    if method == "auto":
        return num_bytes <= MAX_TABLE_BYTES and num_contexts <= most_contexts
    return method == "table"
