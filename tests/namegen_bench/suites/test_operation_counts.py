"""The count of operations, against figures worked out by hand."""

from __future__ import annotations

import pytest
import torch

from namegen_bench.suites.train.operation_counts import (
    distinct_prefixes,
    forward_operations,
    gpt_operations_per_step,
    operations_per_step,
    work_per_step,
)
from namegen_bench.suites.train.train_case import TrainCase, TrainData
from namegen_bench.suites.train.weights import read_weights
from namegen_ext.models import GPT, MLP, Bigram, WaveNet

B, V, E, H = 6, 5, 4, 7


def test_an_mlp_whose_symbols_repeat() -> None:
    """One symbol at the first place, two at the second: three rows of the table, two distinct contexts."""
    weights = read_weights(MLP(V, block_size=2, embedding_dim=E, hidden_size=H, batch_norm=False))
    tokens = torch.tensor([[1, 2], [1, 3], [1, 2], [1, 3], [1, 2], [1, 3]])  # (B, 2)
    table = 3 * 2 * (3 * E * H)  # rows, their gradients in the weights and in the embedding
    sums = 2 * (2 * 2 * H) + 2 * 2 * H  # rows added and gradients summed, and the same for the bias
    output = 3 * 2 * (2 * H * V) + 2 * 2 * V
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
    """Levels above the first are plain products, of fewer rows each: two pairs, and one context that all share."""
    weights = read_weights(WaveNet(V, block_size=4, embedding_dim=E, hidden_size=H, batch_norm=True))
    tokens = torch.tensor([[1, 2, 1, 3]]).expand(B, 4)
    table = 3 * 2 * (3 * E * H) + 2 * (2 * 2 * H)  # at even places 1, at odd ones 2 or 3
    second = 3 * 2 * (2 * H * H)
    output = 3 * 2 * (H * V) + 2 * V
    parameters = V * E + 2 * E * H + 2 * H * H + 2 * 2 * H + H * V + V
    assert operations_per_step(weights, [tokens]) == table + second + output + 2 * parameters


def test_the_mean_over_minibatches() -> None:
    weights = read_weights(MLP(V, block_size=2, embedding_dim=E, hidden_size=H))
    few, many = torch.ones(B, 2, dtype=torch.int64), torch.tensor([[1, 2], [2, 3], [3, 1]] * 2)
    each = [operations_per_step(weights, [tokens]) for tokens in (few, many)]
    assert each[0] < each[1]
    assert operations_per_step(weights, [few, many]) == pytest.approx(sum(each) / 2)


def test_the_reference_model_at_its_reference_batch() -> None:
    """What three products of the output layer, for 13 contexts, and of 13 symbols a place come to, roughly."""
    weights = read_weights(MLP(27, batch_norm=False))
    tokens = torch.arange(32)[:, None].expand(32, 3) % 13
    count = operations_per_step(weights, [tokens])
    least = 3 * 2 * 13 * 200 * 27 + 3 * 2 * 39 * 10 * 200
    assert least < count < 1.1 * least


def test_forward_alone() -> None:
    weights = read_weights(MLP(V, block_size=2, embedding_dim=E, hidden_size=H, batch_norm=False))
    tokens = torch.tensor([[1, 2], [1, 3], [1, 2]])  # three rows of the table, two distinct contexts
    table, sums = 2 * (3 * E * H), 2 * 2 * H + 2 * H  # rows added, and the bias
    # The plain product takes 2 * 2 * 2 * E * H: more.
    assert table + 2 * 2 * H < 2 * 2 * 2 * E * H
    assert forward_operations(weights, tokens) == table + sums + 2 * (2 * H * V) + 2 * V


def test_a_bigram_works_on_the_rows_that_occur() -> None:
    weights = read_weights(Bigram(V))
    tokens = torch.tensor([[1], [2], [1], [1]])  # two rows
    assert operations_per_step(weights, [tokens]) == 4 + 2 * (2 * V) + 2 * V * V


def test_a_gpt_needs_no_position_behind_a_words_end_and_equal_prefixes_once() -> None:
    model = GPT(V, block_size=4, embedding_dim=8, num_layers=2, num_heads=2)
    tokens = torch.tensor([[0, 1, 0, 0], [0, 1, 2, 3], [0, 4, 2, 3]])
    targets = torch.tensor([[1, 0, -1, -1], [1, 2, 3, 0], [4, 2, 3, -1]])  # 2, 4 and 3 positions
    assert distinct_prefixes(tokens, targets) == [1, 2, 2, 1]
    # Queries, keys, values, output, and two matrices of 8 by 32, in two layers; and the head.
    dense = 2 * (4 * 8 * 8 + 2 * 8 * 32) + 8 * V
    pairs = 1 * 1 + 2 * 2 + 2 * 3 + 1 * 4
    parameters = sum(parameter.numel() for parameter in model.parameters())
    expected = 3 * 2 * (6 * dense + pairs * 2 * (2 * 8)) + 2 * parameters
    assert gpt_operations_per_step(model, [tokens], [targets]) == expected


def test_the_bytes_of_a_step_are_those_of_the_minibatch_and_the_parameters() -> None:
    case = TrainCase(
        batch_norm=False, batch_size=6, steps=2, timed_steps=2, embedding_dim=E, block_size=2, hidden_size=H
    )
    data = TrainData(V, torch.zeros(10, 2, dtype=torch.int64), torch.zeros(10, dtype=torch.int64))
    parameters = V * E + 2 * E * H + H + H * V + V
    assert work_per_step(case, data).bytes == 8 * 6 * (1 + 2 + 1) + 2 * 4 * parameters
