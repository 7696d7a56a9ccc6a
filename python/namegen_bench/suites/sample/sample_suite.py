"""The cases of the suite, and how one is measured.

All peers run in the parent's process. They can share it because all of them are torch, or this package with torch's
number of threads: setting that number before each sample is enough to measure them with different ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.comparison import Comparison, Measured, best_of_threads, describe_sizes
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.rates import measure_rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import Timing, measure
from namegen_bench.names import NATIVE, NODE, ONE_AT_A_TIME, PYTHON, SAMPLE, STOCK, SUITE_PEERS
from namegen_bench.suites.sample.constrained_cases import measure_constrained
from namegen_bench.suites.sample.eager_loops import batched, one_at_a_time
from namegen_bench.suites.sample.node_drawing import find_node, node_drawing
from namegen_bench.suites.sample.process_cases import measure_processes
from namegen_bench.suites.sample.sampling_work import work
from namegen_ext.data import Vocabulary, load_words
from namegen_ext.sampling import sample_names
from namegen_ext.training import RECIPES, Trainer, TrainResult

# The share of names that must be equal when Python and the native sampler draw from the same seed. They differ only
# where two roundings of a probability fall on different sides of the number that was drawn: in one symbol of a million,
# as NameSampler says.
_SAME_NAMES = 0.99


@dataclass(frozen=True)
class SampleCase:
    """A model to draw names from.

    Attributes:
        name: the case's name in the tables.
        options: the options that the model is trained with.
        counts: how many names each peer draws in a call; slow peers draw fewer.
        targets: the speedups that should be reached, by (peer, other peer).
        constrained: whether names that meet a constraint are measured too.

    """

    name: str
    options: dict[str, Any]
    counts: dict[str, int]
    targets: dict[tuple[str, str], float] = field(default_factory=dict)
    constrained: bool = False


_CASES = (
    SampleCase(
        "mlp",
        {"steps": 5000},
        {STOCK: 10_000, ONE_AT_A_TIME: 20, PYTHON: 100_000, NODE: 100_000, NATIVE: 1_000_000},
        {(NATIVE, ONE_AT_A_TIME): 1000},
        constrained=True,
    ),
    SampleCase(
        "wavenet",
        {"model": "wavenet", "steps": 2000},
        {STOCK: 10_000, ONE_AT_A_TIME: 20, PYTHON: 10_000, NODE: 20_000, NATIVE: 100_000},
        {(NATIVE, STOCK): 20},
    ),
    SampleCase(
        "gpt",
        {"model": "gpt", "steps": 2000},
        {STOCK: 2_000, ONE_AT_A_TIME: 20, PYTHON: 5_000, NODE: 2_000, NATIVE: 100_000},
        {(NATIVE, STOCK): 25},
    ),
)


def sample_cases(quick: bool) -> tuple[SampleCase, ...]:
    """Return the cases; for a quick run, models that are hardly trained, and few names."""
    if not quick:
        return _CASES
    return tuple(
        replace(
            case,
            options=case.options | {"steps": 200},
            counts=dict.fromkeys(SUITE_PEERS[SAMPLE], 50),
            targets={},
        )
        for case in _CASES
    )


def run_sample(
    settings: Settings,
    thread_counts: Sequence[int],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Iterator[Comparison]:
    """Measure each case in seconds per name, and the command that draws names in seconds per process.

    The time per name includes making the tables that are drawn from.

    Args:
        settings: how long and how often each peer is measured.
        thread_counts: each peer is measured at all of them, except one-at-a-time and node, which cannot use
            a second thread.
        only_peers: the peers to measure beside stock; None for all.
        tell: is called with what is being measured.

    Raises:
        BenchError: a process failed.
        DisagreementError: Python and the native sampler do not draw the same names, or the command draws too few.

    """
    words = load_words("census").words
    rates = {threads: measure_rates(threads) for threads in thread_counts}
    for case in sample_cases(settings.quick):
        tell(f"{case.name}, training")
        trained = Trainer(words, RECIPES["default"].train_options(case.options), fused="auto").run()
        tell(case.name)
        node = find_node()
        if node is None or (only_peers is not None and NODE not in only_peers):
            yield _compare(case, trained, settings, rates, only_peers, {})
        else:
            options = RECIPES["default"].train_options(case.options)
            with node_drawing(node, trained.model, options, trained.corpus.vocabulary) as drawing:
                yield _compare(case, trained, settings, rates, only_peers, {NODE: drawing.draw})
        if case.constrained and (only_peers is None or NATIVE in only_peers):
            tell(f"{case.name}, constrained")
            block_size = trained.corpus.train[0].shape[1]
            yield measure_constrained(
                case.name,
                trained.model,
                trained.corpus.vocabulary,
                block_size,
                settings,
                rates[thread_counts[0]],
            )
    if only_peers is None or NATIVE in only_peers:
        mlp = sample_cases(settings.quick)[0]
        yield from measure_processes(mlp.name, mlp.options, settings, rates[thread_counts[0]], tell)


def _compare(
    case: SampleCase,
    trained: TrainResult,
    settings: Settings,
    rates: dict[int, Rates],
    only_peers: frozenset[str] | None,
    elsewhere: dict[str, Callable[[int], None]],
) -> Comparison:
    """Compare the peers of a case; those of ``elsewhere`` draw in other processes, on one thread."""
    model, vocabulary = trained.model, trained.corpus.vocabulary
    block_size = trained.corpus.train[0].shape[1]
    _check(case, model, vocabulary)
    draw: dict[str, Callable[[int], object]] = {
        **elsewhere,
        STOCK: lambda n: batched(model, vocabulary, block_size, n),
        ONE_AT_A_TIME: lambda n: one_at_a_time(model, vocabulary, block_size, n),
        PYTHON: lambda n: sample_names(model, vocabulary, n, seed=1, backend="python"),
        NATIVE: lambda n: sample_names(model, vocabulary, n, seed=1, backend="native"),
    }
    peers = [
        name
        for name in SUITE_PEERS[SAMPLE]
        if name in draw and (name == STOCK or only_peers is None or name in only_peers)
    ]
    one_thread = (ONE_AT_A_TIME, NODE)
    counts = {peer: [*rates][:1] if peer in one_thread else [*rates] for peer in peers}

    def sampler(peer: str, threads: int) -> Callable[[int], None]:
        def sample(calls: int) -> None:
            torch.set_num_threads(threads)
            for _ in range(calls):
                draw[peer](case.counts[peer])

        return sample

    torch.manual_seed(0)
    before = torch.get_num_threads()
    entries = [(peer, threads) for peer in peers for threads in counts[peer]]
    try:
        timings = measure({entry: sampler(*entry) for entry in entries}, settings)
    finally:
        torch.set_num_threads(before)
    names = sample_names(model, vocabulary, max(case.counts.values()), seed=1, backend="native")
    least = {n: work(model, names[:n], vocabulary, block_size) for n in {case.counts[peer] for peer in peers}}
    measured: dict[tuple[str, int], Measured] = {}
    for (peer, threads), timing in timings.items():
        n = case.counts[peer]
        floor = rates[threads].floor_seconds(least[n]) / n
        per_name = replace(timing, samples=tuple(s / n for s in timing.samples), calls=timing.calls * n)
        measured[peer, threads] = Measured(
            per_name,
            threads=threads,
            share_of_floor=floor / per_name.seconds.median,
            rates=rates[threads],
        )
    best, others = best_of_threads(measured)
    return Comparison(
        suite=SAMPLE,
        case=case.name,
        mode="name",
        sizes=describe_sizes({"V": len(vocabulary), "block": block_size}),
        batch=case.counts[NATIVE],
        peers=best,
        others=others,
        notes=(
            f"{case.name}: names in a call, tables made anew in each: "
            + ", ".join(f"{peer} {case.counts[peer]:,}" for peer in peers),
            *_aims(case, {peer: found.timing for peer, found in best.items()}),
        ),
    )


def _aims(case: SampleCase, timings: dict[str, Timing]) -> Iterator[str]:
    for (peer, other), aim in case.targets.items():
        if peer in timings and other in timings:
            found = timings[peer].speedup_over(timings[other]).median
            yield f"{case.name}: {peer} is {found:,.0f} times as fast as {other} (aim: {aim:g})"


def _check(case: SampleCase, model: nn.Module, vocabulary: Vocabulary) -> None:
    """Check that the native sampler draws the names of the readable one."""
    expected = sample_names(model, vocabulary, 500, seed=7, backend="python")
    found = sample_names(model, vocabulary, 500, seed=7, backend="native")
    same = sum(map(str.__eq__, expected, found)) / len(expected)
    if same < _SAME_NAMES:
        raise DisagreementError(
            f"{case.name}: {same:.1%} of the names are the same, expected {_SAME_NAMES:.0%}"
        )
