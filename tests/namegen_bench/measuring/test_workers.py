"""Workers answer. A worker that cannot answer says who it is and why."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from namegen_bench.measuring.settings import QUICK
from namegen_bench.measuring.workers import (
    PeerUnavailableError,
    Prepare,
    Worker,
    WorkerError,
    measure_workers,
)
from namegen_bench.suites.train.prepare import FirstSteps, preparation
from namegen_bench.suites.train.train_case import TrainCase, TrainData, build_data
from namegen_ext.data import load_words

CASE = TrainCase(batch_norm=True, batch_size=8, steps=4, timed_steps=2, hidden_size=8)


@pytest.fixture(scope="module")
def data() -> TrainData:
    return build_data(CASE, load_words("census").words[:200])


def stock(data: TrainData) -> Prepare:
    return preparation("stock", CASE, data)


def test_a_worker_builds_runs_and_ends(data: TrainData) -> None:
    with Worker("here", stock(data), 1) as worker:
        first = worker.result()
        assert isinstance(first, FirstSteps)
        assert len(first.losses) == 4
        assert first.seconds > 0
        began = time.perf_counter()
        seconds = worker.run(3)
        assert 0 < seconds < time.perf_counter() - began  # its own clock, without the way there and back
        peak = worker.peak_memory()
        assert peak is None or 0 <= peak < 2**30
        process = worker._process
    assert process.exitcode == 0
    worker.close()  # once more does no harm


def test_a_larger_batch_holds_more_memory(data: TrainData) -> None:
    def peak(batch_size: int) -> int:
        case = replace(CASE, batch_size=batch_size, hidden_size=200, steps=1, timed_steps=1)
        with Worker("here", preparation("stock", case, data), 1) as worker:
            worker.result()
            found = worker.peak_memory()
            if found is None:
                pytest.skip("the system does not tell how much memory a process holds")
            return found

    # The outputs of the linear layer, batch norm and tanh are all kept for the backward pass. A part of them fits into
    # memory that the process already held.
    assert peak(16384) - peak(8) > 2 * 16384 * 200 * 4


def test_workers_are_measured_in_turn(data: TrainData) -> None:
    with Worker("a", stock(data), 1) as a, Worker("b", stock(data), 1) as b:
        assert a.result().losses == b.result().losses
        timings = measure_workers({("a", 1): a, ("b", 1): b}, QUICK)
    assert set(timings) == {("a", 1), ("b", 1)}
    for timing in timings.values():
        assert len(timing.samples) >= QUICK.min_rounds
        assert all(0 < seconds < 60 for seconds in timing.samples)
        assert timing.warm_up_seconds is not None


def test_a_peer_that_cannot_be_had(data: TrainData) -> None:
    with (
        Worker("here", preparation("numpy", CASE, data), 1) as worker,
        pytest.raises(PeerUnavailableError, match="written for the bigram alone"),
    ):
        worker.result()


def test_an_error_names_the_worker(data: TrainData) -> None:
    with (
        Worker("mlp: nobody at 1 thread", preparation("nobody", CASE, data), 1) as worker,
        pytest.raises(WorkerError, match="mlp: nobody at 1 thread: KeyError: 'nobody'"),
    ):
        worker.result()


def test_a_worker_that_dies_names_itself(data: TrainData) -> None:
    # Called with the number of threads, which becomes the status.
    with (
        Worker("mlp: gone", os._exit, 3) as worker,
        pytest.raises(WorkerError, match="mlp: gone: its process ended with status 3"),
    ):
        worker.result()
    with Worker("mlp: killed", stock(data), 1) as worker:
        worker.result()
        worker._process.kill()
        worker._process.join()
        with pytest.raises(WorkerError, match="mlp: killed: its process ended with status -9"):
            worker.run(1)


def test_a_worker_in_the_middle_of_something_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("namegen_bench.measuring.workers._END_SECONDS", 0.1)
    worker = Worker("asleep", time.sleep, 60)  # for as many seconds as threads
    worker.close()
    assert worker._process.exitcode == -9


def test_no_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("namegen_bench.measuring.workers._END_SECONDS", 0.1)
    monkeypatch.setattr("namegen_bench.measuring.workers._ANSWER_SECONDS", 0.1)
    with (
        Worker("asleep", time.sleep, 60) as worker,
        pytest.raises(WorkerError, match="asleep: no answer within"),
    ):
        worker.result()


def test_the_environment_is_set_before_anything_is_built() -> None:
    # Called with the number of threads, which is returned where the variable is missing; neither is Prepared.
    prepare: Any = partial(os.getenv, "NAMEGEN_BENCH_TEST")
    for environment, kind in (({"NAMEGEN_BENCH_TEST": "yes"}, "str"), ({}, "int")):
        with (
            Worker("here", prepare, 1, environment) as worker,
            pytest.raises(WorkerError, match=f"'{kind}' object has no attribute 'result'"),
        ):
            worker.result()
