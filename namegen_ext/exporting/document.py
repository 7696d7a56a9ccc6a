"""The document: a model with all that is needed to draw names from it, as one JSON object. See docs/format.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from namegen_ext._version import __version__
from namegen_ext.data.categories import letters_of
from namegen_ext.exporting.list_document import list_document
from namegen_ext.exporting.model_documents import model_document
from namegen_ext.runs.config import RunConfig

FORMAT = "namegen-model"
VERSION = 1

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Exported:
    """What is exported.

    Attributes:
        config: how the model was trained, and on what.
        arrays: its parameters and buffers, by their names in the state_dict.
        words: the names of its list; None leaves them out, so that nobody can read them in the file, and new names
            cannot be told from old ones.
        num_words: how many there are.
        num_values: how many parameters, or counts, the model has.
        steps: how many steps it was trained for.
        shares: how often each category of the list is drawn, by name; empty for a list without categories.
        max_length: a name is cut after so many letters.
        losses: in nats per character, by the names of the splits; None where one is not known.

    """

    config: RunConfig
    arrays: Mapping[str, NDArray[Any]]
    words: Sequence[str] | None
    num_words: int
    num_values: int
    steps: int
    shares: Mapping[str, float]
    max_length: int
    losses: Mapping[str, float | None]


def make_document(exported: Exported) -> dict[str, Any]:
    """Make the document.

    Raises:
        ExportError: the model is larger than the format is meant for, or its numbers are not finite.

    """
    config = exported.config
    symbols = letters_of(config.vocabulary).symbols  # the marks of categories have the numbers behind these
    reading = list_document(symbols, exported.words or (), config.reading)
    if exported.words is None:
        reading["names"] = None
    return {
        "format": FORMAT,
        "version": VERSION,
        "about": {
            "created_by": f"namegen_ext {__version__}",
            "model": config.options.model,
            "recipe": config.recipe,
            "parameters": exported.num_values,
            "steps": exported.steps,
            "data": config.data_name,
            "source": config.data_source,
            "num_names": exported.num_words,
            "losses": {name: exported.losses.get(name) for name in SPLITS},
        },
        "symbols": list(symbols),
        "categories": [{"name": name, "share": share} for name, share in exported.shares.items()] or None,
        "max_length": exported.max_length,
        "list": reading,
        "model": model_document(config.options.model, config.model_config, exported.arrays),
    }


def as_json(document: Mapping[str, Any]) -> str:
    """Write the document as one line of ASCII, which JavaScript reads as JSON does."""
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
