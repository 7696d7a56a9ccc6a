"""Pictures of the symbols: where the embedding puts them, and which symbol follows which."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

from namegen_ext.diagnostics import Diagnosis, EmbeddingMap
from namegen_ext.diagnostics.diagnosis import OTHERS
from namegen_ext.plotting.picture import NumberTable, Picture
from namegen_ext.plotting.style import (
    BLUE,
    GREEN,
    SEQUENTIAL,
    VERMILLION,
    new_figure,
    on_phone,
    symbol_labels,
    to_png,
)

_MOST_NUMBERS = 40  # the cells of a table with more symbols have no numbers
_MOST_TICKS = 60
_MOST_TICKS_ON_PHONES = 30
_HALF_PAGE = 4.5  # inches: of two tables side by side, so that labels are readable as wide as a page is
_PHONE_SIDE = 4.8  # inches: the height of a table of symbols with its labels


def draw_embedding(diagnosis: Diagnosis) -> Picture | None:
    """Draw each symbol where the embedding puts it; None for a model without an embedding."""
    embedding = diagnosis.embedding
    if embedding is None:
        return None
    figure = new_figure(7.2, 6.6)
    axis = figure.subplots()
    symbols = diagnosis.symbols[: len(embedding.points)]  # without the others
    kinds = ["end of a word", *map(_kind, symbols[1:])]
    for kind, colour, marker in (
        ("vowel", VERMILLION, "o"),
        ("other", BLUE, "s"),
        ("end of a word", GREEN, "D"),
    ):
        points = [point for point, own in zip(embedding.points, kinds, strict=True) if own == kind]
        if points:
            across, up = [x for x, _ in points], [y for _, y in points]
            axis.scatter(
                across,
                up,
                s=230,
                color=colour,
                marker=marker,
                label=_legend(kind, diagnosis.symbols[0]),
                linewidths=0,
            )
    for point, label in zip(embedding.points, symbol_labels(symbols), strict=True):
        if len(label) == 1:
            axis.annotate(label, point, ha="center", va="center", color=_ground(figure), fontweight="bold")
        else:  # the label is too long to stand inside its marker
            axis.annotate(label, point, xytext=(9, 0), textcoords="offset points", va="center", fontsize=8)
    axis.margins(0.08)
    axis.set_xlabel(_axis_label(embedding, 0))
    axis.set_ylabel(_axis_label(embedding, 1))
    if embedding.embedding_dim == 1:
        axis.set_yticks([])
    else:
        axis.set_aspect(
            "equal", adjustable="datalim"
        )  # both axes have one scale, so that distances can be compared
    axis.set_title(f"Embedding: symbols used alike lie close together\n{_projection(embedding)}")
    axis.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.22 if on_phone() else -0.1),
        ncols=1 if on_phone() else 3,
        markerscale=0.6,
    )
    return Picture(
        name="embedding",
        title="Embedding",
        alt=f"{len(symbols)} symbols as points, where {embedding.name} puts them; {_projection(embedding)}.",
        how_to_read=(
            "Symbols that the model treats alike lie close together. In a trained model of names the vowels "
            "usually gather, and the end of a word and rare letters stand apart."
            + (
                f" These are {embedding.embedding_dim} dimensions seen from one side: points that look close "
                "may differ in the others."
                if embedding.explained is not None
                else ""
            )
            + _selection(diagnosis)
        ),
        png=to_png(figure),
    )


def draw_bigram_counts(diagnosis: Diagnosis) -> Picture:
    """Draw how often each symbol follows each other one in the training words."""
    counts, labels = diagnosis.bigram_counts, symbol_labels(diagnosis.symbols)
    side = _side(len(labels))
    figure = new_figure(side + 1.2, _PHONE_SIDE if on_phone() else side)
    axis = figure.subplots()
    shades = [[math.log10(count) if count else math.nan for count in row] for row in counts]
    image = axis.imshow(shades, cmap=SEQUENTIAL, vmin=0)
    bar = figure.colorbar(image, ax=axis, shrink=0.7, **_bar_place())
    bar.set_label("log10 of the number of times (blank: never)")
    _label_axes(axis, labels)
    if len(labels) <= _MOST_NUMBERS and not on_phone():
        _write_counts(axis, counts, image)
    axis.set_title("Bigrams in the training words: bright cells are pairs that names are made of")
    total = sum(map(sum, counts))
    common = _commonest(counts, 10)
    return Picture(
        name="bigrams",
        title="Bigram counts",
        alt=f"A heat map of {total:,} pairs of neighbouring symbols in the training words. The commonest: "
        + ", ".join(f"{_pair(diagnosis, *pair)} {count:,}" for count, *pair in common[:5])
        + ".",
        how_to_read=(
            f"Row: a symbol; column: the one that follows it. {diagnosis.symbols[0]} is the end of a word, and in "
            "the rows its beginning: the first row tells how words begin, the first column how they end. Blank cells "
            "never occur." + _selection(diagnosis)
        ),
        png=to_png(figure),
        table=NumberTable(
            ("pair", "times", "share of all pairs"),
            tuple((_pair(diagnosis, *pair), f"{count:,}", f"{count / total:.2%}") for count, *pair in common),
        ),
    )


def draw_model_bigrams(diagnosis: Diagnosis) -> Picture:
    """Draw the probabilities of the next symbol after each symbol, in the words and by the model."""
    labels = symbol_labels(diagnosis.symbols)
    data = [[count / max(sum(row), 1) for count in row] for row in diagnosis.bigram_counts]
    side = _HALF_PAGE
    height = 2 * _PHONE_SIDE if on_phone() else side + 0.8
    figure = new_figure(2 * side + 1.2, height, layout="compressed")
    axes = figure.subplots(2, 1) if on_phone() else figure.subplots(1, 2)
    model_title = "the model" if diagnosis.is_bigram else "the model, averaged over training contexts"
    brightest = math.sqrt(
        max(p for table in (data, diagnosis.model_bigrams) for row in table for p in row if p == p)
    )
    image: Any = None
    for axis, table, title in zip(
        axes, (data, diagnosis.model_bigrams), ("the training words", model_title), strict=True
    ):
        # The square root spreads the many small probabilities over more colours.
        image = axis.imshow(
            [[math.sqrt(p) for p in row] for row in table], cmap=SEQUENTIAL, vmin=0, vmax=brightest
        )
        axis.set_title(title, fontsize=10)
        _label_axes(axis, labels, font_size=7, most=_MOST_TICKS_ON_PHONES)
    shown = [share for share in (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1) if math.sqrt(share) <= brightest]
    bar = figure.colorbar(
        image, ax=list(axes), shrink=0.7, ticks=[math.sqrt(share) for share in shown], **_bar_place()
    )
    bar.set_ticklabels([f"{share:.0%}" for share in shown])
    bar.set_label("probability of the next symbol")
    figure.suptitle("Next symbol after one symbol: both sides should look alike", fontsize=11)
    distance = _mean_distance(diagnosis)
    averages = (
        ""
        if diagnosis.is_bigram
        else (
            " The model sees more than one symbol; its side is the average of its probabilities over training "
            "contexts that end in the row's symbol."
        )
    )
    return Picture(
        name="next-symbol",
        title="Next symbol after one symbol",
        alt="Two heat maps of the probability of the next symbol after each symbol, in the training words and by "
        f"the model. On average they differ by {distance:.1%} of the probability.",
        how_to_read=(
            "Each row sums to 100%. A model that has learnt which symbol follows which shows the pattern of the "
            "words; a side that is even in colour has learnt nothing yet. Weighted by how often each row occurs, the "
            f"two sides differ in {distance:.1%} of the probability (total variation).{averages}"
            + _selection(diagnosis)
        ),
        png=to_png(figure),
    )


def _bar_place() -> dict[str, Any]:
    return {"location": "bottom", "pad": 0.02} if on_phone() else {}


def _ground(figure: Any) -> Any:
    return figure.get_facecolor()


def _selection(diagnosis: Diagnosis) -> str:
    sentence = shown_symbols(diagnosis)
    return f" {sentence}" if sentence else ""


def shown_symbols(diagnosis: Diagnosis) -> str:
    """Say which symbols the pictures show, where these are not all; else nothing."""
    if diagnosis.symbols[-1] != OTHERS:
        return ""
    return (
        f"Only the {len(diagnosis.symbols) - 1} most frequent of the {diagnosis.vocab_size:,} symbols are shown; "
        f"{OTHERS!r} are the rest of them together."
    )


def _kind(symbol: str) -> str:
    base = unicodedata.normalize("NFD", symbol)[0].lower()
    return "vowel" if base in "aeiou" else "other"


def _legend(kind: str, end_marker: str) -> str:
    return {"vowel": "a, e, i, o, u", "other": "other symbols"}.get(kind, f"{end_marker} {kind}")


def _projection(embedding: EmbeddingMap) -> str:
    if embedding.explained is None:
        plural = "dimension" if embedding.embedding_dim == 1 else "dimensions"
        return f"{embedding.embedding_dim} {plural}, as they are"
    share = sum(embedding.explained)
    return f"{embedding.embedding_dim} dimensions, projected on 2 principal components ({share:.0%} of the variance)"


def _axis_label(embedding: EmbeddingMap, axis: int) -> str:
    if embedding.explained is not None:
        return f"principal component {axis + 1} ({embedding.explained[axis]:.0%} of the variance, no unit)"
    return f"embedding dimension {axis + 1} (no unit)" if axis < embedding.embedding_dim else ""


def _side(symbols: int) -> float:
    """Return the length of a side of a table of symbols, in inches."""
    return min(max(0.4 * symbols, 5.0), 13.0)


def _label_axes(axis: Any, labels: Sequence[str], font_size: int = 9, most: int = _MOST_TICKS) -> None:
    every = -(-len(labels) // (_MOST_TICKS_ON_PHONES if on_phone() else most))
    places = range(0, len(labels), every)
    names = [labels[place] for place in places]
    axis.set_xticks(places, names, fontsize=font_size)
    axis.set_yticks(places, names, fontsize=font_size)
    for tick in axis.get_xticklabels():
        if len(tick.get_text()) > 1:
            tick.set_rotation(90)
    axis.set_xlabel("the next symbol")
    axis.set_ylabel("symbol")
    axis.grid(visible=False)


def _write_counts(axis: Any, counts: Sequence[Sequence[int]], image: Any) -> None:
    for row, cells in enumerate(counts):
        for column, count in enumerate(cells):
            if count:
                bright = image.norm(math.log10(count)) > 0.55
                axis.text(
                    column,
                    row,
                    _short(count),
                    ha="center",
                    va="center",
                    fontsize=5.5,
                    color="black" if bright else "white",
                )


def _short(count: int) -> str:
    """Write a count in at most four characters, such as 9999, 12k or 3M."""
    if count < 10_000:
        return str(count)
    return f"{count / 1e3:.0f}k" if count < 999_500 else f"{count / 1e6:.0f}M"


def _commonest(counts: Sequence[Sequence[int]], number: int) -> list[tuple[int, int, int]]:
    """Return (count, row, column) of the largest counts, with the largest first."""
    cells = [(count, row, column) for row, cells in enumerate(counts) for column, count in enumerate(cells)]
    cells.sort(key=lambda cell: (-cell[0], cell[1:]))
    return [cell for cell in cells[:number] if cell[0] > 0]


def _pair(diagnosis: Diagnosis, row: int, column: int) -> str:
    before, after = diagnosis.symbols[row], diagnosis.symbols[column]
    return f"{before} {after}" if OTHERS in (before, after) else before + after


def _mean_distance(diagnosis: Diagnosis) -> float:
    """Return the total variation between the words' and the model's rows, weighted by the rows' counts."""
    weighted, total = 0.0, 0
    for counts, probabilities in zip(diagnosis.bigram_counts, diagnosis.model_bigrams, strict=True):
        number = sum(counts)
        if number and not any(map(math.isnan, probabilities)):
            differences = (abs(c / number - p) for c, p in zip(counts, probabilities, strict=True))
            weighted += number * 0.5 * sum(differences)
            total += number
    return weighted / max(total, 1)
