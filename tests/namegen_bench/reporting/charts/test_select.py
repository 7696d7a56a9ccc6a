"""Which results are shown, and how numbers are written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from namegen_bench.reporting.charts.scaling_charts import short_bytes
from namegen_bench.reporting.charts.select import (
    best_of_threads,
    case_title,
    machine_line,
    of_one_machine,
    short_time,
    size_of,
    sizes_without,
    times_as_fast,
)
from namegen_bench.reporting.results import Result


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.83e-5, "18.3 µs"),
        (9.99e-5, "99.9 µs"),
        (9.996e-5, "100 µs"),
        (4.25e-4, "425 µs"),
        (9.996e-4, "1.00 ms"),
        (1.234e-3, "1.23 ms"),
        (0.09996, "100 ms"),
        (2.6, "2.60 s"),
        (1234.0, "1,234 s"),
        (1.2e-7, "120 ns"),
    ],
)
def test_short_time(seconds: float, text: str) -> None:
    assert short_time(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.0231, "0.023×"), (0.566, "0.57×"), (0.999, "1.0×"), (8.87, "8.9×"), (77.6, "78×")]
)
def test_times_as_fast(ratio: float, text: str) -> None:
    assert times_as_fast(ratio) == text


@pytest.mark.parametrize(
    ("value", "text"), [(512, "512 B"), (2048, "2 KiB"), (1.5 * 2**20, "1.5 MiB"), (3 * 2**30, "3 GiB")]
)
def test_short_bytes(value: float, text: str) -> None:
    assert short_bytes(value) == text


def test_sizes() -> None:
    assert size_of("V=27 E=10 H=200", "H") == 200
    assert size_of("V=27 E=10 H=200", "V") == 27
    assert size_of("block=3 EH=4", "H") is None
    assert sizes_without("V=27 H=200 block=3", "H") == "V=27 block=3"


def test_case_title() -> None:
    assert case_title("mlp with batch norm") == "MLP with batch norm"
    assert case_title("embedding_concat_linear") == "embedding_concat_linear"


def test_the_best_number_of_threads_of_each(make_result: Callable[..., Result]) -> None:
    fast_alone = [make_result("stock", 10), make_result("stock", 20, threads=2)]
    fast_together = [make_result("numpy", 10), make_result("numpy", 6, threads=2)]
    assert best_of_threads([*fast_alone, *fast_together]) == [fast_alone[0], fast_together[1]]


def test_results_of_one_machine(make_result: Callable[..., Result]) -> None:
    other = make_result(cpu="Other CPU")
    isa = make_result(isa="avx512")
    old, new = make_result(micros=9), make_result(micros=8)
    assert of_one_machine([other, isa, old, new]) == [new]
    assert of_one_machine([new, isa]) == [isa]
    gpu = make_result(suite="gpu", gpu="GPU", cpu="Its CPU")
    assert of_one_machine([other, gpu, new]) == [gpu, new]
    assert of_one_machine([make_result(suite="gpu", gpu="Old"), new, gpu]) == [new, gpu]
    assert of_one_machine([]) == []


def test_the_machine_in_one_line(make_result: Callable[..., Result]) -> None:
    one, two = make_result(), make_result(threads=2)
    rest = "; torch 2.13.0; commit abc1234; 2026-01-02"
    assert machine_line([one]) == "Made Up CPU; avx2; 1 thread" + rest
    assert machine_line([two, one]) == "Made Up CPU; avx2; each at the best of 1, 2 threads" + rest
    assert machine_line([two, one], best=False) == "Made Up CPU; avx2" + rest
    assert machine_line([make_result(gpu="GPU", commit="", date="")]) == (
        "Made Up CPU and GPU; avx2; 1 thread; torch 2.13.0"
    )
