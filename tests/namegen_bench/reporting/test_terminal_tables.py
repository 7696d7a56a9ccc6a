"""The tables say what was found."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from namegen_bench.measuring.comparison import RESIDENT_NOISE, Comparison, Measured
from namegen_bench.measuring.timing import Quartiles, Timing
from namegen_bench.reporting.terminal_tables import _share, print_comparisons, verdict


def printed(*comparisons: Comparison) -> str:
    console = Console(file=io.StringIO(), width=150)
    print_comparisons(comparisons, console)
    return console.file.getvalue()


def with_peaks(comparison: Comparison, allocated: int | None, resident: int | None) -> Comparison:
    fused = replace(comparison.peers["fused-layers"], peak_allocated=allocated, peak_resident=resident)
    return replace(comparison, peers=comparison.peers | {"fused-layers": fused})


@pytest.mark.parametrize(
    ("target", "expected"), [(1.9, "met"), (2.0, "met"), (2.1, "within noise"), (2.3, "missed")]
)
def test_verdict(target: float, expected: str) -> None:
    assert verdict(Quartiles(1.8, 2.0, 2.2), target) == expected


def test_a_line_for_each_peer(comparison: Comparison) -> None:
    text = printed(comparison)
    (stock,) = [line for line in text.splitlines() if "stock" in line]
    (fused,) = [line for line in text.splitlines() if "fused-layers" in line]
    assert "ops: batch_norm (H=200)" in text
    assert "forward+backward" in stock
    assert "1,024" in stock
    assert "500.0 (450.0 to 550.0)" in stock
    assert "250.0 (225.0 to 275.0)" in fused
    assert "2.00 (2.00 to 2.00)" in fused
    assert "2.5 missed" in fused
    assert "note: nothing [to] see" in text
    assert "loss" not in text
    assert "compiling" not in text


def test_without_a_target_there_is_no_verdict(comparison: Comparison) -> None:
    text = printed(replace(comparison, target=None))
    assert "missed" not in text
    assert "met" not in text


def test_losses_and_compile_times_have_columns_where_there_are_some(comparison: Comparison) -> None:
    fused = replace(comparison.peers["fused-layers"], loss=2.5, compile_seconds=12.34)
    text = printed(replace(comparison, peers=comparison.peers | {"fused-layers": fused}))
    assert "2.500000" in text
    assert "12.3" in text


@pytest.mark.parametrize(
    ("allocated", "resident", "above"),
    [
        (4000, 900_000, False),
        (4001, 900_000, True),
        (4000, 900_000 + RESIDENT_NOISE, False),
        (4000, 900_000 + RESIDENT_NOISE + 1, True),
        (None, None, False),
        (2000, None, False),
    ],
)
def test_memory_above_that_of_stock_is_pointed_out(
    comparison: Comparison, allocated: int | None, resident: int | None, above: bool
) -> None:
    assert ("above stock" in printed(with_peaks(comparison, allocated, resident))) is above


@pytest.mark.parametrize(
    ("share", "text"), [(None, ""), (0.0031, "0.31%"), (0.042, "4.2%"), (0.42, "42%"), (1.0, "100%")]
)
def test_shares_have_two_digits(share: float | None, text: str) -> None:
    assert _share(share) == text


def test_threads_have_a_column_where_they_were_chosen(comparison: Comparison) -> None:
    assert "threads" not in printed(comparison)
    chosen = {peer: replace(found, threads=16) for peer, found in comparison.peers.items()}
    text = printed(replace(comparison, peers=chosen))
    assert "threads" in text
    assert text.count(" 16 ") == 2


def test_the_memory_of_whole_steps_is_shown_and_not_judged(comparison: Comparison) -> None:
    peers = {
        peer: replace(found, peak_allocated=None, peak_resident=size)
        for (peer, found), size in zip(comparison.peers.items(), (1 << 20, 9 << 20), strict=True)
    }
    text = printed(replace(comparison, peers=peers))
    assert "1,024" in text
    assert "9,216" in text
    assert "above stock" not in text


def test_the_targets_of_the_step_engine_are_over_the_peers_named(comparison: Comparison) -> None:
    peers = comparison.peers | {
        "fused-step": Measured(Timing((1e-4, 1e-4, 1e-4), 50), share_of_floor=0.42),
        "plain-tensors": Measured(Timing((8e-4, 8e-4, 8e-4), 50)),
    }
    targets = {"plain-tensors": 7.5, "stock": 6.0, "jax-scan": 2.0}
    text = printed(replace(comparison, peers=peers, step_targets=targets))
    assert "7.5 x plain-tensors: 8.00 met" in text
    assert "6 x stock: 5.00 missed" in text
    assert "jax-scan" not in text  # which was not measured
    assert "42%" in text


def test_several_cases_stand_in_one_table(comparison: Comparison) -> None:
    alone = replace(comparison, case="other", sizes="H=9", peers={"stock": comparison.peers["stock"]})
    text = printed(comparison, alone)
    assert text.count("┏") == 1
    for words in ("batch_norm", "H=200", "other", "H=9"):
        assert words in text


@pytest.mark.parametrize(
    ("most", "word"), [(8.0, "met"), (3.0, "met"), (2.8, "within noise"), (2.7, "missed")]
)
def test_seconds_at_most(comparison: Comparison, most: float, word: str) -> None:
    peers = {
        "stock": Measured(Timing((6.0, 5.0, 7.0), 1)),
        "fused-step": Measured(Timing((2.5, 3.0, 3.5), 1)),  # quartiles 2.75, 3.0, 3.25
    }
    whole = replace(comparison, mode="process", peers=peers, most_seconds=most)
    text = printed(whole)
    assert f"{most:g} s at most: {word}" in text
    assert "time, s" in text
    assert "3.00 (2.75 to 3.25)" in text
