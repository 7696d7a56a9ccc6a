"""Two moons: the data, the boundary's pictures, and the command that shows all."""

from __future__ import annotations

import importlib.util
import math
import random
import sys
from pathlib import Path

import pytest

from namegen_reference.micrograd import two_moons
from namegen_reference.micrograd.__main__ import main
from namegen_reference.micrograd.boundary import PictureError, boundary_png, boundary_text

HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


def test_without_noise_the_points_lie_on_their_circles() -> None:
    points, classes = two_moons(31, 0.0, random.Random(0))
    assert (classes.count(0), classes.count(1)) == (16, 15)
    for (x, y), moon in zip(points, classes, strict=True):
        centre_x, centre_y = ((0.0, 0.0), (1.0, 0.5))[moon]
        assert math.hypot(x - centre_x, y - centre_y) == pytest.approx(1, abs=1e-12)
        assert (y >= -1e-12) if moon == 0 else (y <= 0.5 + 1e-12)
    upper = [point for point, moon in zip(points, classes, strict=True) if moon == 0]
    assert upper[0] == (1.0, 0.0)
    assert upper[-1] == pytest.approx((-1, 0), abs=1e-12)


def test_the_noise_has_its_size() -> None:
    clean, _ = two_moons(2000, 0.0, random.Random(0))
    noisy, _ = two_moons(2000, 0.3, random.Random(0))
    squares = [(x - u) ** 2 + (y - v) ** 2 for (x, y), (u, v) in zip(noisy, clean, strict=True)]
    # The mean of 4000 squares of a normal: relative standard deviation sqrt(2 / 4000) = 0.022; five of them.
    assert sum(squares) / 4000 == pytest.approx(0.09, rel=0.11)


@pytest.mark.parametrize(("num_points", "noise"), [(1, 0.1), (10, -0.1), (10, math.nan)])
def test_bad_arguments(num_points: int, noise: float) -> None:
    with pytest.raises(ValueError, match=r"must be at least"):
        two_moons(num_points, noise, random.Random(0))


def test_the_text_shows_the_answer_and_the_points() -> None:
    # The plane from -1.3 to 1.3 both ways in cells of 0.26; the answer changes at x = 0, between columns 4 and 5.
    text = boundary_text(lambda point: int(point[0] > 0), [(-1, -1), (1, 1)], [0, 1], columns=10, rows=10)
    rows = text.split("\n")
    assert len(rows) == 10
    assert rows[1] == ".....   x"
    assert rows[8] == ".o..."
    assert set(rows[0:1] + rows[2:8] + rows[9:]) == {"....."}


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not installed")
def test_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "moons.png"
    boundary_png(lambda point: int(point[0] > 0), [(-1, -1), (1, 1)], [0, 1], path, resolution=8)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # importing it now raises ImportError
    with pytest.raises(PictureError, match="matplotlib is not installed"):
        boundary_png(lambda point: 0, [(0, 0)], [0], tmp_path / "moons.png")


def test_the_command_learns_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "dz/dx = 2xy = 12, dz/dy = x*x = 4" in out
    (line,) = [line for line in out.splitlines() if line.endswith("points right")]
    num_right = int(line.split()[0])
    assert num_right >= 95, "a straight line gets about 88"
    assert (tmp_path / "out" / "graph.dot").is_file()
    assert (tmp_path / "out" / "moons.png").is_file() == HAS_MATPLOTLIB


def test_the_command_refuses_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for arguments in (["--steps", "0"], ["--out", str(tmp_path / "file" / "x")]):
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        assert raised.value.code == 2
        assert f"argument {arguments[0]}: " in capsys.readouterr().err
