"""What counts as faster or slower. No time is measured here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from namegen_bench.measuring.timing import Quartiles
from namegen_bench.reporting.changes import (
    FASTER,
    FLOOR,
    SLOWER,
    UNCHANGED,
    Change,
    Changes,
    compare_results,
    print_changes,
)
from namegen_bench.reporting.results import Key, Result

keys = st.builds(
    Key,
    suite=st.sampled_from(["ops", "train"]),
    case=st.sampled_from(["mlp", "gpt"]),
    peer=st.sampled_from(["stock", "fused-step"]),
    mode=st.just("step"),
    batch=st.integers(1, 3),
    sizes=st.just("V=27"),
    threads=st.integers(1, 2),
    isa=st.sampled_from(["avx2", "avx512"]),
    cpu=st.just("CPU"),
)
# Quartiles that are at most 1.9 times apart: when all times double, the ranges no longer overlap.
quartiles = st.builds(
    lambda lower, first, second: Quartiles(lower, lower * first, lower * first * second),
    st.floats(1e-6, 10.0),
    st.floats(1.0, 1.3),
    st.floats(1.0, 1.4),
)
runs = st.lists(st.builds(Result, keys, quartiles), max_size=12)


def scaled(results: list[Result], factor: float) -> list[Result]:
    return [replace(one, seconds=one.seconds.scaled(factor)) for one in results]


def printed(changes: Changes) -> str:
    console = Console(file=StringIO(), width=200)
    print_changes(changes, console, "old.csv")
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@given(runs)
def test_a_run_compared_with_itself_has_not_changed(run: list[Result]) -> None:
    changes = compare_results(run, run)
    assert len(changes.of(UNCHANGED)) == len(changes.both) == len({one.key for one in run})
    assert not changes.only_old
    assert not changes.only_new
    assert changes.drift()[0] == 1


@given(runs)
def test_twice_the_time_is_slower_and_half_of_it_faster(run: list[Result]) -> None:
    number = len({one.key for one in run})
    assert len(compare_results(run, scaled(run, 2)).of(SLOWER)) == number
    assert len(compare_results(run, scaled(run, 0.5)).of(FASTER)) == number


@given(runs, runs)
def test_exchanging_the_runs_exchanges_faster_and_slower(first: list[Result], second: list[Result]) -> None:
    there, back = compare_results(first, second), compare_results(second, first)
    opposite = {FASTER: SLOWER, SLOWER: FASTER, UNCHANGED: UNCHANGED}
    for verdict, other in opposite.items():
        assert {one.new.key for one in there.of(verdict)} == {one.new.key for one in back.of(other)}
    assert there.only_old == back.only_new
    total = len({one.key for one in first} | {one.key for one in second})
    assert len(there.both) + len(there.only_old) + len(there.only_new) == total


@given(runs, st.floats(1 / (1 + 0.99 * FLOOR), 1 + 0.99 * FLOOR))
def test_less_than_the_floor_is_never_a_change(run: list[Result], factor: float) -> None:
    assert len(compare_results(run, scaled(run, factor)).of(UNCHANGED)) == len({one.key for one in run})


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ((90, 100, 110), (111, 120, 130), SLOWER),
        ((90, 100, 110), (110, 120, 130), UNCHANGED),  # the ranges touch
        ((90, 100, 110), (70, 80, 89), FASTER),
        ((90, 100, 110), (70, 80, 90), UNCHANGED),
        ((99, 100, 101), (103, 104, 105), UNCHANGED),  # apart, but by less than 5%
        ((99, 100, 101), (105, 106, 107), SLOWER),
        ((105, 106, 107), (99, 100, 101), FASTER),
        ((103, 104, 105), (99, 100, 101), UNCHANGED),
    ],
)
def test_both_conditions_must_hold(
    make_result: Callable[..., Result],
    old: tuple[float, float, float],
    new: tuple[float, float, float],
    verdict: str,
) -> None:
    change = Change(make_result(seconds=Quartiles(*old)), make_result(seconds=Quartiles(*new)))
    assert change.verdict == verdict


def test_the_last_result_of_a_key_is_compared(make_result: Callable[..., Result]) -> None:
    changes = compare_results([make_result(micros=10), make_result(micros=20)], [make_result(micros=10)])
    assert [change.ratio for change in changes.of(FASTER)] == [0.5]


def test_what_changed_is_printed_the_slower_ones_first(make_result: Callable[..., Result]) -> None:
    old = [make_result(batch=batch) for batch in (1, 2, 3, 4)] + [make_result(batch=9)]
    new = [
        make_result(micros=micros, batch=batch) for batch, micros in ((1, 50), (2, 100), (3, 150), (4, 300))
    ]
    text = printed(compare_results(old, [*new, make_result(batch=7)]))
    lines = [line for line in text.splitlines() if "V=27" in line]
    assert [line.split()[1] for line in lines] == ["slower", "slower", "faster"]
    assert [line.split("│")[-2].strip() for line in lines] == ["x 3", "x 1.5", "x 0.5"]
    assert "compared with old.csv: 2 slower, 1 faster, 1 unchanged" in text
    assert "not compared: 1 only in the new run, 1 only in the old" in text


def test_nothing_changed_is_said_without_a_table(make_result: Callable[..., Result]) -> None:
    text = printed(compare_results([make_result()], [make_result()]))
    assert "0 slower, 0 faster, 1 unchanged" in text
    assert "not compared" not in text
    assert "│" not in text


def test_the_drift_is_that_of_the_other_packages(make_result: Callable[..., Result]) -> None:
    peers = ("stock", "jax-scan", "torch.compile", "fused-step", "native")
    old = [make_result(peer) for peer in peers]
    new = [make_result(peer, micros) for peer, micros in zip(peers, (110, 120, 130, 900, 900), strict=True)]
    changes = compare_results(old, new)
    assert changes.drift() == (pytest.approx(1.2), 3)
    assert "x 1.2 in the median of 3" in printed(changes)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"isa": "avx512"}, "instruction set: avx2 then, avx512 now"),
        ({"cpu": "Other CPU"}, "CPU: Made Up CPU then, Other CPU now"),
        ({"gpu": "GPU"}, "GPU: none then, GPU now"),
        ({"threads": 2}, "threads: 1 then, 2 now"),
    ],
)
def test_another_machine_is_said_and_not_compared(
    make_result: Callable[..., Result], changed: dict[str, str], said: str
) -> None:
    changes = compare_results([make_result()], [make_result(micros=900, **changed)])
    assert not changes.both
    text = printed(changes)
    assert f"not compared: 1 that were measured in other circumstances ({said})" in text
    assert "only in" not in text
