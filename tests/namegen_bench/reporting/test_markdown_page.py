"""The page of results: it says what stands in the CSV file, and so does the one in docs/."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from namegen_bench.reporting.charts.look import THEMES
from namegen_bench.reporting.markdown_page import page_charts, picture_html, render_page
from namegen_bench.reporting.results import Result, read_results

ROOT = Path(__file__).resolve().parents[3]
CSV, PAGE = Path("docs/benchmarks/results.csv"), Path("docs/benchmarks.md")


def tables(page: str) -> dict[str, list[list[str]]]:
    """The cells of the table of each suite, its heading first."""
    found: dict[str, list[list[str]]] = {}
    suite = ""
    for line in page.splitlines():
        if line.startswith("### "):
            suite = line[4:]
        elif line.startswith("|") and not line.startswith("| ---"):
            found.setdefault(suite, []).append([cell.strip() for cell in line[1:-1].split("|")])
    return found


def test_every_result_has_a_line(results: list[Result]) -> None:
    found = tables(render_page(results, "results.csv", "page.md"))
    assert list(found) == ["", "train", "scaling", "time-to-loss", "sample", "ops", "gpu"]
    del found[""]
    assert sum(len(lines) - 1 for lines in found.values()) == len({one.key for one in results})
    for heading, *lines in found.values():
        assert all(len(line) == len(heading) for line in lines)


def test_numbers_are_those_of_the_results(make_result: Callable[..., Result]) -> None:
    known = {
        "speedup": 5.0,
        "share_of_floor": 0.25,
        "peak_allocated": 2048.0,
        "compile_seconds": 3.25,
        "loss": 2.5,
        "fma_rate": 2.12e11,
        "bandwidth": 1.23e10,
        "clock_mhz": 2600.0,
    }
    page = render_page([make_result("fused-step", 18.3, **known)], "results.csv", "page.md")
    heading, line = tables(page)["train"]
    assert dict(zip(heading, line, strict=True)) == {
        "case": "MLP",
        "sizes": "V=27 H=200",
        "mode": "step",
        "batch": "32",
        "peer": "step engine",
        "threads": "1",
        "time": "18.3 µs",
        "quartiles": "17.9 µs to 18.7 µs",
        "times as fast": "5.0×",
        "of floor": "25%",
        "peak of allocator": "2 KiB",
        "compiling": "3.2 s",
        "loss": "2.500000",
    }
    assert "- 1 thread: 212 GFLOP/s of float32 multiply-adds, 12.3 GB/s of memory, clock 2,600 MHz" in page


def test_what_was_never_measured_has_no_column(make_result: Callable[..., Result]) -> None:
    page = render_page([make_result(sizes="")], "results.csv", "page.md")
    assert tables(page)["train"][0] == ["case", "mode", "batch", "peer", "threads", "time", "quartiles"]
    assert "own rates" not in page


def test_the_machine_and_the_commands_are_named(make_result: Callable[..., Result]) -> None:
    page = render_page([make_result(), make_result(suite="ops")], str(CSV), str(PAGE))
    rest = "kernels for avx2, torch 2.13.0, commit abc1234, 2026-01-02"
    assert f"Measured on Made Up CPU, {rest}, by\n" in page
    assert "\npython -m namegen_ext.bench train ops --csv docs/benchmarks/results.csv\n" in page
    assert (
        "\npython -m namegen_ext.bench --from docs/benchmarks/results.csv --page docs/benchmarks.md\n" in page
    )
    assert "[results.csv](benchmarks/results.csv)" in page


def test_other_machines_are_left_out_and_counted(make_result: Callable[..., Result]) -> None:
    page = render_page([make_result(cpu="Old CPU"), make_result()], "results.csv", "page.md")
    assert "which also holds 1 of other machines" in page
    assert "Old CPU" not in page
    assert len(tables(page)["train"]) == 2


def test_a_gpu_in_another_machine(make_result: Callable[..., Result]) -> None:
    gpu = make_result(suite="gpu", gpu="GPU", cpu="Its CPU", date="2026-01-03")
    page = render_page([make_result(), gpu], "results.csv", "page.md")
    assert "abc1234, 2026-01-02; and, the suite gpu, on Its CPU with GPU, kernels for avx2" in page
    assert "bench train --csv results.csv\npython -m namegen_ext.bench gpu --csv results.csv\n" in page
    assert set(tables(page)) == {"", "train", "gpu"}


def test_whole_steps_stand_side_by_side(make_result: Callable[..., Result]) -> None:
    times = {"stock": 163, "jax-scan": 38, "fused-layers": 30, "fused-step": 19}
    measured = [make_result(peer, micros) for peer, micros in times.items()]
    measured.append(make_result("stock", 90, threads=2))
    measured.append(make_result("stock", 900, case="gpt"))
    heading, mlp, gpt = tables(render_page(measured, "results.csv", "page.md"))[""]
    assert heading == [
        "model",
        "batch",
        "torch.nn, eager",
        "JAX jit + scan",
        "fused layers",
        "step engine",
        "step engine over the fastest other",
    ]
    assert mlp == ["MLP", "32", "90.0 µs", "38.0 µs", "30.0 µs", "**19.0 µs**", "2.0×"]
    assert gpt == ["GPT", "32", "900 µs", "", "", "", ""]


def test_long_tables_are_folded(make_result: Callable[..., Result]) -> None:
    page = render_page([make_result(batch=batch) for batch in range(1, 41)], "results.csv", "page.md")
    assert "### train\n\n<details><summary>40 rows</summary>\n\n| case |" in page


def test_a_picture_is_shown_light_or_dark(results: list[Result]) -> None:
    chart = page_charts(results)[0]
    html = picture_html(chart, "benchmarks")
    source, image = ET.fromstring(html)
    assert source.attrib == {
        "media": "(prefers-color-scheme: dark)",
        "srcset": "benchmarks/training-step-dark.svg",
    }
    assert image.attrib == {"src": "benchmarks/training-step-light.svg", "alt": chart.alt}


@pytest.mark.skipif(
    not (ROOT / CSV).is_file(), reason=f"{CSV} is not in this checkout: there is no page to compare with it"
)
def test_the_page_in_docs_says_what_its_csv_file_says() -> None:
    results = read_results(ROOT / CSV)
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert page == render_page(results, CSV.as_posix(), PAGE.as_posix()), f"make {PAGE} again as it says"
    charts = page_charts(results)
    directory = ROOT / PAGE.with_suffix("")
    pictures = {f"{chart.name}-{theme.name}.svg" for chart in charts for theme in THEMES}
    # Those of quality stand on a page of their own.
    assert {path.name for path in directory.glob("*.svg") if not path.name.startswith("quality-")} == pictures
    assert set(re.findall(r'"benchmarks/([^"]*)"', page)) == pictures
    for chart in charts:
        for theme in THEMES:
            root = ET.parse(directory / f"{chart.name}-{theme.name}.svg").getroot()
            title, description = root[0], root[1]
            assert (title.text, description.text) == (chart.title, chart.alt)
