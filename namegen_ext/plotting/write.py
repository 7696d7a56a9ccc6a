"""Writing the pictures and the page."""

from __future__ import annotations

from pathlib import Path

from namegen_ext.diagnostics import Diagnosis
from namegen_ext.plotting.draw import draw_all
from namegen_ext.plotting.page import render_page
from namegen_ext.plotting.picture import PlotError
from namegen_ext.runs.files import write_bytes

PAGE = "index.html"


def write_report(diagnosis: Diagnosis, directory: Path) -> tuple[list[Path], list[str]]:
    """Draw everything, and write a PNG for each picture and the page ``index.html``.

    Args:
        diagnosis: what was found in the run.
        directory: where to write; made where it does not exist. Files of these names are replaced.

    Returns:
        The files, the page last, and a sentence for each picture that is missing.

    Raises:
        PlotError: matplotlib is not there, or the directory cannot be made.
        RunError: a file cannot be written.

    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlotError(f"{directory}: cannot be made: {error.strerror or error}") from None
    pictures, missing = draw_all(diagnosis)
    files = []
    for picture in pictures:
        files.append(directory / f"{picture.name}.png")
        write_bytes(files[-1], picture.png)
    files.append(directory / PAGE)
    write_bytes(files[-1], render_page(diagnosis, pictures, missing).encode())
    return files, missing
