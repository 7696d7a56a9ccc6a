"""All the pictures of a run, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from namegen_ext.diagnostics import Diagnosis
from namegen_ext.plotting.curves import draw_loss, draw_updates
from namegen_ext.plotting.layer_pictures import draw_activations, draw_gradients, draw_saturation
from namegen_ext.plotting.picture import Picture
from namegen_ext.plotting.style import LOOKS, drawing_style
from namegen_ext.plotting.symbol_pictures import (
    draw_bigram_counts,
    draw_embedding,
    draw_model_bigrams,
    shown_symbols,
)

# Each function that draws a picture, with the sentence that replaces the picture where there is nothing to draw.
_DRAWERS: tuple[tuple[Callable[[Diagnosis], Picture | None], str], ...] = (
    (draw_loss, "Loss curve: metrics.jsonl holds no minibatch losses."),
    (
        draw_updates,
        "Update-to-data ratio: the run did not record it; train with --record-updates to have it.",
    ),
    (draw_activations, "Activations and saturation: the model has no activation layers."),
    (draw_saturation, ""),
    (draw_gradients, "Gradients: the model has no weights that are trained by gradients."),
    (draw_embedding, "Embedding: the model has none with a row for each symbol."),
    (draw_model_bigrams, ""),
    (draw_bigram_counts, ""),
)


def _in_all_looks(draw: Callable[[Diagnosis], Picture | None], diagnosis: Diagnosis) -> Picture | None:
    drawn = []
    for look in LOOKS:
        with drawing_style(look):
            picture = draw(diagnosis)
        if picture is None:
            return None
        drawn.append(picture)
    others = zip(("dark", "phone", "phone dark"), drawn[1:], strict=True)
    return replace(drawn[0], others={name: picture.png for name, picture in others})


def draw_all(diagnosis: Diagnosis) -> tuple[list[Picture], list[str]]:
    """Draw every picture that has something to show.

    Args:
        diagnosis: what was found in the run.

    Returns:
        The pictures, and sentences for what they do not show: why a picture is missing, or that rare symbols are.

    """
    pictures, missing = [], []
    for draw, reason in _DRAWERS:
        picture = _in_all_looks(draw, diagnosis)
        if picture is not None:
            pictures.append(picture)
        elif reason:
            missing.append(reason)
    if shown_symbols(diagnosis):
        missing.append(f"Symbols: {shown_symbols(diagnosis)}")
    return pictures, missing
