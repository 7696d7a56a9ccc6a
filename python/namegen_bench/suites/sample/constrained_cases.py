"""Names that meet a constraint: drawn so at once, and by leaving out those that do not.

The peer "native" draws from the model's distribution given the constraint. "python" draws all names natively, by
`namegen_ext.sampling.iter_names`, and a loop in Python leaves out those that do not match. "stock" does the same with
the names of a batched loop in eager PyTorch. All three draw from one distribution.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch import nn

from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.comparison import Comparison, Measured, describe_sizes
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import measure
from namegen_bench.names import NATIVE, PYTHON, SAMPLE, STOCK
from namegen_bench.suites.sample.eager_loops import batched
from namegen_ext.data import Vocabulary
from namegen_ext.sampling import iter_names, sample_names
from namegen_ext.steering import Constraints

PATTERN = "[a-z]{4,7}a"
AIM = 20.0  # times as fast as the loop in Python
NAMES_PER_SECOND = 1_000_000
_COUNTS = {STOCK: 1000, PYTHON: 20_000, NATIVE: 1_000_000}
_QUICK_COUNTS = {STOCK: 5, PYTHON: 50, NATIVE: 50}
_ENDLESS = 2**60


def measure_constrained(
    case: str,
    model: nn.Module,
    vocabulary: Vocabulary,
    block_size: int,
    settings: Settings,
    rates: Rates,
) -> Comparison:
    """Measure the time per name, on one thread. Making tables and messages is a part of it.

    Args:
        case: the model's name in the tables.
        model: what names are drawn from.
        vocabulary: its symbols.
        block_size: the number of symbols in a context.
        settings: how long and how often each peer is measured.
        rates: the machine's rates, for the rows.

    Raises:
        DisagreementError: a name does not match.

    """
    counts = _QUICK_COUNTS if settings.quick else _COUNTS
    matches = re.compile(PATTERN).fullmatch
    draw: dict[str, Callable[[int], list[str]]] = {
        STOCK: lambda n: list(islice(filter(matches, _all_names(model, vocabulary, block_size)), n)),
        PYTHON: lambda n: _left_over(model, vocabulary, n),
        NATIVE: lambda n: sample_names(
            model, vocabulary, n, block_size=block_size, seed=1, constraints=Constraints(match=PATTERN)
        ),
    }
    for peer, sampler in draw.items():
        found = sampler(counts[STOCK])
        if len(found) != counts[STOCK] or not all(map(matches, found)):
            raise DisagreementError(f"{case}: {peer} gave other names than {PATTERN!r} matches")

    def sample(peer: str) -> Callable[[int], None]:
        def run(calls: int) -> None:
            for _ in range(calls):
                draw[peer](counts[peer])

        return run

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = measure({peer: sample(peer) for peer in draw}, settings)
    finally:
        torch.set_num_threads(before)
    per_name = {
        peer: replace(
            timing,
            samples=tuple(seconds / counts[peer] for seconds in timing.samples),
            calls=timing.calls * counts[peer],
        )
        for peer, timing in timings.items()
    }
    speedup = per_name[NATIVE].speedup_over(per_name[PYTHON]).median
    names_per_second = 1 / per_name[NATIVE].seconds.median
    return Comparison(
        suite=SAMPLE,
        case=case,
        mode="constrained",
        sizes=describe_sizes({"V": len(vocabulary), "block": block_size}),
        batch=counts[NATIVE],
        peers={peer: Measured(timing, threads=1, rates=rates) for peer, timing in per_name.items()},
        notes=(
            f"{case}, names that match {PATTERN}: native draws {names_per_second:,.0f} a second on one thread, with "
            f"the making of the messages (aim: {NAMES_PER_SECOND:,}); {speedup:,.1f} times as fast as leaving out in "
            f"Python what does not match (aim: {AIM:g})",
        ),
    )


def _all_names(model: nn.Module, vocabulary: Vocabulary, block_size: int) -> Iterator[str]:
    while True:
        yield from batched(model, vocabulary, block_size, 1000)


def _left_over(model: nn.Module, vocabulary: Vocabulary, n: int) -> list[str]:
    names: list[str] = []
    for name in iter_names(model, vocabulary, _ENDLESS, seed=1):
        if re.fullmatch(PATTERN, name):
            names.append(name)
            if len(names) == n:
                break
    return names
