"""Networks as components: trained with the same bits each time, asked about distinct contexts once, pre-trained."""

from __future__ import annotations

import pytest
import torch

from namegen_ext.data import Vocabulary
from namegen_ext.fitting import pretraining
from namegen_ext.fitting.held_out import CROSS_FITTED_BELOW, Examples, held_out_parts
from namegen_ext.fitting.networks import FURTHER, PRETRAINED, WAVENET, Network, predict, train_network
from namegen_ext.fitting.pretraining import base_letter, graft, pretrain, share_of_known_letters

from namegen_ext.data import Splits  # isort: skip

SMALL = Network(
    "small", "wavenet", {"block_size": 4, "embedding_dim": 6, "hidden_size": 16, "hidden_bias": False}
)


def examples(names: list[str]) -> tuple[Examples, Vocabulary]:
    vocabulary = Vocabulary.from_words(names)
    return Examples.of(names, vocabulary, 16), vocabulary


def trained(names: list[str], steps: int) -> torch.nn.Module:
    made, vocabulary = examples(names)
    model = SMALL.build(len(vocabulary), 3)
    return train_network(model, made, steps=steps, batch_size=16, learning_rate=0.003, seed=5)


def test_the_same_seed_trains_the_same_bits(names: list[str]) -> None:
    first, second = trained(names, 600), trained(names, 600)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert not first.training


def test_training_learns(names: list[str]) -> None:
    made, _ = examples(names)
    losses = []
    for steps in (20, 600):
        log_probabilities = predict(trained(names, steps), made)
        losses.append(-log_probabilities[torch.arange(len(made.targets)), made.targets].mean().item())
    assert losses[1] < losses[0] - 0.3


def test_predictions_are_those_of_the_model(names: list[str]) -> None:
    made, _ = examples(names)
    model = trained(names, 50)
    expected = model(made.last(4))[0].log_softmax(dim=1)
    # In another batch a product may be rounded otherwise, a few units in the last place of numbers up to 10.
    torch.testing.assert_close(predict(model, made), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("network", [WAVENET, PRETRAINED, *FURTHER])
def test_every_network_can_be_built_and_trained(network: Network, names: list[str]) -> None:
    made, vocabulary = examples(names)
    model = network.build(len(vocabulary), 1)
    assert train_network(model, made, steps=2, batch_size=8, learning_rate=0.003, seed=1) is model
    assert int(model.block_size) <= 16  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("symbol", "letter"),
    [
        ("e", "e"),
        ("E", "e"),
        ("é", "e"),
        ("Å", "a"),
        ("ß", "s"),
        ("ж", None),
        (" ", None),
        ("1", None),
        ("'", None),
    ],
)
def test_the_letter_beneath_a_symbol(symbol: str, letter: str | None) -> None:
    assert base_letter(symbol) == letter


def test_the_share_of_letters_that_are_known() -> None:
    assert share_of_known_letters(["Zoë", "жук"]) == 0.5
    assert share_of_known_letters([]) == 0


def test_a_grafted_network_starts_as_the_pretrained_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "_STEPS", 30)
    monkeypatch.setattr(pretraining, "load_words", lambda name: _Words(["ann", "bob", "Zoë", "MARY"]))
    pretrained = pretrain(SMALL, without=["bob"], seed=2)
    alphabet = Vocabulary("abcdefghijklmnopqrstuvwxyz")
    same = graft(pretrained, SMALL, alphabet, seed=4)
    tokens = torch.randint(27, (50, 4), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(same.eval()(tokens)[0], pretrained(tokens)[0])
    other = graft(pretrained, SMALL, Vocabulary("Eeéж"), seed=4).eval()
    e = 5
    embedding, learnt = next(iter(other.parameters())), next(iter(pretrained.parameters()))
    assert [torch.equal(embedding[row], learnt[e]) for row in range(1, 5)] == [True, True, True, False]
    logits = other(torch.tensor([[0, 0, 0, 2]]))[0][0]
    assert logits[2] > logits[1]  # e is likelier than E and é
    assert logits[1] == logits[3]


class _Words:
    def __init__(self, words: list[str]) -> None:
        self.words = words


def test_what_is_pretrained_has_not_seen_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def train(model: torch.nn.Module, made: Examples, **options: object) -> torch.nn.Module:
        seen.append(made.words)
        return model

    monkeypatch.setattr(pretraining, "train_network", train)
    pretrain(SMALL, without=["Smith", "MARY", "zzz"], seed=1)
    (words,) = seen
    assert len(words) > 80_000
    assert {"smith", "mary"}.isdisjoint(words)
    assert "jones" in words
    assert len(set(words)) == len(words)


def test_a_short_list_is_held_out_in_turn(names: list[str]) -> None:
    vocabulary = Vocabulary.from_words(names)
    splits = Splits(names[:100], names[100:120], names[120:])
    *folds, last = held_out_parts(splits, vocabulary, 8)
    assert sorted(word for fold in folds for word in fold.held_out.words) == sorted(splits.train)
    for fold in folds:
        assert sorted(fold.train.words + fold.held_out.words) == sorted(splits.train)
    assert (last.train.words, last.held_out.words) == (splits.train, splits.dev)


def test_a_long_list_is_judged_by_dev(names: list[str]) -> None:
    vocabulary = Vocabulary.from_words(names)
    splits = Splits(names[:100] * (CROSS_FITTED_BELOW // 100), names[100:120], names[120:])
    (part,) = held_out_parts(splits, vocabulary, 8)
    assert part.held_out.words == splits.dev
