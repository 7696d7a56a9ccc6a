"""Evaluation against one example at a time, and the modes it leaves behind."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from namegen_ext.data import IGNORED
from namegen_ext.models import GPT, MLP
from namegen_ext.training import evaluate


def model_and_windows(n: int) -> tuple[MLP, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    model = MLP(9, 3, 4, 12, init="plain", generator=g)
    for _ in range(20):  # statistics of batch norm that are not the initial ones
        model(torch.randint(9, (32, 3), generator=g))
    return model, torch.randint(9, (n, 3), generator=g), torch.randint(9, (n,), generator=g)


def slow_loss(model: nn.Module, tokens: torch.Tensor, targets: torch.Tensor) -> float:
    """Minus the mean of log p, example by example, from the softmax written out."""
    model.eval()
    total = 0.0
    for context, target in zip(tokens, targets.tolist(), strict=True):
        logits = model(context[None])[0][0].double().tolist()
        total -= logits[target] - math.log(sum(math.exp(logit) for logit in logits))
    return total / len(targets)


@pytest.mark.parametrize("chunk_size", [1, 7, 100, 8192])
def test_equals_one_example_at_a_time(chunk_size: int) -> None:
    model, tokens, targets = model_and_windows(100)
    loss = evaluate(model, tokens, targets, chunk_size=chunk_size)
    # Float32 logits of size up to 20: an error of some 1e-6 each.
    assert loss == pytest.approx(slow_loss(model, tokens, targets), abs=1e-5)


def test_takes_a_model_that_returns_logits_alone() -> None:
    model, tokens, targets = model_and_windows(50)
    assert evaluate(model.net, tokens, targets) == evaluate(model, tokens, targets)


@pytest.mark.parametrize("chunk_size", [1, 30, 8192])
def test_sequences_weigh_every_target_the_same(chunk_size: int) -> None:
    g = torch.Generator().manual_seed(0)
    model = GPT(9, 5, 8, 1, 2, generator=g)
    tokens, targets = (torch.randint(9, (20, 5), generator=g) for _ in range(2))
    targets[torch.rand(20, 5, generator=g) < 0.5] = IGNORED
    targets[3] = IGNORED  # a sequence without targets has no weight
    total = 0.0
    for sequence, following in zip(tokens, targets.tolist(), strict=True):
        logits, _ = model(sequence[None])  # (1, T, V)
        for position, target in enumerate(following):
            if target != IGNORED:
                total -= float(logits[0, position].detach().double().log_softmax(0)[target])
    expected = total / int((targets != IGNORED).sum())
    assert evaluate(model, tokens, targets, chunk_size=chunk_size) == pytest.approx(expected, abs=1e-5)
    assert evaluate(model, tokens, torch.full_like(targets, IGNORED)) is None


def test_every_module_keeps_its_mode() -> None:
    model, tokens, targets = model_and_windows(10)
    model.train()
    model.net[3].eval()  # frozen batch norm
    modes = [module.training for module in model.modules()]
    evaluate(model, tokens, targets)
    assert [module.training for module in model.modules()] == modes
    assert True in modes
    assert False in modes


def test_modes_are_restored_after_an_error_too() -> None:
    model, tokens, targets = model_and_windows(10)
    model.train()
    with pytest.raises(IndexError):
        evaluate(model, tokens + 9, targets)
    assert all(module.training for module in model.modules())


def test_nothing_of_the_model_changes() -> None:
    model, tokens, targets = model_and_windows(10)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, tokens, targets)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_no_examples_have_no_loss() -> None:
    model, tokens, targets = model_and_windows(3)
    assert evaluate(model, tokens[:0], targets[:0]) is None


def test_wrong_arguments_are_named() -> None:
    model, tokens, targets = model_and_windows(3)
    with pytest.raises(ValueError, match="chunk_size must be at least 1, but got 0"):
        evaluate(model, tokens, targets, chunk_size=0)
    with pytest.raises(ValueError, match="got 3 and 2"):
        evaluate(model, tokens, targets[:2])
