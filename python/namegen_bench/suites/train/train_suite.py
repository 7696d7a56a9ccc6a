"""The suite ``train``: each case is a race of all peers. Each peer is shown at its best number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from namegen_bench.measuring.comparison import Comparison, describe_sizes
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.rates import measure_rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.names import NUMPY, STOCK, SUITE_PEERS, TRAIN
from namegen_bench.suites.train.race import compiler_cache, run_race
from namegen_bench.suites.train.train_case import TrainCase, build_data
from namegen_bench.suites.train.train_case_list import COMPILED_CASES, train_cases
from namegen_bench.suites.train.train_peers import COMPILING, SLOW_TO_COMPILE
from namegen_ext.data import load_words

# A round of all peers takes one to two seconds, longer than a round of an operator. So the budget is this many times as
# large as the one of the settings.
_BUDGETS = 3.5
_MIN_ROUNDS = 5
# A process that has waited is slow for some milliseconds. Measured: 17.7 us a step after waiting, 11.3 us without (step
# engine, batch 32). A sample is this many times as long as the settings say, a twentieth of a second, so that this
# counts for little.
_SAMPLES = 5


def run_train(
    settings: Settings,
    thread_counts: Sequence[int],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Iterator[Comparison]:
    """Measure each case.

    Args:
        settings: how long and how often each peer is measured.
        thread_counts: each peer is measured at all of them.
        only_peers: the peers to measure beside stock; None for all, without those that compile in a quick run.
        tell: is called with what is being measured.

    Raises:
        DisagreementError: a peer's losses are not those of the stock layers.
        WorkerError: a peer failed.

    """
    words = load_words("census").words
    if not settings.quick:
        budget = _BUDGETS * settings.budget_seconds
        settings = replace(
            settings,
            budget_seconds=budget,
            min_rounds=_MIN_ROUNDS,
            sample_seconds=_SAMPLES * settings.sample_seconds,
        )
    with compiler_cache() as environment:
        for case in train_cases(settings.quick):
            rates = {threads: measure_rates(threads) for threads in thread_counts}
            yield _compare(case, words, settings, rates, environment, only_peers, tell)


def _compare(
    case: TrainCase,
    words: list[str],
    settings: Settings,
    rates: dict[int, Rates],
    environment: dict[str, str],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Comparison:
    where = f"{case.name}, batch {case.batch_size:,}"
    data = build_data(case, words)
    names, notes = _choose(case, settings, only_peers, where)
    race = run_race(case, data, names, rates, settings, environment, where, tell)
    return Comparison(
        suite=TRAIN,
        case=case.name,
        mode="step",
        sizes=describe_sizes(case.sizes(data.vocab_size)),
        batch=case.batch_size,
        peers=race.peers,
        others=race.others,
        target=None if settings.quick else case.target,
        step_targets={} if settings.quick else case.step_targets,
        notes=(*notes, *race.notes),
    )


def _choose(
    case: TrainCase, settings: Settings, only_peers: frozenset[str] | None, where: str
) -> tuple[list[str], list[str]]:
    """Choose the peers of a case; return them and sentences about those that are left out."""
    names, notes = [], []
    for name in SUITE_PEERS[TRAIN]:
        if name == NUMPY and case.model != "bigram":
            continue  # no note, because nobody expects numpy there
        if only_peers is not None:
            if name == STOCK or name in only_peers:
                names.append(name)
        elif settings.quick and name in COMPILING:
            notes.append(f"{name} left out of a quick run: it takes long to compile")
        elif name in SLOW_TO_COMPILE and case not in COMPILED_CASES[name]:
            notes.append(f"{where}: {name} left out, as it takes long to compile; --peers {name} measures it")
        else:
            names.append(name)
    return names, notes
