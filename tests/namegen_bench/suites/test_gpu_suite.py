"""The suite gpu: refused with the reason where there is no device; its figures where there is one."""

from __future__ import annotations

import pytest
import torch

from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.settings import QUICK
from namegen_bench.measuring.timing import calls_per_sample, measure
from namegen_bench.names import GPU, SUITE_PEERS
from namegen_bench.suites.gpu import gpu_suite
from namegen_bench.suites.gpu.gpu_peers import device_seconds
from namegen_ext import bench


def test_without_a_device_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main(["gpu", "--quick"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "needs a CUDA device" in line


def test_a_clock_of_its_own_takes_the_time() -> None:
    seconds = {"slow": 0.5, "fast": 0.25}
    samplers = {name: lambda times, name=name: name for name in seconds}

    def clock(sampler, times: int) -> float:
        return seconds[sampler(times)] * times

    timings = measure(samplers, QUICK, clock)
    assert timings["slow"].seconds.median == 0.5
    assert timings["fast"].speedup_over(timings["slow"]).median == 2.0
    assert calls_per_sample(samplers["slow"], 4.9, clock) >= 10


def test_peers_of_the_suite_compute_the_same_on_any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    # On the CPU, without graphs and events: the cases, the check and the targets.
    monkeypatch.setattr(gpu_suite, "DEVICE", "cpu")
    monkeypatch.setattr(gpu_suite, "why_not", lambda: None)
    monkeypatch.setattr(gpu_suite, "graphed", gpu_suite.sampler)
    monkeypatch.setattr(gpu_suite, "device_seconds", None)
    monkeypatch.setattr(gpu_suite, "device_rates", lambda device: Rates(1e12, {2**26: 1e11}))
    monkeypatch.setattr(gpu_suite, "_COPY_BYTES", 2**16)
    comparisons = list(gpu_suite.run_gpu(QUICK, (1,), None, lambda what: None))
    assert [(c.case, c.mode, c.batch) for c in comparisons] == [
        ("copy", "forward", 1),
        ("embedding_concat_linear", "forward", 32),
        ("embedding_concat_linear", "forward+backward", 32),
        ("batch_norm", "forward", 32),
        ("batch_norm", "forward+backward", 32),
    ]
    for comparison in comparisons[1:]:
        assert set(comparison.peers) == set(SUITE_PEERS[GPU]) - {"torch.compile"}
        assert any("of the copy's" in note for note in comparison.notes) == (comparison.mode == "forward")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none")
def test_events_take_the_device_s_time() -> None:
    def work(times: int) -> None:
        for _ in range(times):
            torch.cuda._sleep(10_000_000)  # cycles: some milliseconds at any clock of a GPU

    assert 0.001 < device_seconds(work, 1) < 1
    assert device_seconds(work, 4) > 2 * device_seconds(work, 1)
