"""Where a model's embedding puts the symbols."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class EmbeddingMap:
    """A point in the plane for each symbol.

    Attributes:
        name: the table's name in the model.
        embedding_dim: E, the length of an embedding.
        points: (x, y) of each symbol, in the order of the vocabulary. Where E is 2 they are the embedding itself. Where
            E is 1, y is 0. Where E is more, they are the first two principal components.
        explained: the shares of the variance that the two components explain; None where E is 2 or less.

    """

    name: str
    embedding_dim: int
    points: tuple[tuple[float, float], ...]
    explained: tuple[float, float] | None


def embedding_map(model: nn.Module, vocab_size: int) -> EmbeddingMap | None:
    """Map the first embedding of a model that has a row for each symbol; None where there is none.

    A table that is the model's only parameter, as in the bigram model, holds logits and is not an embedding.

    Args:
        model: any module.
        vocab_size: V, the number of symbols. Tables of another size, such as that of the positions, do not count.

    """
    if len(list(model.parameters())) < 2:
        return None
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            own, table = "weight", module.weight
        elif isinstance(getattr(module, "embedding_weight", None), nn.Parameter):
            # nn.FusedEmbeddingConcatLinear. Its class is not asked for, because importing it needs the operators.
            own, table = "embedding_weight", module.embedding_weight
        else:
            continue
        if len(table) == vocab_size:
            return _map(f"{name}.{own}" if name else own, table.detach().double().cpu())
    return None


def _map(name: str, table: Tensor) -> EmbeddingMap:
    embedding_dim = table.shape[1]
    explained = None
    if embedding_dim == 1:
        table = torch.cat([table, torch.zeros_like(table)], dim=1)  # (V, 2)
    elif embedding_dim > 2:
        table, explained = principal_components(table)  # (V, 2)
    points = tuple((float(x), float(y)) for x, y in table)
    return EmbeddingMap(name, embedding_dim, points, explained)


def principal_components(table: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Project the rows of a table on their first two principal components.

    Args:
        table: (V, E), floating point, with V and E at least 2.

    Returns:
        The coordinates (V, 2), and the share of the variance of each component. The sign of a component is not
        determined. It is chosen so that the loading with the largest absolute value is positive.

    """
    centred = table - table.mean(0)  # (V, E)
    _, singular_values, components = torch.linalg.svd(centred, full_matrices=False)  # (r,), (r, E)
    axes = components[:2]  # (2, E)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))  # (2, 1)
    axes = torch.where(largest < 0, -axes, axes)
    variances = singular_values**2
    total = float(variances.sum())
    first, second = (float(variance) / total if total > 0 else 0.0 for variance in variances[:2])
    return centred @ axes.T, (first, second)
