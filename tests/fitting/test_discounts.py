"""Tuning the discounts: held-out names become likelier, and no small change makes them likelier still."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.fitting import discounts as discounts_module
from namegen_ext.fitting.discounts import Discounts, held_out_probabilities, tune_discounts
from namegen_ext.models import CountModel
from namegen_ext.models.count_model import DEFAULT_CONCENTRATION, DEFAULT_DISCOUNTS

ORDER = 4


def evidence_of(names: list[str]) -> tuple[Tensor, int]:
    vocabulary = Vocabulary.from_words(names)
    model = CountModel(len(vocabulary), ORDER, estimator="kneser-ney")
    model.count(*build_windows(names[:150], vocabulary, ORDER))
    return model.evidence(*build_windows(names[150:], vocabulary, ORDER)), len(vocabulary)


def loss(evidence: Tensor, discounts: Discounts, vocab_size: int) -> float:
    return float(-held_out_probabilities(evidence, discounts, vocab_size).log().sum())


def test_tuned_discounts_are_better_than_the_defaults_and_in_their_ranges(names: list[str]) -> None:
    evidence, vocab_size = evidence_of(names)
    tuned = tune_discounts(evidence, vocab_size)
    default = Discounts(
        torch.tensor(DEFAULT_DISCOUNTS, dtype=torch.float64).repeat(ORDER + 1, 1),
        torch.full((ORDER + 1,), DEFAULT_CONCENTRATION, dtype=torch.float64),
    )
    assert loss(evidence, tuned, vocab_size) < loss(evidence, default, vocab_size) - 1
    assert bool((tuned.discounts > 0).all())
    assert bool((tuned.discounts < torch.tensor([1.0, 2.0, 3.0])).all())
    assert bool((tuned.concentrations > 0).all())
    CountModel(vocab_size, ORDER, estimator="kneser-ney").set_discounts(tuned.discounts, tuned.concentrations)


def test_no_small_change_is_better(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discounts_module, "_RIDGE", 1e-9)  # that draws each number towards its default
    evidence, vocab_size = evidence_of(names)
    tuned = tune_discounts(evidence, vocab_size)
    best = loss(evidence, tuned, vocab_size)
    for length in range(1, ORDER + 1):
        for entry in range(3):
            for step in (-0.02, 0.02):
                discounts = tuned.discounts.clone()
                discounts[length, entry] += step
                if not 0 <= float(discounts[length, entry]) <= entry + 1:
                    continue
                changed = loss(evidence, Discounts(discounts, tuned.concentrations), vocab_size)
                assert changed > best - 0.01  # of hundreds of nats: the search ends near the minimum


def test_without_evidence_the_defaults_stay() -> None:
    tuned = tune_discounts(torch.zeros(10, ORDER + 1, 5, dtype=torch.float64), 9)
    expected = torch.tensor(DEFAULT_DISCOUNTS, dtype=torch.float64).repeat(ORDER + 1, 1)
    torch.testing.assert_close(tuned.discounts, expected, rtol=0, atol=1e-9)
    assert tuned.concentrations.tolist() == [
        torch.tensor(DEFAULT_CONCENTRATION, dtype=torch.float64).item()
    ] * (ORDER + 1) or bool((tuned.concentrations - DEFAULT_CONCENTRATION).abs().max() < 1e-9)
