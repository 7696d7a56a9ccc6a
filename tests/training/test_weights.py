"""Names that count more than once: in the examples, in counting models, and in a run directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from namegen_ext.data import Vocabulary
from namegen_ext.models.examples import build_examples, example_weights
from namegen_ext.training import Corpus, OptionError, Trainer, TrainOptions

NAMES = ["ana", "bo", "cecilia", "dan", "eve", "fritz", "gus", "hal", "ida", "jo"]
COUNTS = [3.0, 1.0, 2.0, 5.0, 1.0, 4.0, 2.0, 1.0, 6.0, 2.0]


@pytest.mark.parametrize("block_size", [1, 3, 4, 16])
@pytest.mark.parametrize("model", ["mlp", "gpt"])
def test_each_example_has_the_weight_of_its_word(model: str, block_size: int) -> None:
    vocabulary = Vocabulary.from_words(NAMES)
    tokens, _ = build_examples(model, NAMES, vocabulary, block_size)
    weights = example_weights(model, NAMES, COUNTS, block_size)
    assert weights.dtype == torch.float64
    assert weights.shape == (len(tokens),)
    rows = tokens.tolist()
    for name, count in zip(NAMES, COUNTS, strict=True):
        alone = build_examples(model, [name], vocabulary, block_size)[0].tolist()
        for row in alone:
            places = [place for place, found in enumerate(rows) if found == row]
            assert count in weights[places].tolist()
    targets = torch.tensor([len(name) + 1 for name in NAMES])
    per_word = targets if model == "mlp" else 1 + (targets - block_size).clamp(min=0)
    assert float(weights.sum()) == float((per_word * torch.tensor(COUNTS)).sum())


@pytest.mark.parametrize("options", [{}, {"estimator": "witten-bell"}], ids=str)
def test_a_counting_model_counts_each_name_as_often_as_it_says(options: dict[str, Any]) -> None:
    asked = TrainOptions(model="ngram", init="counts", steps=0, block_size=2, split="all", **options)
    repeated = [name for name, count in zip(NAMES, COUNTS, strict=True) for _ in range(int(count))]
    weighted = Trainer(NAMES, asked, weights=COUNTS).run()
    expected = Trainer(repeated, asked).run()
    for name, tensor in weighted.model.state_dict().items():
        assert torch.equal(tensor, expected.model.state_dict()[name])


def test_the_split_does_not_depend_on_the_counts() -> None:
    plain = Corpus.build(NAMES, block_size=3, split_seed=5)
    weighted = Corpus.build(NAMES, block_size=3, split_seed=5, weights=COUNTS)
    assert (plain.splits.train, plain.splits.dev) == (weighted.splits.train, weighted.splits.dev)
    assert plain.train_weights is None
    of = dict(zip(NAMES, COUNTS, strict=True))
    assert weighted.splits.train_weights == [of[name] for name in weighted.splits.train]


@pytest.mark.parametrize("fused", [None, "layers", "step"])
def test_every_backend_sees_the_same_examples(
    small_options: Callable[..., TrainOptions], fused: str | None
) -> None:
    names = NAMES * 5
    weights = [count + place % 3 for place, count in enumerate(COUNTS * 5)]
    options = small_options(steps=60)
    trainers = [Trainer(names, options, weights=weights, fused=choice) for choice in (None, fused)]
    num_examples = len(trainers[0].corpus.train[1])
    drawn = [trainer._indices(num_examples).steps(0, 60) for trainer in trainers]
    assert torch.equal(*drawn)
    losses = [trainer.run().train_loss for trainer in trainers]
    # The project's bound for stock against fused losses over 200 steps.
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert Trainer(names, options, fused=fused).run().train_loss != losses[1]


def test_a_name_that_counts_much_is_learnt_best(small_options: Callable[..., TrainOptions]) -> None:
    options = small_options(steps=600, hidden_size=64, split="all", batch_size=32)
    weights = [1.0] * len(NAMES)
    weights[2] = 1000.0

    def loss_of(result: Any) -> float:
        tokens, targets = build_examples("mlp", ["cecilia"], result.corpus.vocabulary, options.block_size)
        with torch.no_grad():
            return float(result.model(tokens, targets)[1])

    assert loss_of(Trainer(NAMES, options, weights=weights).run()) < 0.1
    assert loss_of(Trainer(NAMES, options).run()) > 0.2


def test_all_examples_at_once_have_no_counts(small_options: Callable[..., TrainOptions]) -> None:
    with pytest.raises(OptionError, match="full_batch: got True, expected False with counts"):
        Trainer(NAMES, small_options(full_batch=True), weights=COUNTS)
