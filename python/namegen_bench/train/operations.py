"""How many arithmetic operations a training step needs, and how many bytes it must go through.

Counted are the multiplications and additions of the embedding, the linear layers and the update, each as one
operation. Left out are tanh, softmax and batch norm, element by element: a few percent of the whole, so that the
share of the floor that is found from this count is a little below the true one.

The first level takes symbols, of which there are few. So its product of the embedding with the weights need not
be computed for every example, but once for each symbol that occurs at a place: forward, a table with a row for
each; backward, the gradients of the examples with the same symbol are added up first. Of a bigram that is all: a
step needs the counts of the minibatch's pairs, and then works on the rows of the symbols that occur.

The positions of a minibatch repeat themselves: two that hold the same symbols so far have the same activations, which
need to be computed once, and whose gradients are added up first. Of each level the distinct rows are counted.

A GPT needs no position behind a word's end, and positions whose symbols so far are the same in several rows once:
its distinct prefixes are counted. Attention joins each with itself and those before it.

Activations need not be kept, as they can be computed anew, and so are no bytes that must be moved. The minibatch
and the parameters are: its indices, tokens and targets are read, each parameter is read and written.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_bench.rates import Work
from namegen_bench.train.case import TrainCase, TrainData
from namegen_bench.train.weights import Weights, read_weights
from namegen_ext.data import IGNORED
from namegen_ext.models import GPT

# A product of matrices, with a multiplication and an addition each; and its gradients with respect to both, which are
# two more of the same size.
_FORWARD = 2
_PRODUCTS = 3 * _FORWARD
_UPDATE = 2  # a parameter's gradient times the rate, subtracted
_FLOAT_BYTES, _INDEX_BYTES = 4, 8

_COUNTED_STEPS = 20  # their symbols are counted, for the mean


def work_per_step(case: TrainCase, data: TrainData) -> Work:
    """Count what a step of SGD has to do, on average over the first minibatches."""
    minibatches = case.build_indices(len(data.targets)).steps(0, min(case.steps, _COUNTED_STEPS))  # (K, B)
    model = case.build_model(data.vocab_size)
    if isinstance(model, GPT):
        operations = gpt_operations_per_step(
            model, list(data.tokens[minibatches]), list(data.targets[minibatches])
        )
    else:
        operations = operations_per_step(read_weights(model), list(data.tokens[minibatches]))
    example = 1 + data.tokens[0].numel() + data.targets[0].numel()  # its index, tokens and targets
    moved = _INDEX_BYTES * case.batch_size * example + 2 * _FLOAT_BYTES * _size(model)
    return Work(operations, moved)


def gpt_operations_per_step(model: GPT, tokens: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Count the operations of a step of a GPT, on average over minibatches.

    Args:
        model: gives the sizes.
        tokens: (B, block_size) of each minibatch.
        targets: (B, block_size) of each, -1 where nothing is to be predicted.

    """
    width, layers = model.embedding_dim, model.num_layers
    total = 0.0
    for rows, following in zip(tokens, targets, strict=True):
        prefixes = distinct_prefixes(rows, following)
        pairs = sum(count * length for length, count in enumerate(prefixes, start=1))
        # Of a layer and a position: queries, keys and values 3, the output 1, and the network 4 + 4 times E * E.
        dense = layers * 12 * width**2 + width * model.vocab_size
        # Of a layer and a pair: the score sums E products, and E values are added up with their weight.
        attention = layers * 2 * width
        total += _PRODUCTS * (sum(prefixes) * dense + pairs * attention)
    return total / len(tokens) + _UPDATE * _size(model)


def distinct_prefixes(tokens: Tensor, targets: Tensor) -> list[int]:
    """Count the distinct prefixes of each length, up to each row's last target.

    Args:
        tokens: (B, block_size).
        targets: (B, block_size), -1 where nothing is to be predicted.

    Returns:
        The numbers for lengths 1 to block_size.

    """
    places = torch.arange(1, targets.shape[1] + 1)  # (block_size,)
    lengths = ((targets != IGNORED) * places).amax(dim=1)  # (B,)
    return [len(tokens[lengths >= length, :length].unique(dim=0)) for length in places.tolist()]


def operations_per_step(weights: Weights, minibatches: Sequence[Tensor]) -> float:
    """Count the operations of a step of the other models, on average over minibatches.

    Args:
        weights: of the model.
        minibatches: tokens (B, block_size) of each.

    """
    update = _UPDATE * _num_parameters(weights)
    return sum(_operations(weights, tokens, _PRODUCTS) + update for tokens in minibatches) / len(minibatches)


def forward_operations(weights: Weights, tokens: Tensor) -> int:
    """Count the operations of the logits for contexts: tokens (N, block_size)."""
    return _operations(weights, tokens, _FORWARD)


def _operations(weights: Weights, tokens: Tensor, per_product: int) -> int:
    """Count the operations without the update: ``per_product`` is _FORWARD, or _PRODUCTS with the backward pass."""
    sums = 1 if per_product == _FORWARD else 2  # what is added forward has a gradient that is summed backward
    joined = 1  # tokens that a row is made of
    total = 0
    rows = len(tokens)
    for number, level in enumerate(weights.levels):
        joined *= level.group
        distinct = tokens.reshape(-1, joined).unique(dim=0)  # (R, joined)
        rows = len(distinct)
        inputs, hidden = level.weight.shape
        product = per_product * rows * inputs * hidden
        if number == 0:
            # A value each: a table's row added forward, and a gradient added to its row backward.
            added = sums * distinct.numel() * hidden
            symbols = _symbols(distinct)
            product = min(product, per_product * symbols * weights.embedding.shape[1] * hidden + added)
        total += product
        total += sums * rows * hidden if level.bias is not None else 0  # added, and its gradient summed
    if weights.output_weight is None:
        # A bigram: pairs are counted; of each row, its count times its probabilities, less the counts of its pairs.
        symbols = len(tokens.unique())
        return rows + 2 * symbols * weights.embedding.shape[1]
    size, vocab_size = weights.output_weight.shape
    return total + per_product * rows * size * vocab_size + sums * rows * vocab_size


def _symbols(distinct: Tensor) -> int:
    """Count the symbols that occur at each place, all places together: as many products the first level needs."""
    return sum(len(place.unique()) for place in distinct.T)


def _num_parameters(weights: Weights) -> int:
    tensors = [weights.embedding, weights.output_weight, weights.output_bias]
    for level in weights.levels:
        tensors += [level.weight, level.bias, level.gain, level.shift]
    return sum(tensor.numel() for tensor in tensors if tensor is not None)


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
