"""The devlog's ladder on its own data, names.txt, which is not part of the project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from namegen_ext.data import load_words
from namegen_ext.models import build_model
from namegen_ext.training import RECIPES, Corpus, MinibatchIndices, Trainer, TrainOptions

# Initial loss and eval loss as the devlog reports them.
LADDER = {
    "devlog-1-plain": (30.54, 2.334),
    "devlog-2-small-output": (3.295, 2.193),
    "devlog-3-scaled-hidden": (3.296, 2.229),
    "devlog-4-kaiming": (3.295, 2.209),
    "devlog-5-batch-norm": (3.292, 2.236),
}


@pytest.fixture(scope="module")
def names(names_file: Path) -> list[str]:
    return load_words(names_file).words


@pytest.fixture(scope="module")
def corpus(names: list[str]) -> Corpus:
    return Corpus.build(names, block_size=3, split_seed=42)


def test_the_split_has_the_published_numbers_of_examples(corpus: Corpus) -> None:
    parts = (corpus.train, corpus.dev, corpus.test)
    assert [len(targets) for _, targets in parts] == [182_625, 22_655, 22_866]


@pytest.mark.parametrize("recipe", LADDER)
def test_initial_loss(recipe: str, corpus: Corpus, seeded: Callable[[int], torch.Generator]) -> None:
    options = RECIPES[recipe].train_options({})
    tokens, targets = corpus.train
    batch = MinibatchIndices(options.seed, len(targets), options.batch_size).steps(0, 1)[0]
    model = build_model("mlp", options.model_config(27), seeded(options.seed))
    _, loss = model(tokens[batch], targets[batch])
    if recipe == "devlog-1-plain":
        assert 20 < loss.item() < 35  # a draw, reported as such
    else:
        # Another draw of logits of a standard deviation up to 0.14, averaged over 32 examples whose hidden
        # units are partly shared: 0.14 / sqrt(32) = 0.025 if independent, and twice that.
        assert loss.item() == pytest.approx(LADDER[recipe][0], abs=0.05)


@pytest.mark.long
@pytest.mark.parametrize("recipe", LADDER)
def test_eval_loss(recipe: str, names: list[str], request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--long", default=False):
        pytest.skip("trains for 20,001 steps, about 10 s; run with --long")
    options: TrainOptions = RECIPES[recipe].train_options({})
    result = Trainer(names, options, eval_every=0).run()
    # The devlog split at random without a seed, and drew its own weights and minibatches.
    assert result.dev_loss == pytest.approx(LADDER[recipe][1], abs=0.06)
