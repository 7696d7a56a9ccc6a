"""Every picture is drawn, of models with and without what there is to see."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from namegen_ext.diagnostics import Diagnosis, RunHistory
from namegen_ext.diagnostics.diagnosis import OTHERS
from namegen_ext.plotting import Picture, draw_all
from namegen_ext.plotting.curves import draw_loss, draw_updates
from namegen_ext.plotting.layer_pictures import draw_activations, draw_gradients, draw_saturation
from namegen_ext.plotting.style import drawing_style
from namegen_ext.plotting.symbol_pictures import draw_bigram_counts, draw_model_bigrams

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed, nothing can be drawn: pip install "namegen_ext[plot]"'
)

NAMES = ["loss", "updates", "activations", "saturation", "gradients", "embedding", "next-symbol", "bigrams"]


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    """A warning, such as that of a letter that is in no font, is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def draw(drawer: Callable[[Diagnosis], Picture | None], diagnosis: Diagnosis) -> Picture:
    with drawing_style():
        picture = drawer(diagnosis)
    assert picture is not None
    assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
    return picture


def rows(picture: Picture) -> tuple[tuple[str, ...], ...]:
    assert picture.table is not None
    return picture.table.rows


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ([0.1, 0.1], "the learning rate is too low"),
        ([0.1, 0.2, 0.001], "The learning rate falls from 0.2 at step 10 to 0.001 at the end"),
        ([], "the learning rate is too low"),
    ],
)
def test_a_rate_that_falls_is_not_called_too_low(rates: list[float], said: str, diagnosis: Diagnosis) -> None:
    curve = [(10 * place, rate) for place, rate in enumerate(rates)]
    history = replace(diagnosis.history, learning_rate=curve)
    assert said in draw(draw_updates, replace(diagnosis, history=history)).how_to_read


def test_every_picture_is_drawn_and_explained(diagnosis: Diagnosis) -> None:
    drawn, missing = draw_all(diagnosis)
    assert missing == []
    pictures = {picture.name: picture for picture in drawn}
    assert list(pictures) == NAMES
    for picture in drawn:
        assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
        assert list(picture.others) == ["dark", "phone", "phone dark"]
        assert len({picture.png, *picture.others.values()}) == 4
        assert len(picture.alt) > 40
        assert len(picture.how_to_read) > 80
        assert picture.how_to_read.endswith(".")
        assert picture.alt.endswith(".")
    assert len({picture.png for picture in drawn}) == len(NAMES)
    # The numbers stand in the words and tables too.
    (layer,) = diagnosis.activations
    assert f"{layer.saturated:.1%} saturated" in pictures["activations"].alt
    assert rows(pictures["activations"])[0][:3] == (layer.name, "Tanh", f"{layer.mean:.4f}")
    gradients = [row[0] for row in rows(pictures["gradients"])]
    assert gradients == [layer.name, *(one.name for one in diagnosis.gradients)]
    assert f"{diagnosis.history.train_loss[-1][1]:.3f} at step 30" in pictures["loss"].alt
    weights = [one.name for one in diagnosis.gradients if one.is_weight]
    assert [row[0] for row in rows(pictures["updates"])] == weights


def test_the_commonest_pair_is_named(diagnosis: Diagnosis) -> None:
    counts = diagnosis.bigram_counts
    most = max(max(row) for row in counts)
    pairs = {
        before + after
        for before, row in zip(diagnosis.symbols, counts, strict=True)
        for after, count in zip(diagnosis.symbols, row, strict=True)
        if count == most
    }
    pair, times, _ = rows(draw(draw_bigram_counts, diagnosis))[0]
    assert pair in pairs
    assert times == f"{most:,}"


def test_the_distance_of_the_two_tables(diagnosis: Diagnosis) -> None:
    exact = tuple(tuple(count / sum(row) for count in row) for row in diagnosis.bigram_counts)
    alike = draw(draw_model_bigrams, replace(diagnosis, model_bigrams=exact))
    assert "differ by 0.0% of the probability" in alike.alt
    # The first row gives all its probability to a pair that never occurs, so it has nothing in common with the words.
    assert diagnosis.bigram_counts[0][0] == 0
    disjoint = ((1.0, *[0.0] * (len(exact) - 1)), *exact[1:])
    apart = draw(draw_model_bigrams, replace(diagnosis, model_bigrams=disjoint))
    share = sum(diagnosis.bigram_counts[0]) / sum(map(sum, diagnosis.bigram_counts))
    assert f"differ by {share:.1%} of the probability" in apart.alt


def test_a_run_with_nothing_inside(diagnosis: Diagnosis) -> None:
    empty = RunHistory((), (), (), {})
    pictures, missing = draw_all(
        replace(diagnosis, activations=(), gradients=(), embedding=None, history=empty)
    )
    assert [picture.name for picture in pictures] == ["next-symbol", "bigrams"]
    for word in ("Loss", "Update-to-data", "Activations", "Gradients", "Embedding"):
        assert sum(sentence.startswith(word) for sentence in missing) == 1, word
    assert any("--record-updates" in sentence for sentence in missing)


def test_a_row_that_the_model_was_never_asked_for(diagnosis: Diagnosis) -> None:
    table = ((math.nan,) * len(diagnosis.symbols), *diagnosis.model_bigrams[1:])
    picture = draw(draw_model_bigrams, replace(diagnosis, model_bigrams=table, is_bigram=True))
    assert "nan" not in picture.alt
    assert "average of its probabilities" not in picture.how_to_read


def test_a_deep_model(diagnosis: Diagnosis) -> None:
    (layer,) = diagnosis.activations
    layers = tuple(replace(layer, name=f"block.{number}.act", kind="GELU") for number in range(30))
    weights = tuple(replace(diagnosis.gradients[0], name=f"block.{number}.weight") for number in range(50))
    history = replace(diagnosis.history, update_ratios={one.name: ((1, -3.0), (2, -2.0)) for one in weights})
    deep = replace(diagnosis, activations=layers, gradients=weights, history=history)
    activations = draw(draw_activations, deep)
    assert "12 of 30 layers are drawn" in activations.how_to_read
    assert "12 of 30 layers are drawn" in draw(draw_saturation, deep).how_to_read
    assert len(rows(activations)) == 30
    assert "28 of 50 weights are drawn" in draw(draw_updates, deep).how_to_read
    assert len(rows(draw(draw_gradients, deep))) == 80


def test_symbols_without_a_row_of_their_own(diagnosis: Diagnosis) -> None:
    many = replace(diagnosis, vocab_size=5491, symbols=(*diagnosis.symbols[:-1], OTHERS))
    pictures, missing = draw_all(many)
    shown = len(many.symbols) - 1
    sentence = f"Only the {shown} most frequent of the 5,491 symbols are shown; 'others' are the rest of them together."
    assert missing == [f"Symbols: {sentence}"]
    told = {picture.name for picture in pictures if sentence in picture.how_to_read}
    assert told == {"embedding", "next-symbol", "bigrams"}


def test_a_loss_that_starts_far_too_high(diagnosis: Diagnosis) -> None:
    history = replace(diagnosis.history, train_loss=((1, 30.0), (10, 3.0)), dev_loss=())
    picture = draw(draw_loss, replace(diagnosis, history=history))
    assert "30.000 nats per character at step 1," in picture.alt


def test_a_model_that_is_set_from_counts_has_no_gradients(diagnosis: Diagnosis) -> None:
    pictures, missing = draw_all(replace(diagnosis, step=0))
    assert "gradients" not in {picture.name for picture in pictures}
    assert "Gradients: the model has no weights that are trained by gradients." in missing
