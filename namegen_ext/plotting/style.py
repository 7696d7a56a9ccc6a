"""How the pictures look: colours, sizes, labels of symbols, and turning a figure into bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

T = TypeVar("T")

# These colours can be told apart with any colour vision. The yellow of their authors is left out, because it is hard to
# see on white. Source: Okabe and Ito, "Color Universal Design", 2008.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY, BLACK = "#CC79A7", "#E69F00", "#56B4E9", "#000000"
GREY = "#595959"
SHADE = "#F5CDB0"  # light vermillion, for zones behind the bars
_LINE_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
_LINE_DASHES = ("-", "--", ":", "-.")

# The brightness of this colour map grows evenly from end to end, also for those who see fewer colours.
SEQUENTIAL = "cividis"

# The ground is opaque and nearly white, so that the pictures look the same on a light and on a dark page.
_SETTINGS: Any = {
    "figure.facecolor": "#FCFCFC",
    "axes.facecolor": "#FCFCFC",
    "savefig.facecolor": "#FCFCFC",
    "font.family": "DejaVu Sans",  # matplotlib brings this font with it
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.usetex": False,
    "text.parse_math": False,  # a $ among the symbols or in a layer's name stays a $
}
_DPI = 130
_MOST_BESIDE = 8  # the legend stands beside the panel for this many lines or fewer
SPACE = "\N{OPEN BOX}"


@contextmanager
def drawing_style() -> Iterator[None]:
    """Draw in this package's style in the block. The user's matplotlib settings have no effect, and do not change."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def new_figure(
    width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained"
) -> Any:
    """Make a matplotlib figure of a size in inches. pyplot and its global state are not used.

    The layout "compressed" is for images of a fixed shape that stand beside each other.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def to_png(figure: Any) -> bytes:
    """Draw a figure into the bytes of a PNG file. The same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()


def line_styles(count: int) -> list[dict[str, Any]]:
    """Return a colour and a dash for each of some lines. Up to 28 lines are all different; more repeat."""
    colours = len(_LINE_COLOURS)
    return [
        {
            "color": _LINE_COLOURS[number % colours],
            "linestyle": _LINE_DASHES[number // colours % len(_LINE_DASHES)],
        }
        for number in range(count)
    ]


def symbol_labels(symbols: Sequence[str]) -> list[str]:
    """Return the label of each symbol: the symbol itself, or its code such as U+4E2D where the font lacks it."""
    has_glyph = _glyph_test()
    return [_label(symbol, has_glyph) for symbol in symbols]


def _label(symbol: str, has_glyph: Callable[[str], bool]) -> str:
    if symbol == " ":
        return SPACE
    if len(symbol) > 1:
        return symbol
    return symbol if symbol.isprintable() and has_glyph(symbol) else f"U+{ord(symbol):04X}"


def _glyph_test() -> Callable[[str], bool]:
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(_SETTINGS["font.family"]))
    return lambda symbol: font.get_char_index(ord(symbol)) != 0


def panels(count: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """Make a figure of some panels in rows.

    Args:
        count: the number of panels, at least 1.
        columns: the most panels that stand side by side.
        width: the width of a panel, in inches.
        height: the height of a panel, in inches.

    Returns:
        The figure and the axes of its ``count`` panels. Places that are left over stay empty.

    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(max(width * columns, 6.0), height * rows + 0.6)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def some(everything: Sequence[T], most: int) -> list[T]:
    """Choose at most ``most`` things, which is 2 or more. They are evenly spaced and include the first and the last."""
    count = len(everything)
    if count <= most:
        return list(everything)
    return [everything[round(number * (count - 1) / (most - 1))] for number in range(most)]


def left_out(everything: Sequence[object], shown: Sequence[object], what: str) -> str:
    """Return a sentence that says how many of some things are drawn; empty where all of them are."""
    if len(shown) == len(everything):
        return ""
    return f" {len(shown)} of {len(everything)} {what} are drawn, evenly spaced."


def add_legend(axis: Any, names: Sequence[str]) -> None:
    """Put a legend beside a panel where it has few lines, and below it otherwise."""
    if len(names) <= _MOST_BESIDE:
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        axis.legend(loc="upper center", bbox_to_anchor=(0.45, -0.17), ncols=_legend_columns(names))


def legend_height(names: Sequence[str]) -> float:
    """Return by how many inches a figure must be higher for the legend of a panel."""
    return 0.0 if len(names) <= _MOST_BESIDE else 0.2 * -(-len(names) // _legend_columns(names))


def _legend_columns(names: Sequence[str]) -> int:
    return 3 if max(map(len, names)) <= 30 else 2
