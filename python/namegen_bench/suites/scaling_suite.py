"""The suite ``scaling``: time and memory of a whole training step against batch, hidden size and threads.

It measures the MLP with batch norm at one size after another. Each size is a race of the peers, as in the suite train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from namegen_bench.measuring.comparison import Comparison, describe_sizes
from namegen_bench.measuring.rates import measure_rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.names import COMPILED, SCALING, STOCK, SUITE_PEERS
from namegen_bench.suites.train.race import compiler_cache, run_race
from namegen_bench.suites.train.train_case import TrainCase, build_data
from namegen_bench.suites.train.train_peers import COMPILING
from namegen_ext.data import load_words

# Batch 1 is left out: a single example has no variance, and stock batch norm refuses to train on it.
_STEPS_BY_BATCH = {2: 200, 32: 200, 1024: 20, 8192: 4, 65536: 2}
_SLOW_STEPS = 65536  # from this batch size on, a call runs one step
_STEPS_BY_HIDDEN_SIZE = {50: 200, 800: 50, 3200: 10}
_HIDDEN_SIZE, _BATCH_SIZE = 200, 32
# This batch is enough work for many threads, so it is measured at 1, 2, 4 and so on, and at all threads.
_BATCH_FOR_THREADS = 8192
# torch.compile is measured at this batch only, where memory limits a step: compiling takes about ten seconds for each
# number of threads. The suite train measures it at batch 32.
_BATCH_TO_COMPILE = 65536


def scaling_cases(quick: bool) -> tuple[TrainCase, ...]:
    """Return the cases: all batches at one hidden size, then all hidden sizes at one batch."""
    if quick:
        return _case(2, _HIDDEN_SIZE, 10), _case(32, 50, 10)
    return (
        *(_case(batch, _HIDDEN_SIZE, steps) for batch, steps in _STEPS_BY_BATCH.items()),
        *(_case(_BATCH_SIZE, hidden, steps) for hidden, steps in _STEPS_BY_HIDDEN_SIZE.items()),
    )


def run_scaling(
    settings: Settings,
    thread_counts: Sequence[int],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Iterator[Comparison]:
    """Measure each case.

    Args:
        settings: how long and how often each peer is measured.
        thread_counts: each peer is measured at all of them; at one batch size, also at the powers of two between
            the least and the most.
        only_peers: the peers to measure beside stock; None for all, without those that compile in a quick run.
        tell: is called with what is being measured.

    Raises:
        DisagreementError: a peer's losses are not those of the stock layers.
        WorkerError: a peer failed.

    """
    words = load_words("census").words
    with compiler_cache() as environment:
        for case in scaling_cases(settings.quick):
            yield _compare(case, words, settings, thread_counts, environment, only_peers, tell)


def _compare(
    case: TrainCase,
    words: list[str],
    settings: Settings,
    thread_counts: Sequence[int],
    environment: dict[str, str],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Comparison:
    counts = _powers_between(thread_counts) if case.batch_size == _BATCH_FOR_THREADS else thread_counts
    rates = {threads: measure_rates(threads) for threads in counts}
    where = f"scaling, batch {case.batch_size:,}, H={case.hidden_size}"
    names = [name for name in SUITE_PEERS[SCALING] if _is_wanted(name, case, settings, only_peers)]
    data = build_data(case, words)
    race = run_race(case, data, names, rates, settings, environment, where, tell)
    return Comparison(
        suite=SCALING,
        case=case.name,
        mode="step",
        sizes=describe_sizes(case.sizes(data.vocab_size)),
        batch=case.batch_size,
        peers=race.peers,
        others=race.others,
        notes=race.notes,
    )


def _case(batch_size: int, hidden_size: int, steps: int) -> TrainCase:
    return TrainCase(
        batch_norm=True,
        batch_size=batch_size,
        steps=steps,
        timed_steps=1 if batch_size >= _SLOW_STEPS else steps,
        hidden_size=hidden_size,
    )


def _is_wanted(name: str, case: TrainCase, settings: Settings, only_peers: frozenset[str] | None) -> bool:
    if name == STOCK:
        return True
    if name == COMPILED and case.batch_size != _BATCH_TO_COMPILE:
        return False
    return name in only_peers if only_peers is not None else not (settings.quick and name in COMPILING)


def _powers_between(thread_counts: Sequence[int]) -> list[int]:
    """Return the numbers of threads together with the powers of two between the least and the most of them."""
    least, most = min(thread_counts), max(thread_counts)
    powers = [2**exponent for exponent in range(most.bit_length()) if least < 2**exponent < most]
    return sorted({*thread_counts, *powers})
