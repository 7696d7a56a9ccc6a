"""The answers of a classifier over the plane, as text, and as a picture where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from namegen_reference.micrograd.datasets import Point

# The characters of the two classes: for the ground, and for the points.
GROUNDS = (".", " ")
POINTS = ("o", "x")
_MARGIN = 0.3


class PictureError(RuntimeError):
    """The picture cannot be drawn; the message says why."""


def boundary_text(
    classify: Callable[[Point], int],
    points: Sequence[Point],
    classes: Sequence[int],
    columns: int = 64,
    rows: int = 22,
) -> str:
    """Draw the plane with characters: dots where the answer is class 0, blanks where it is class 1.

    The points are drawn on top, as o for class 0 and x for class 1. Each character stands for a cell of the plane, and
    shows the answer at the middle of the cell.

    Args:
        classify: returns the answer for a point, 0 or 1.
        points: the data.
        classes: the class of each point.
        columns: the picture's width in characters.
        rows: the picture's height in characters.

    """
    left, right, bottom, top = _limits(points)
    width, height = (right - left) / columns, (top - bottom) / rows  # the size of a cell
    cells = [
        [
            GROUNDS[classify((left + (column + 0.5) * width, top - (row + 0.5) * height))]
            for column in range(columns)
        ]
        for row in range(rows)
    ]
    for (x, y), number in zip(points, classes, strict=True):
        cells[int((top - y) / height)][int((x - left) / width)] = POINTS[number]
    return "\n".join("".join(row).rstrip() for row in cells)


def boundary_png(
    classify: Callable[[Point], int],
    points: Sequence[Point],
    classes: Sequence[int],
    path: Path,
    resolution: int = 80,
) -> None:
    """Draw the same with matplotlib into a PNG file.

    Raises:
        PictureError: matplotlib is not installed, or the file cannot be written.

    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PictureError("matplotlib is not installed: pip install matplotlib") from None
    left, right, bottom, top = _limits(points)
    xs = [left + (column + 0.5) * (right - left) / resolution for column in range(resolution)]
    ys = [bottom + (row + 0.5) * (top - bottom) / resolution for row in range(resolution)]
    answers = [[classify((x, y)) for x in xs] for y in ys]  # (resolution, resolution)

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        answers, extent=(left, right, bottom, top), origin="lower", cmap="RdBu", alpha=0.5, aspect="auto"
    )
    for number, colour in enumerate(("#8b0000", "#00008b")):
        chosen = [point for point, point_class in zip(points, classes, strict=True) if point_class == number]
        axes.scatter([x for x, _ in chosen], [y for _, y in chosen], s=14, c=colour, label=f"class {number}")
    axes.legend()
    beside = path.with_name(f".{path.name}.tmp")
    try:
        figure.savefig(beside, format="png", dpi=120)
        beside.replace(path)
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)


def _limits(points: Sequence[Point]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs) - _MARGIN, max(xs) + _MARGIN, min(ys) - _MARGIN, max(ys) + _MARGIN
