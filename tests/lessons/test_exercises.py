"""Every lesson ends in two or three exercises with answers, and the numbers in the answers are right."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from namegen_ext.cli.find_lessons import find_lessons
from namegen_ext.cli.lesson_code import read_lesson
from namegen_ext.models import MLP
from namegen_reference import microgpt

LESSONS = Path(__file__).resolve().parents[2] / "python" / "lessons"


def answers(name: str) -> str:
    return " ".join(answer for _, answer in read_lesson(LESSONS / f"{name}.py").exercises)


@pytest.mark.parametrize("name", find_lessons().LESSONS)
def test_there_are_two_or_three(name: str) -> None:
    exercises = read_lesson(LESSONS / f"{name}.py").exercises
    assert 2 <= len(exercises) <= 3
    for question, answer in exercises:
        assert question.endswith(("?", "."))
        assert answer.endswith(".")


def test_shapes() -> None:
    grid = torch.arange(6).view(2, 3)
    assert str(tuple((torch.zeros(4, 1, 3) + torch.zeros(2, 3)).shape)) in answers("tensors")
    assert (torch.zeros(5, 3) + torch.zeros(5)[:, None]).shape == (5, 3)
    with pytest.raises(RuntimeError, match="view"):
        grid.T.view(6)
    assert torch.equal(grid.T.reshape(6), grid.T.contiguous().view(6))


def test_gradients() -> None:
    x = torch.tensor(3.0, requires_grad=True)
    for expected in (7, 14):
        (x * x + x).backward()
        assert x.grad is not None
        assert x.grad.item() == expected
        assert str(expected) in answers("autograd")
    a, b = (torch.tensor(value, requires_grad=True) for value in (2.0, 3.0))
    (a * b + a).backward()
    gradients = [None if value.grad is None else value.grad.item() for value in (a, b)]
    assert gradients == [4, 2]
    assert "b + 1 = 4" in answers("micrograd")


def test_counts_of_parameters() -> None:
    linear = sum(p.numel() for layer in (nn.Linear(30, 200), nn.Linear(200, 27)) for p in layer.parameters())
    assert f"{linear:,}" in answers("nn_basics")
    assert "8,097" in answers("mlp")
    # Like the lesson's network: one hidden layer with a bias, and no batch norm.
    model = MLP(27, 5, embedding_dim=10, hidden_size=100, batch_norm=False)
    assert sum(parameter.numel() for parameter in model.parameters()) == 8097
    text = answers("microgpt")
    assert "432 + 256 + 432 + 1,024 + 2,048" in text
    assert 432 + 256 + 432 + 1024 + 2048 == 4192
    assert microgpt.__doc__


def test_logarithms_and_factors() -> None:
    assert f"{math.log(4):.4f}" in answers("bigram")
    assert f"{math.log(27):.4f}" in answers("nn_basics")
    assert f"{5 / 3 / math.sqrt(400):.4f}" in answers("initialisation")
    assert f"{5 * (1 - 0.9**10):.4f}" in answers("initialisation")
    rms = math.sqrt((9 + 16) / 2)
    assert f"{rms:.4f}, so ({3 / rms:.4f}, {4 / rms:.4f})" in answers("microgpt")
