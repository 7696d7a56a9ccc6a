"""The initial weights of microgpt: the numbers of Python's generator, in their places."""

from __future__ import annotations

import random

import pytest
import torch

from namegen_ext.models import GPT, MLP
from namegen_ext.models.microgpt import fill_as_microgpt


def test_the_numbers_are_those_of_pythons_generator() -> None:
    model = GPT(
        5, block_size=3, embedding_dim=4, num_layers=2, num_heads=2, norm="rms", biases=False
    ).double()
    fill_as_microgpt(model, seed=7, num_words=10)
    draws = random.Random(7)
    draws.shuffle(list(range(10)))

    def matrix(rows: int, columns: int) -> torch.Tensor:
        numbers = [draws.gauss(0, 0.08) for _ in range(rows * columns)]
        return torch.tensor(numbers, dtype=torch.float64).view(rows, columns)

    # There the mark of the beginning and end is the last symbol, here the first.
    tokens = matrix(5, 4)
    assert torch.equal(model.token_embedding.weight[1:], tokens[:4])
    assert torch.equal(model.token_embedding.weight[0], tokens[4])
    assert torch.equal(model.position_embedding.weight, matrix(3, 4))
    assert torch.equal(model.head.weight.roll(-1, 0), matrix(5, 4))
    for block in model.blocks:
        for rows, columns, weight in (
            (12, 4, block.attention.projections[0].weight),
            (4, 4, block.attention.output[0].weight),
            (16, 4, block.network[0].weight),
            (4, 16, block.network[2].weight),
        ):
            assert torch.equal(weight, matrix(rows, columns))


def test_biases_and_norms_begin_as_nothing() -> None:
    model = GPT(5, block_size=3, embedding_dim=4, num_layers=1, num_heads=2, tied=True, embedding_norm=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(3.0)
    fill_as_microgpt(model, seed=7, num_words=10)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert (parameter == (1.0 if name.endswith("weight") else 0.0)).all(), name
        elif name.endswith("bias"):
            assert (parameter == 0).all(), name
        else:
            assert parameter.abs().max() < 0.5, name


def test_another_model_is_refused() -> None:
    with pytest.raises(TypeError, match="model must be a GPT, but got MLP"):
        fill_as_microgpt(MLP(5), seed=1, num_words=1)
