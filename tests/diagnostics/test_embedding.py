"""The map of the symbols."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from namegen_ext.diagnostics import embedding_map
from namegen_ext.nn import FusedEmbeddingConcatLinear


def model_with(embedding: nn.Module) -> nn.Module:
    return nn.Sequential(embedding, nn.Linear(1, 1))


def test_two_dimensions_are_taken_as_they_are() -> None:
    embedding = nn.Embedding(5, 2)
    found = embedding_map(model_with(embedding), 5)
    assert found is not None
    assert (found.name, found.embedding_dim, found.explained) == ("0.weight", 2, None)
    assert found.points == tuple((float(x), float(y)) for x, y in embedding.weight.detach())


def test_one_dimension_lies_on_a_line() -> None:
    embedding = nn.Embedding(4, 1)
    found = embedding_map(model_with(embedding), 4)
    assert found is not None
    assert found.points == tuple((float(x), 0.0) for x in embedding.weight.detach()[:, 0])


def test_more_dimensions_are_projected_on_the_principal_ones() -> None:
    torch.manual_seed(0)
    # Points spread by 5 and 2 along two orthogonal directions, by 0.1 along the rest, moved away from 0.
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    spread = torch.tensor([5.0, 2.0, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64)
    table = torch.randn(30, 6, dtype=torch.float64) * spread @ rotation.T + 3
    embedding = nn.Embedding(30, 6, dtype=torch.float64)
    embedding.weight.data.copy_(table)
    found = embedding_map(model_with(embedding), 30)
    assert found is not None
    # By another way: the eigenvectors of the covariance matrix.
    centred = table - table.mean(0)
    variances, directions = torch.linalg.eigh(centred.T @ centred)
    points = torch.tensor(found.points, dtype=torch.float64)
    for axis in (0, 1):
        direction = directions[:, -1 - axis]
        direction = direction * direction[direction.abs().argmax()].sign()
        # Both are exact to float64 rounding, 2**-52 times the condition, (5 / 0.1)**2 for eigh.
        torch.testing.assert_close(points[:, axis], centred @ direction, rtol=0, atol=1e-9)
    assert found.explained is not None
    expected = (variances.flip(0)[:2] / variances.sum()).tolist()
    assert found.explained == pytest.approx(expected, rel=1e-9)


def test_alike_embeddings_have_no_direction() -> None:
    embedding = nn.Embedding(3, 4)
    nn.init.ones_(embedding.weight)
    found = embedding_map(model_with(embedding), 3)
    assert found is not None
    assert found.explained == (0.0, 0.0)
    assert found.points == ((0.0, 0.0),) * 3


def test_tables_of_another_size_are_passed_over() -> None:
    model = nn.ModuleDict({"positions": nn.Embedding(8, 2), "symbols": nn.Embedding(5, 2)})
    found = embedding_map(model, 5)
    assert found is not None
    assert found.name == "symbols.weight"
    assert embedding_map(model, 6) is None


def test_the_fused_module_has_one_too() -> None:
    fused = FusedEmbeddingConcatLinear(5, 2, 3, 4)
    found = embedding_map(fused, 5)
    assert found is not None
    assert found.name == "embedding_weight"
    assert found.points == tuple((float(x), float(y)) for x, y in fused.embedding_weight.detach())


def test_a_table_of_logits_is_no_embedding() -> None:
    assert embedding_map(nn.Sequential(nn.Embedding(5, 5)), 5) is None
