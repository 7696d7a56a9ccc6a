"""How the pictures look: colours, sizes, labels of symbols, and turning a figure into bytes."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")

# The names that matplotlib gives to the colours of a look, which are in force while a picture is drawn in it. SHADE is
# for zones behind the bars.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY, SHADE = (f"C{place}" for place in range(9))
# These can be told apart with any colour vision. The yellow of their authors is left out, because it is hard to see on
# white; on a dark ground blue and vermillion are lighter. Source: Okabe and Ito, "Color Universal Design", 2008.
LIGHT_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#595959",
    "#F5CDB0",
)
DARK_COLOURS = (
    "#6DB6E8",
    "#F0884A",
    "#35C39B",
    "#DE9DC2",
    "#E9B23F",
    "#A9DCF7",
    "#F2F2F2",
    "#B0B0B0",
    "#5C3520",
)
_LINE_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
_LINE_DASHES = ("-", "--", ":", "-.")

# The brightness of this colour map grows evenly from end to end, also for those who see fewer colours.
SEQUENTIAL = "cividis"

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",  # matplotlib brings this font with it
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.usetex": False,
    "text.parse_math": False,  # a $ among the symbols or in a layer's name stays a $
}
_DPI = 130
_PHONE_WIDTH = 4.2  # inches: 10 points are then 11 pixels on a phone that is 375 pixels wide
_PHONE_COLUMNS = 44  # characters of a line of text on it
_MOST_BESIDE = 8  # the legend stands beside the panel for this many lines or fewer
SPACE = "\N{OPEN BOX}"


@dataclass(frozen=True)
class Look:
    """How pictures are drawn: on a light or a dark ground, for a wide page or for a phone."""

    dark: bool = False
    phone: bool = False


LOOKS = (Look(), Look(dark=True), Look(phone=True), Look(dark=True, phone=True))
_look: ContextVar[Look] = ContextVar("look", default=LOOKS[0])


def on_phone() -> bool:
    """Tell whether the look is that of a phone: panels stack, legends stand below, lines of text are short."""
    return _look.get().phone


@contextmanager
def drawing_style(look: Look = LOOKS[0]) -> Iterator[None]:
    """Draw in this package's style in the block. The user's matplotlib settings have no effect, and do not change."""
    import matplotlib
    from cycler import cycler

    ground, text, grid = ("#16181C", "#E8E8E8", "#3A3D43") if look.dark else ("#FCFCFC", "#1A1A1A", "#DDDDDD")
    grounds = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    texts = (
        "text.color",
        "axes.labelcolor",
        "axes.edgecolor",
        "xtick.color",
        "ytick.color",
        "axes.titlecolor",
    )
    colours: Any = dict.fromkeys(grounds, ground) | dict.fromkeys(texts, text) | {"grid.color": grid}
    colours["axes.prop_cycle"] = cycler(color=DARK_COLOURS if look.dark else LIGHT_COLOURS)
    before = _look.set(look)
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            matplotlib.rcParams.update(colours)
            yield
    finally:
        _look.reset(before)


def new_figure(
    width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained"
) -> Any:
    """Make a matplotlib figure of a size in inches. pyplot and its global state are not used.

    The layout "compressed" is for images of a fixed shape that stand beside each other. On a phone the figure is as
    wide as the phone.
    """
    from matplotlib.figure import Figure

    width = _PHONE_WIDTH if on_phone() else width
    return Figure(figsize=(width, height), layout=layout)


def to_png(figure: Any) -> bytes:
    """Draw a figure into the bytes of a PNG file. The same figure gives the same bytes."""
    if on_phone():
        _shorten_lines(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()


def _shorten_lines(figure: Any) -> None:
    texts = [text for axis in figure.axes for text in (axis.title, axis.xaxis.label, axis.yaxis.label)]
    for text in texts:
        text.set_text(_in_lines(text.get_text()))
    if figure.get_suptitle():
        figure.suptitle(_in_lines(figure.get_suptitle()), fontsize=11)


def _in_lines(text: str) -> str:
    return "\n".join(textwrap.fill(line, _PHONE_COLUMNS) for line in text.split("\n"))


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
    columns = 1 if on_phone() else min(columns, count)
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
    if _is_beside(names):
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        axis.legend(
            loc="upper center",
            bbox_to_anchor=(0.45, -0.3 if on_phone() else -0.17),
            ncols=_legend_columns(names),
        )


def legend_height(names: Sequence[str]) -> float:
    """Return by how many inches a figure must be higher for the legend of a panel."""
    return 0.0 if _is_beside(names) else 0.2 * -(-len(names) // _legend_columns(names))


def _is_beside(names: Sequence[str]) -> bool:
    return len(names) <= _MOST_BESIDE and not on_phone()


def _legend_columns(names: Sequence[str]) -> int:
    if on_phone():
        return 1
    return 3 if max(map(len, names)) <= 30 else 2
