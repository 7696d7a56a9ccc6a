"""The suite ``scaling``: what it varies, and with how many threads."""

from __future__ import annotations

import pytest

from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.settings import FULL, QUICK
from namegen_bench.suites import scaling_suite
from namegen_bench.suites.scaling_suite import run_scaling, scaling_cases
from namegen_bench.suites.train.race import Race
from namegen_bench.suites.train.train_case import TrainCase, TrainData

RATES = Rates(1e9, {2**20: 1e9})


def test_one_thing_is_varied_at_a_time() -> None:
    cases = scaling_cases(quick=False)
    assert {case.batch_size for case in cases if case.hidden_size == 200} >= {2, 32, 1024, 65536}
    assert len({case.hidden_size for case in cases if case.batch_size == 32}) >= 4
    assert all(case.batch_size == 32 or case.hidden_size == 200 for case in cases)
    assert all(case.model == "mlp" and case.batch_norm for case in cases)
    # At least two steps: the loss of the second shows whether the first one's update was right.
    assert all(case.steps >= 2 and case.steps % case.timed_steps == 0 for case in cases)


def test_a_quick_run() -> None:
    comparisons = list(run_scaling(QUICK, (1,), frozenset({"fused-step"}), lambda what: None))
    assert [(one.suite, one.mode, one.batch) for one in comparisons] == [
        ("scaling", "step", 2),
        ("scaling", "step", 32),
    ]
    for one in comparisons:
        assert list(one.peers) == ["stock", "fused-step"]
        assert one.peers["stock"].loss == pytest.approx(one.peers["fused-step"].loss, abs=1e-4)
        for found in one.peers.values():
            assert found.timing.seconds.median > 0
            assert found.share_of_floor is not None


def test_many_threads_where_there_is_work_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    raced: dict[tuple[int, int], tuple[list[str], list[int]]] = {}

    def pretend(
        case: TrainCase, data: TrainData, names: list[str], rates: dict[int, Rates], *rest: object
    ) -> Race:
        raced[case.batch_size, case.hidden_size] = names, list(rates)
        return Race({}, (), ())

    monkeypatch.setattr(scaling_suite, "run_race", pretend)
    monkeypatch.setattr(scaling_suite, "measure_rates", lambda threads: RATES)
    list(run_scaling(FULL, (1, 12), None, lambda what: None))
    everywhere = ["stock", "fused-layers", "fused-step", "jax-scan"]
    assert raced[32, 200] == (everywhere, [1, 12])
    assert raced[8192, 200] == (everywhere, [1, 2, 4, 8, 12])
    assert raced[65536, 200] == ([*everywhere[:3], "torch.compile", "jax-scan"], [1, 12])


@pytest.mark.parametrize(
    ("counts", "expected"), [((1,), [1]), ((1, 2), [1, 2]), ((1, 8), [1, 2, 4, 8]), ((3,), [3])]
)
def test_powers_of_two_between(counts: tuple[int, ...], expected: list[int]) -> None:
    assert scaling_suite._powers_between(counts) == expected
