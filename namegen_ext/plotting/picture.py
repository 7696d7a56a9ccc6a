"""A picture with the texts that belong to it, and the error of drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class PlotError(RuntimeError):
    """A picture cannot be drawn. The message says why, in one line."""


@dataclass(frozen=True)
class NumberTable:
    """The numbers of a picture, for those who want to know them exactly or cannot see the picture.

    Attributes:
        columns: the headings of the columns.
        rows: the cells as text. Each row has one for each column.

    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture and its texts. They are plain text; the page escapes them.

    Attributes:
        name: the name of its file, without ".png".
        title: its heading on the page.
        alt: what it shows, for those who cannot see it.
        how_to_read: what to look for, in a sentence or two.
        png: the bytes of the file.
        table: the numbers of the picture, or None.
        others: the bytes of the picture drawn otherwise, by when a page shows it: "dark", "phone" and "phone dark".

    """

    name: str
    title: str
    alt: str
    how_to_read: str
    png: bytes
    table: NumberTable | None = None
    others: Mapping[str, bytes] = field(default_factory=dict)


def check_matplotlib() -> None:
    """Check that pictures can be drawn.

    Raises:
        PlotError: matplotlib is not installed, or cannot be imported.

    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and (error.name or "matplotlib").startswith(
            "matplotlib"
        )
        problem = "is not installed" if missing else f"cannot be imported ({error})"
        raise PlotError(f'matplotlib {problem}: pip install "namegen_ext[plot]"') from None
