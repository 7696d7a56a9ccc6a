"""How the charts look: a light and a dark theme, and the colour, mark and hatch of each peer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from namegen_bench.names import STOCK
from namegen_ext.plotting import style

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY, _ = style.LIGHT_COLOURS


@dataclass(frozen=True)
class Theme:
    """The colours of a page, light or dark.

    Attributes:
        name: the theme's name, which is part of the files' names.
        ground: the background. It is opaque, so that a picture can be read where it is shown alone.
        text: the colour of titles and of the numbers beside bars.
        muted: the colour of axes and small print.
        grid: the colour of grid lines.
        neutral: the colour of the bars of peers that are not part of this package.
        black: the colour that replaces black among the peers' colours.

    """

    name: str
    ground: str
    text: str
    muted: str
    grid: str
    neutral: str
    black: str


LIGHT = Theme("light", "#FCFCFC", "#1F2328", GREY, "#DDDDDD", "#A9B4C0", BLACK)
DARK = Theme("dark", "#0D1117", "#F0F3F6", "#A3ADB8", "#2A313A", "#59636E", "#F0F3F6")
THEMES = (LIGHT, DARK)


@dataclass(frozen=True)
class Look:
    """What a peer looks like. The mark and the hatch tell it from the others without the colour.

    Attributes:
        label: the peer's name in a picture.
        colour: one of the colours of Okabe and Ito.
        mark: the mark at the points of its line.
        dash: the dashes of its line.
        hatch: the hatch of its bar.

    """

    label: str
    colour: str
    mark: str
    dash: str
    hatch: str


# The peers in the order in which they are drawn. The last ones matter most.
PEERS = {
    "one-at-a-time": Look("one at a time, eager", ORANGE, "v", ":", ".."),
    "numpy": Look("numpy", SKY, "<", ":", "oo"),
    "plain-tensors": Look("plain tensors, eager", PURPLE, "^", "-.", "\\\\"),
    "stock": Look("torch.nn, eager", BLUE, "s", "--", ""),
    "torch.compile": Look("torch.compile", ORANGE, "p", ":", "xx"),
    "torch.compile-max-autotune": Look("torch.compile, max", SKY, "P", ":", "++"),
    "cuda-graph": Look("CUDA graph, eager", SKY, ">", "-.", "--"),
    "jax-scan": Look("JAX jit + scan", GREEN, "X", "-.", "--"),
    "python": Look("this package in Python", SKY, "o", "--", "//"),
    "node": Look("this package in Node", GREEN, "X", "-.", "--"),
    "fused-layers": Look("fused layers", ORANGE, "o", "--", "//"),
    "fused-op": Look("fused operator", VERMILLION, "D", "-", ""),
    "fused-op-graph": Look("fused operator, CUDA graph", GREEN, "P", "-", "++"),
    "fused-step": Look("step engine", VERMILLION, "*", "-", ""),
    "native": Look("native", VERMILLION, "*", "-", ""),
}
# Peers that are not in the table take one of these looks in turn.
_SPARE = (
    (GREEN, "h", "--", "**"),
    (BLACK, "8", ":", "OO"),
    (SKY, "d", "-.", "-"),
    (PURPLE, "H", "--", "|"),
)
_STOCK_LABELS = {"sample": "batched, eager"}
ENGINE = ("fused-step", "native")
# The peers that are part of this package.
OWN = ("fused-layers", "fused-op", "fused-op-graph", "python", *ENGINE)


def looks_of(peers: Sequence[str], suite: str = "") -> dict[str, Look]:
    """Return the look of each peer, in the order in which they are drawn. Unknown peers come first.

    Args:
        peers: the names of the peers.
        suite: the suite. Some suites have another label for the stock layers.

    """
    unknown = [peer for peer in dict.fromkeys(peers) if peer not in PEERS]
    looks = {peer: Look(peer, *_SPARE[number % len(_SPARE)]) for number, peer in enumerate(unknown)}
    looks.update({peer: look for peer, look in PEERS.items() if peer in peers})
    if STOCK in looks and suite in _STOCK_LABELS:
        looks[STOCK] = replace(looks[STOCK], label=_STOCK_LABELS[suite])
    return looks


@contextmanager
def chart_style(theme: Theme) -> Iterator[None]:
    """Draw in the style of this package's pictures, in the colours of a theme."""
    import matplotlib

    with style.drawing_style():
        matplotlib.rcParams.update(
            {
                "figure.facecolor": theme.ground,
                "axes.facecolor": theme.ground,
                "savefig.facecolor": theme.ground,
                "text.color": theme.text,
                "axes.labelcolor": theme.muted,
                "axes.edgecolor": theme.muted,
                "axes.titlecolor": theme.text,
                "axes.titlelocation": "left",
                "axes.titlesize": 10,
                "axes.labelsize": 9,
                "xtick.color": theme.muted,
                "ytick.color": theme.muted,
                "xtick.labelsize": 8.5,
                "ytick.labelsize": 8.5,
                "grid.color": theme.grid,
                "hatch.linewidth": 0.6,
                "legend.labelcolor": theme.text,
                "legend.handlelength": 3.0,
                "svg.fonttype": "path",
                "svg.hashsalt": "namegen_ext",  # keeps the names of clips and hatches the same in every run
                "pdf.fonttype": 42,
            }
        )
        yield


def colour_of(look: Look, theme: Theme) -> str:
    """Return the colour of a peer. Black is replaced by a colour that can be seen on the theme's ground."""
    return theme.black if look.colour == BLACK else look.colour
