"""The suite ``time-to-loss``: what it runs, and what it makes of the results. test_command.py has whole runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.floor import Rates, Work
from namegen_bench.measuring.settings import FULL, QUICK, Settings
from namegen_bench.suites import time_to_loss_suite as suite
from namegen_ext.cli.train_flags import build_parser, given_options
from namegen_ext.options.recipes import DEFAULT_RECIPE, RECIPES

SECONDS = {"stock": 6.0, "fused-layers": 5.0, "fused-step": 3.0}


def measured(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    losses: dict[str, float],
    only: frozenset[str] | None = None,
) -> tuple[Comparison, list[str]]:
    """Run the suite with made-up processes; return what it yields, and which backends were run in turn."""
    order: list[str] = []

    def train(name: str, settings: Settings, threads: int) -> suite._Run:
        order.append(name)
        return suite._Run(SECONDS[name], {"dev_loss": losses[name], "train_seconds": 0.5})

    monkeypatch.setattr(suite, "_train", train)
    monkeypatch.setattr(suite, "_work_per_step", lambda settings: Work(1e6))
    monkeypatch.setattr(suite, "measure_rates", lambda threads: Rates(1e9, {2**20: 1e9}))
    (comparison,) = suite.run_time_to_loss(settings, (1,), only, lambda what: None)
    return comparison, order


def test_backends_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison, order = measured(monkeypatch, replace(FULL, rounds=2), dict.fromkeys(SECONDS, 2.0))
    assert order[1:] == ["stock", "fused-layers", "fused-step", "fused-layers", "fused-step", "stock"]
    assert {name: found.timing.samples for name, found in comparison.peers.items()} == {
        name: (seconds, seconds) for name, seconds in SECONDS.items()
    }
    assert comparison.speedup("fused-step").median == 2.0
    # 2,000 steps of a million operations, at a thousand million a second.
    assert comparison.peers["fused-step"].share_of_floor == pytest.approx(2.0 / SECONDS["fused-step"])
    assert comparison.most_seconds == 8.0
    assert "fused-step trained for 0.50 s" in "\n".join(comparison.notes)


def test_a_loss_that_is_not_reached_is_told_and_sets_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(FULL, rounds=1)
    comparison, _ = measured(monkeypatch, settings, dict.fromkeys(SECONDS, 2.1))
    assert comparison.most_seconds is None
    assert "fused-step came to 2.1000, which is above 2.05" in "\n".join(comparison.notes)
    # The makemore names, whose loss is harder to lower, are given as a path.
    comparison, _ = measured(
        monkeypatch, replace(settings, data="some/names.txt"), dict.fromkeys(SECONDS, 2.1)
    )
    assert comparison.most_seconds == 8.0
    assert "data=names.txt dev-loss=2.17" in comparison.sizes


@pytest.mark.parametrize("wrong", [2.0051, 1.9949, float("nan")])
def test_another_loss_than_that_of_stock_is_found_out(monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
    losses = {"stock": 2.0, "fused-layers": 2.0049, "fused-step": wrong}
    with pytest.raises(DisagreementError, match="fused-step came to the dev loss"):
        measured(monkeypatch, replace(FULL, rounds=1), losses)


def test_only_the_backends_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = dict.fromkeys(SECONDS, 2.0)
    comparison, order = measured(monkeypatch, QUICK, losses, frozenset({"fused-step", "jax-scan"}))
    assert order == ["stock", "fused-step"]
    assert set(comparison.peers) == {"stock", "fused-step"}
    assert comparison.most_seconds is None  # the times of a quick run are not judged


@pytest.mark.parametrize("name", suite.PEER_FLAGS)
def test_the_command_is_one_that_train_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its options are those of the suite."""
    seen: list[list[str]] = []

    class Finished:
        returncode = 2
        stdout, stderr = "", "usage\npython -m namegen_ext.train: error: told\n"

    def run(command: list[str], **options: Any) -> Finished:
        seen.append(command)
        return Finished()

    monkeypatch.setattr(suite.subprocess, "run", run)
    with pytest.raises(suite.TrainingFailedError, match=f"{name}: python -m namegen_ext.train: error: told"):
        suite._train(name, replace(FULL, data="names.txt"), 2)
    (command,) = seen
    assert command[1:3] == ["-m", "namegen_ext.train"]
    parsed = build_parser("train").parse_args(command[3:])
    options = RECIPES[DEFAULT_RECIPE].train_options(given_options(parsed))
    assert (options.model, options.batch_size, options.steps) == ("mlp", suite.BATCH_SIZE, 2000)
    assert not options.batch_norm
    assert (parsed.threads, parsed.data) == (2, "names.txt")
    assert not Path(parsed.out).parent.exists()  # what a run leaves behind is removed
    assert parsed.fused == {"stock": None, "fused-layers": "layers", "fused-step": "step"}[name]
