"""The table of published results: every figure as published, each with its recipe."""

from __future__ import annotations

import pytest

from namegen_ext.models import build_model
from namegen_ext.options.recipes import BEST_RECIPE, DEFAULT_RECIPE, RECIPES
from namegen_ext.reproduction import ROWS, Expectation

# metric: (published, tolerance). Published to four decimals: half a unit of the last, and 1e-6.
ROUNDED = 0.000051
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "bigram-counts": {"train": (2.4540145, 1e-6)},
    "bigram-counts-add-1": {"train": (2.454577, 1e-6)},
    "bigram-counts-split": {"train": (2.4548, ROUNDED), "dev": (2.4533, ROUNDED), "test": (2.4584, ROUNDED)},
    "4-gram-counts": {"dev": (2.1018, ROUNDED), "test": (2.1044, ROUNDED)},
    "witten-bell": {
        "dev": (2.0418, ROUNDED),
        "test": (2.0419, ROUNDED),
        "seen_dev": (1.6787, ROUNDED),
        "unseen_dev": (2.0926, ROUNDED),
    },
    "lecture-bigram-network": {"objective": (2.4818, 0.03)},
    "devlog-1-plain": {"dev": (2.334, 0.06)},
    "devlog-2-small-output": {"initial": (3.295, 0.05), "dev": (2.193, 0.06)},
    "devlog-3-scaled-hidden": {"initial": (3.296, 0.05), "dev": (2.229, 0.06)},
    "devlog-4-kaiming": {"initial": (3.295, 0.05), "dev": (2.209, 0.06)},
    "devlog-5-batch-norm": {"initial": (3.292, 0.05), "dev": (2.236, 0.06)},
    "lecture-mlp-1-plain": {"train": (2.1245, 0.03), "dev": (2.1682, 0.03)},
    "lecture-mlp-2-small-output": {"train": (2.07, 0.03), "dev": (2.13, 0.03)},
    "lecture-mlp-3-unsaturated": {"train": (2.0356, 0.03), "dev": (2.1027, 0.03)},
    "lecture-mlp-4-kaiming": {"train": (2.0377, 0.03), "dev": (2.1070, 0.03)},
    "lecture-mlp-5-batch-norm": {"train": (2.0668, 0.03), "dev": (2.1048, 0.03)},
    "lecture-mlp-6-backprop": {"train": (2.0705, 0.03), "dev": (2.1099, 0.03)},
    "lecture-wavenet-1-flat": {"train": (1.918, 0.03), "dev": (2.027, 0.03)},
    "lecture-wavenet-2-hierarchical": {"train": (1.912, 0.03), "dev": (2.022, 0.03)},
    "lecture-wavenet-3-large": {"train": (1.7690, 0.03), "dev": (1.9937, 0.03)},
    "lecture-gpt": {"test": (1.92, 0.03)},
    "microgpt": {
        "initial": (3.3660, ROUNDED),
        "last_step": (2.6497, ROUNDED),
        "mean_step": (2.4517, ROUNDED),
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_figures_and_tolerances(name: str) -> None:
    found = {one.metric: one for one in ROWS[name].expectations if one.low != 20.0}
    assert found.keys() == PUBLISHED[name].keys()
    for metric, (published, tolerance) in PUBLISHED[name].items():
        assert found[metric].published == published
        assert found[metric].low == pytest.approx(published - tolerance, abs=1e-9)
        assert found[metric].high == pytest.approx(published + tolerance, abs=1e-9)


def test_the_draw_of_the_first_stage_is_a_range() -> None:
    (draw,) = (one for one in ROWS["devlog-1-plain"].expectations if one.metric == "initial")
    assert draw == Expectation("initial", 30.54, 20.0, 35.0)
    assert draw.tolerance == "20 to 35"


def test_every_recipe_but_the_default_is_a_row() -> None:
    assert set(ROWS) == set(RECIPES) - {DEFAULT_RECIPE}
    unpublished = {"devlog-6-block-8", "devlog-7-hierarchical", "kneser-ney", "microgpt-batch", BEST_RECIPE}
    assert set(ROWS) - set(PUBLISHED) == unpublished
    assert not ROWS[BEST_RECIPE].quick, "it takes half a minute"


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.parameters is not None])
def test_published_numbers_of_parameters(name: str) -> None:
    options = RECIPES[name].train_options({})
    model = build_model(options.model, options.model_config(27))
    assert sum(parameter.numel() for parameter in model.parameters()) == ROWS[name].parameters


@pytest.mark.parametrize(
    ("expectation", "text"),
    [
        (Expectation("dev", 2.0, 1.97, 2.03), "0.03"),
        (Expectation("dev", None, 0.0, 2.236), "below 2.236"),
        (Expectation("dev", 2.4540145, 2.4540135, 2.4540155), "1e-06"),
    ],
)
def test_a_tolerance_in_words(expectation: Expectation, text: str) -> None:
    assert expectation.tolerance == text
