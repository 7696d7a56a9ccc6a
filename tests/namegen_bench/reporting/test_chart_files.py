"""Pictures as files: what is refused before anything is measured, and what is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from namegen_bench.reporting.chart_files import ChartError, check_plot, draw
from namegen_bench.reporting.results import Result

NO_MATPLOTLIB = "matplotlib is not installed: nothing can be drawn"


@pytest.mark.parametrize("name", ["picture.gif", "picture.svg.txt", ".svg", "results.csv"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ChartError, match=r"expected a directory, or a file that ends in \.pdf, \.png, \.svg"):
        check_plot(tmp_path / name)


@pytest.mark.parametrize("name", ["picture.svg", "pictures"])
def test_a_missing_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ChartError, match="whose directory does not exist"):
        check_plot(tmp_path / "missing" / name)


def test_without_matplotlib_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # import raises ImportError
    with pytest.raises(ChartError, match=r'matplotlib is not installed: pip install "namegen_ext\[bench\]"'):
        check_plot(tmp_path / "picture.svg")


@pytest.mark.parametrize(("ending", "begins"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("PDF", b"%PDF")])
def test_a_file_holds_all_charts(tmp_path: Path, results: list[Result], ending: str, begins: bytes) -> None:
    pytest.importorskip("matplotlib", reason=NO_MATPLOTLIB)
    path = tmp_path / f"picture.{ending}"
    check_plot(path)
    assert draw(results, path) == [path]
    assert path.read_bytes().startswith(begins)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_directory_gets_each_chart_light_and_dark(tmp_path: Path, results: list[Result]) -> None:
    pytest.importorskip("matplotlib", reason=NO_MATPLOTLIB)
    shown = [one for one in results if one.key.suite in ("train", "sample")]
    path = tmp_path / "pictures"
    check_plot(path)
    files = draw(shown, path)
    names = {
        f"{chart}-{theme}.{ending}"
        for chart in ("training-step", "training-step-other", "sampling")
        for theme in ("light", "dark")
        for ending in ("png", "svg")
    }
    assert {file.name for file in path.iterdir()} == {file.name for file in files} == names
    # Into a directory that is there already, and whose name has a dot, too.
    dotted = tmp_path / "v1.2"
    dotted.mkdir()
    check_plot(dotted)
    draw(shown, dotted)
    for name in names:
        assert (dotted / name).read_bytes() == (path / name).read_bytes()


def test_nothing_to_draw(tmp_path: Path, make_result: Callable[..., Result]) -> None:
    pytest.importorskip("matplotlib", reason=NO_MATPLOTLIB)
    with pytest.raises(ChartError, match="nothing was measured that could be drawn"):
        draw([make_result(suite="ops", mode="forward")], tmp_path / "picture.svg")


def test_what_cannot_be_written_is_said(tmp_path: Path, results: list[Result]) -> None:
    pytest.importorskip("matplotlib", reason=NO_MATPLOTLIB)
    (tmp_path / "file").touch()
    with pytest.raises(ChartError, match="cannot be made: File exists"):
        draw([one for one in results if one.key.suite == "sample"], tmp_path / "file")
    (tmp_path / "picture.svg").mkdir()
    (tmp_path / "picture.svg" / "sampling-light.png").mkdir()
    with pytest.raises(ChartError, match="cannot be written: Is a directory"):
        draw([one for one in results if one.key.suite == "sample"], tmp_path / "picture.svg")
    assert [file.name for file in (tmp_path / "picture.svg").iterdir()] == ["sampling-light.png"]
