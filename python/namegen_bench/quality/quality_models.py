"""What is compared: the models of the ladder, each by itself, and the mixture that ``fit`` finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIT = "fit"


@dataclass(frozen=True)
class QualityModel:
    """A model, as `namegen_ext.fit` is asked for it.

    Attributes:
        name: in the rows.
        label: in the table.
        options: of `namegen_ext.fit`.

    """

    name: str
    label: str
    options: Mapping[str, Any]


_NETWORK = {"fused": True}

QUALITY_MODELS = (
    QualityModel("bigram", "bigram counts, add-1", {"recipe": "bigram-counts-split"}),
    QualityModel("4-gram", "4-gram counts, add-0.1", {"recipe": "4-gram-counts"}),
    QualityModel("witten-bell", "Witten-Bell", {"recipe": "witten-bell"}),
    QualityModel("kneser-ney", "Kneser-Ney", {"recipe": "kneser-ney"}),
    QualityModel("mlp", "MLP, 1,000 steps", {"recipe": "default", "steps": 1000, **_NETWORK}),
    QualityModel("default", "MLP, 20,001 steps", {"recipe": "default", **_NETWORK}),
    QualityModel("wavenet", "WaveNet, 3,000 steps", {"model": "wavenet", "steps": 3000, **_NETWORK}),
    QualityModel("gpt", "GPT, 1,000 steps", {"model": "gpt", "steps": 1000, **_NETWORK}),
    QualityModel(FIT, "fit", {"recipe": "best", "refit": False}),
)
MODELS_BY_NAME = {model.name: model for model in QUALITY_MODELS}
# Those of the ladder that `fit` is measured against: the best of them on each list.
SINGLE_MODELS = tuple(model.name for model in QUALITY_MODELS if model.name != FIT)
