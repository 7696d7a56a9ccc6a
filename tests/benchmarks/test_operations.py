"""The count of operations, against figures worked out by hand."""

from __future__ import annotations

import pytest
import torch

from namegen_ext.benchmarks.train.operations import operations_per_step
from namegen_ext.benchmarks.train.weights import read_weights
from namegen_ext.models import MLP, WaveNet

B, V, E, H = 6, 5, 4, 7


def test_an_mlp_whose_symbols_repeat() -> None:
    """One symbol at the first place, two at the second: three rows of the table."""
    weights = read_weights(MLP(V, block_size=2, embedding_dim=E, hidden_size=H, batch_norm=False))
    tokens = torch.tensor([[1, 2], [1, 3], [1, 2], [1, 3], [1, 2], [1, 3]])  # (B, 2)
    table = 3 * 2 * (3 * E * H)  # rows, their gradients in the weights and in the embedding
    sums = 2 * (B * 2 * H) + 2 * B * H  # rows added and gradients summed, and the same for the bias
    output = 3 * 2 * (B * H * V) + 2 * B * V
    parameters = V * E + 2 * E * H + H + H * V + V
    assert operations_per_step(weights, [tokens]) == table + sums + output + 2 * parameters


def test_where_symbols_seldom_repeat_the_plain_product_is_counted() -> None:
    weights = read_weights(MLP(100, block_size=1, embedding_dim=E, hidden_size=H, batch_norm=False))
    tokens = torch.arange(B)[:, None]  # (B, 1): the table would cost as much, and the sums on top
    product = 3 * 2 * (B * E * H) + 2 * B * H
    output = 3 * 2 * (B * H * 100) + 2 * B * 100
    parameters = 100 * E + E * H + H + H * 100 + 100
    assert operations_per_step(weights, [tokens]) == product + output + 2 * parameters


def test_a_wavenet() -> None:
    """Levels above the first are plain products, of fewer rows each."""
    weights = read_weights(WaveNet(V, block_size=4, embedding_dim=E, hidden_size=H, batch_norm=True))
    tokens = torch.tensor([[1, 2, 1, 3]]).expand(B, 4)
    table = 3 * 2 * (3 * E * H) + 2 * (B * 4 * H)  # at even places 1, at odd ones 2 or 3
    second = 3 * 2 * (B * 2 * H * H)  # one row for each example is left
    output = 3 * 2 * (B * H * V) + 2 * B * V
    parameters = V * E + 2 * E * H + 2 * H * H + 2 * 2 * H + H * V + V
    assert operations_per_step(weights, [tokens]) == table + second + output + 2 * parameters


def test_the_mean_over_minibatches() -> None:
    weights = read_weights(MLP(V, block_size=2, embedding_dim=E, hidden_size=H))
    few, many = torch.ones(B, 2, dtype=torch.int64), torch.tensor([[1, 2], [2, 3], [3, 1]] * 2)
    each = [operations_per_step(weights, [tokens]) for tokens in (few, many)]
    assert each[0] < each[1]
    assert operations_per_step(weights, [few, many]) == pytest.approx(sum(each) / 2)


def test_the_reference_model_at_its_reference_batch() -> None:
    """What the three products of the output layer and the table of 13 symbols a place come to, roughly."""
    weights = read_weights(MLP(27, batch_norm=False))
    tokens = torch.arange(32)[:, None].expand(32, 3) % 13
    count = operations_per_step(weights, [tokens])
    least = 3 * 2 * 32 * 200 * 27 + 3 * 2 * 39 * 10 * 200
    assert least < count < 1.1 * least
