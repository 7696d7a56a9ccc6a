"""The files of a report, as bytes: a PNG for each picture, and the page that holds them all."""

from __future__ import annotations

from collections.abc import Sequence

from namegen_ext.diagnostics import Diagnosis
from namegen_ext.plotting.all_pictures import draw_all
from namegen_ext.plotting.page import render_page

PAGE = "index.html"


def render_report(diagnosis: Diagnosis, names: Sequence[str] = ()) -> tuple[dict[str, bytes], list[str]]:
    """Draw everything, and make the page ``index.html`` of it. Nothing is written.

    Args:
        diagnosis: what was found in the run.
        names: some that the model draws, which stand first on the page.

    Returns:
        The content of each file by its name, with the page last, and a sentence for each missing picture.

    """
    pictures, missing = draw_all(diagnosis)
    files = {f"{picture.name}.png": picture.png for picture in pictures}
    files[PAGE] = render_page(diagnosis, pictures, missing, names).encode()
    return files, missing
