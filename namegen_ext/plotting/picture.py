"""A picture with the words that belong to it, and the errors of drawing."""

from __future__ import annotations

from dataclasses import dataclass


class PlotError(RuntimeError):
    """There can be no picture; the message says why, in one line."""


@dataclass(frozen=True)
class NumberTable:
    """The numbers behind a picture, for those who want them exactly or cannot see it.

    Attributes:
        columns: the headings.
        rows: the cells, as text, as many in each row as there are columns.

    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture and what is said about it. All texts are plain text: the page escapes them.

    Attributes:
        name: of its file, without ".png".
        title: its heading on the page.
        alt: what it shows, for those who cannot see it.
        how_to_read: what to look for, in a sentence or two.
        png: the file's bytes.
        table: the numbers behind it, or None.

    """

    name: str
    title: str
    alt: str
    how_to_read: str
    png: bytes
    table: NumberTable | None = None


def check_matplotlib() -> None:
    """Make sure that pictures can be drawn.

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
