"""How many arithmetic operations a training step needs.

Counted are the multiplications and additions of the embedding, the linear layers and the update, each as one
operation. Left out are tanh, softmax and batch norm, element by element: a few percent of the whole, so that the
share of the floor that is found from this count is a little below the true one.

The first level takes symbols, of which there are few. So its product of the embedding with the weights need not
be computed for every example, but once for each symbol that occurs at a place: forward, a table with a row for
each; backward, the gradients of the examples with the same symbol are added up first.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from namegen_ext.benchmarks.train.weights import LevelWeights, Weights

# A product of matrices, and its gradients with respect to both: three products of the same size, each with a
# multiplication and an addition.
_PRODUCTS = 3 * 2
_UPDATE = 2  # a parameter's gradient times the rate, subtracted


def operations_per_step(weights: Weights, minibatches: Sequence[Tensor]) -> float:
    """Count the operations of a step of SGD, on average over minibatches.

    Args:
        weights: of the model.
        minibatches: tokens (B, block_size) of each.

    """
    return sum(_operations(weights, tokens) for tokens in minibatches) / len(minibatches)


def _operations(weights: Weights, tokens: Tensor) -> int:
    rows = tokens.numel()  # of values that a level takes: an example's positions, at first
    total = 0
    for number, level in enumerate(weights.levels):
        rows //= level.group
        inputs, hidden = level.weight.shape
        product = _PRODUCTS * rows * inputs * hidden
        if number == 0:
            product = min(product, _table_operations(level, weights.embedding.shape[1], tokens))
        total += product
        total += 2 * rows * hidden if level.bias is not None else 0  # added, and its gradient summed
    size, vocab_size = weights.output_weight.shape
    total += _PRODUCTS * rows * size * vocab_size + 2 * rows * vocab_size
    return total + _UPDATE * _num_parameters(weights)


def _table_operations(level: LevelWeights, embedding_dim: int, tokens: Tensor) -> int:
    """Count the first level's operations where each symbol's product is computed once for each place."""
    hidden = level.weight.shape[1]
    places = tokens.reshape(-1, level.group).T  # (group, B * T / group)
    symbols = sum(len(place.unique()) for place in places)  # in all places together
    # Each value: a table's row added forward, and a gradient added to its row backward.
    sums = 2 * tokens.numel() * hidden
    return _PRODUCTS * symbols * embedding_dim * hidden + sums


def _num_parameters(weights: Weights) -> int:
    tensors = [weights.embedding, weights.output_weight, weights.output_bias]
    for level in weights.levels:
        tensors += [t for t in (level.weight, level.bias, level.gain, level.shift) if t is not None]
    return sum(tensor.numel() for tensor in tensors)
