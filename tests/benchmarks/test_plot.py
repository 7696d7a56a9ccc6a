"""Pictures: what is refused before anything is measured, and that one is drawn."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from namegen_ext.benchmarks.comparison import Comparison
from namegen_ext.benchmarks.plot import PlotError, check_plot, draw


@pytest.mark.parametrize("name", ["picture", "picture.gif", "picture.svg.txt", ".svg"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlotError, match=r"expected a file that ends in \.pdf, \.png, \.svg"):
        check_plot(tmp_path / name)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlotError, match="there is no directory"):
        check_plot(tmp_path / "missing" / "picture.svg")


def test_without_matplotlib_it_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # import raises ImportError
    with pytest.raises(PlotError, match="matplotlib is not installed"):
        check_plot(tmp_path / "picture.svg")


@pytest.mark.parametrize(("ending", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_picture_is_drawn(tmp_path: Path, comparison: Comparison, ending: str, begins: bytes) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing can be drawn")
    path = tmp_path / f"picture.{ending}"
    check_plot(path)
    other_batch = replace(comparison, batch=32)
    step = replace(comparison, suite="train", case="mlp", mode="step")
    only_stock = replace(comparison, case="alone", peers={"stock": comparison.peers["stock"]})
    draw([comparison, other_batch, step, only_stock], path, "made up")
    assert path.read_bytes().startswith(begins)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_nothing_to_draw(tmp_path: Path, comparison: Comparison) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing can be drawn")
    with pytest.raises(PlotError, match="nothing was measured that could be drawn"):
        draw([replace(comparison, mode="forward")], tmp_path / "picture.svg", "made up")
