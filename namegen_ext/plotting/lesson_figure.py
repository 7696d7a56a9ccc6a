"""Draws a lesson's figure: into a file that is named where it is printed, and inline in a notebook."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Where figures are written; the command's --out sets it.
folder: Path | None = None


def draw_figure(name: str, draw: Callable[[Any], None], *, size: tuple[float, float] = (6.4, 4.0)) -> None:
    """Draw a figure, write it as NAME.png and print where it is; say how to get it where matplotlib is missing.

    Args:
        name: of the file, without its end.
        draw: draws on the axes that it is given.
        size: width and height, in inches.

    Raises:
        OSError: the file cannot be written.

    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        print("   a figure is drawn here where matplotlib is installed: pip install matplotlib")
        return
    figure = Figure(figsize=size, layout="constrained")
    draw(figure.add_subplot())
    if _is_notebook():
        from IPython.display import Image, display

        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=120)
        display(Image(data=png.getvalue()))
        return
    into = folder or Path(tempfile.gettempdir()) / "namegen_lessons"
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"{name}.png"
    beside = path.with_name(f".{name}.new.png")
    figure.savefig(beside, dpi=120)
    beside.replace(path)
    print(f"   figure: {path.resolve().as_uri()}")


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")
