"""The graph in Graphviz's language, and its file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from namegen_reference.micrograd import DrawingError, Value, draw, to_dot


def product() -> Value:
    x, y = Value(2, label="x"), Value(3, label='the "y"')
    z = x * x * y
    z.label = "z"
    z.backward()
    return z


def test_every_value_operation_and_arrow_is_drawn() -> None:
    text = to_dot(product())
    boxes = dict(re.findall(r'(v\d+) \[shape=box, label="(.*)"\];', text))
    assert sorted(boxes.values()) == sorted(
        [
            r"x\ndata 2.0000\ngrad 12.0000",
            r"the \"y\"\ndata 3.0000\ngrad 4.0000",
            r"data 4.0000\ngrad 3.0000",
            r"z\ndata 12.0000\ngrad 1.0000",
        ]
    )
    names = {label.split(r"\n")[0]: name for name, label in boxes.items()}
    arrows = set(re.findall(r"(\w+) -> (\w+);", text))
    square, z, x = names["data 4.0000"], names["z"], names["x"]
    expected = {(x, f"{square}_op"), (f"{square}_op", square), (square, f"{z}_op"), (f"{z}_op", z)}
    assert arrows == expected | {(names[r"the \"y\""], f"{z}_op")}
    assert text.count(f"{x} -> {square}_op;") == 2  # x times itself: two arrows
    assert re.findall(r'(v\d+)_op \[label="\*"\];', text) == [square, z]


def test_the_text_is_written(tmp_path: Path) -> None:
    path = tmp_path / "graph.dot"
    draw(product(), path)
    assert path.read_text(encoding="utf-8") == to_dot(product())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed (no program 'dot')")
def test_the_picture_is_rendered(tmp_path: Path) -> None:
    path = tmp_path / "graph.svg"
    draw(product(), path)
    assert "12.0000" in path.read_text(encoding="utf-8")


def test_graphviz_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for dot shows what it is given, and what becomes of its failure."""
    stand_in = tmp_path / "dot"
    stand_in.write_text('#!/bin/sh\necho "$@"\ncat\n', encoding="utf-8")
    stand_in.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda program: str(stand_in))
    draw(product(), tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == "-Tsvg\n" + to_dot(product())
    stand_in.write_text("#!/bin/sh\necho no fonts >&2\nexit 1\n", encoding="utf-8")
    with pytest.raises(DrawingError, match="dot failed: no fonts"):
        draw(product(), tmp_path / "other.svg")
    assert not (tmp_path / "other.svg").exists()


def test_without_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(DrawingError, match=r"Graphviz is not installed .* ends in \.dot"):
        draw(product(), tmp_path / "graph.png")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must end in one of \.dot, .*, but got '.*graph\.txt'"):
        draw(product(), tmp_path / "graph.txt")
