"""How many arithmetic operations a training step needs, and how many bytes it must go through.

The multiplications and additions of the embedding, the linear layers and the update are counted, each as one operation.
The element-by-element work of tanh, softmax and batch norm is left out. It is a few percent of the whole, so the share
of the floor that follows from this count is a little below the true share.

The first level takes symbols, of which there are few. So its product of the embedding with the weights is not needed
for every example, but once for each symbol that occurs at a place. The forward pass makes a table with a row for each
of these symbols. The backward pass first adds up the gradients of the examples with the same symbol. A bigram needs
nothing else: a step counts the pairs of the minibatch, and then works on the rows of the symbols that occur.

The positions of a minibatch repeat themselves. Two positions that hold the same symbols so far have the same
activations: these need to be computed only once, and their gradients can be added up first. So the distinct rows of
each level are counted.

A GPT does not need the positions after the end of a word, and it needs equal prefixes of several rows only once: the
distinct prefixes are counted. Attention joins each of them with itself and with those before it.

Activations do not count as bytes that must be moved, because they can be computed again. The minibatch and the
parameters count: the step reads the minibatch's indices, tokens and targets, and it reads and writes each parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_bench.measuring.floor import Work
from namegen_bench.suites.train.train_case import TrainCase, TrainData
from namegen_bench.suites.train.weights import Weights, read_weights
from namegen_ext.data import IGNORED
from namegen_ext.models import GPT

# A product of matrices takes a multiplication and an addition for each pair of values. Its gradients with respect to
# both matrices are two more products of the same size.
_FORWARD = 2
_PRODUCTS = 3 * _FORWARD
# Operations for each parameter. SGD multiplies the gradient by the rate and subtracts it. AdamW moves the averages of
# the gradient (3) and of its square (4). It divides one by the root of the other (2, counted as any), adds eps,
# multiplies by the rate, decays the parameter (1 each), and subtracts.
_UPDATE, _ADAMW_UPDATE = 2, 13
_SGD_ARRAYS, _ADAMW_ARRAYS = 1, 3  # that are read and written
_FLOAT_BYTES, _INDEX_BYTES = 4, 8

_COUNTED_STEPS = 20  # the work is the mean over the minibatches of this many steps


def work_per_step(case: TrainCase, data: TrainData) -> Work:
    """Count the least work of a step, as the mean over the first minibatches."""
    minibatches = case.build_indices(len(data.targets)).steps(0, min(case.steps, _COUNTED_STEPS))  # (K, B)
    model = case.build_model(data.vocab_size)
    if isinstance(model, GPT):
        operations = gpt_operations_per_step(
            model, list(data.tokens[minibatches]), list(data.targets[minibatches])
        )
    else:
        operations = operations_per_step(read_weights(model), list(data.tokens[minibatches]))
    example = (
        1 + data.tokens[0].numel() + data.targets[0].numel()
    )  # integers of one example: index, tokens, targets
    if case.is_adamw:
        operations += (_ADAMW_UPDATE - _UPDATE) * _size(model)
    arrays = _ADAMW_ARRAYS if case.is_adamw else _SGD_ARRAYS
    moved = _INDEX_BYTES * case.batch_size * example + 2 * _FLOAT_BYTES * arrays * _size(model)
    return Work(operations, moved)


def gpt_operations_per_step(model: GPT, tokens: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Count the operations of a step of a GPT, on average over minibatches.

    Args:
        model: gives the sizes.
        tokens: (B, block_size) of each minibatch.
        targets: (B, block_size) of each, -1 where nothing is to be predicted.

    """
    minibatches = [
        distinct_prefixes(rows, following) for rows, following in zip(tokens, targets, strict=True)
    ]
    total = sum(_PRODUCTS * _gpt_multiplications(model, prefixes) for prefixes in minibatches)
    return total / len(tokens) + _UPDATE * _size(model)


def gpt_forward_operations(model: GPT, prefixes: Sequence[int]) -> int:
    """Count the operations that the logits behind distinct prefixes take, whose numbers are given for each length."""
    return _FORWARD * _gpt_multiplications(model, prefixes)


def _gpt_multiplications(model: GPT, prefixes: Sequence[int]) -> int:
    width, layers = model.embedding_dim, model.num_layers
    pairs = sum(count * length for length, count in enumerate(prefixes, start=1))
    # Of a layer and a position: queries, keys and values 3, the output 1, and the network 4 + 4 times E * E.
    dense = layers * 12 * width**2 + width * model.vocab_size
    # Of a layer and a pair: the score sums E products, and E values are added up with their weight.
    attention = layers * 2 * width
    return sum(prefixes) * dense + pairs * attention


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
    """Count the operations of a step of the other models, as the mean over minibatches.

    Args:
        weights: the weights of the model.
        minibatches: the tokens (B, block_size) of each minibatch.

    """
    update = _UPDATE * _num_parameters(weights)
    return sum(_operations(weights, tokens, _PRODUCTS) + update for tokens in minibatches) / len(minibatches)


def forward_operations(weights: Weights, tokens: Tensor) -> int:
    """Count the operations that the logits of contexts take: tokens (N, block_size)."""
    return _operations(weights, tokens, _FORWARD)


def _operations(weights: Weights, tokens: Tensor, per_product: int) -> int:
    """Count the operations without the update.

    Args:
        weights: the weights of the model.
        tokens: (N, block_size).
        per_product: _FORWARD, or _PRODUCTS to include the backward pass.

    """
    sums = 1 if per_product == _FORWARD else 2  # the gradient of what is added forward is summed up backward
    joined = 1  # how many tokens a row is made of
    total = 0
    rows = len(tokens)
    for number, level in enumerate(weights.levels):
        joined *= level.group
        distinct = tokens.reshape(-1, joined).unique(dim=0)  # (R, joined)
        rows = len(distinct)
        inputs, hidden = level.weight.shape
        product = per_product * rows * inputs * hidden
        if number == 0:
            # For each token a row of the table is added in the forward pass, and a gradient to its row in the backward.
            added = sums * distinct.numel() * hidden
            symbols = _symbols(distinct)
            product = min(product, per_product * symbols * weights.embedding.shape[1] * hidden + added)
        total += product
        total += (
            sums * rows * hidden if level.bias is not None else 0
        )  # the bias is added, and its gradient summed
    if weights.output_weight is None:
        # A bigram counts the pairs. Then each row's count is multiplied by its probabilities, and the counts of its
        # pairs are subtracted.
        symbols = len(tokens.unique())
        return rows + 2 * symbols * weights.embedding.shape[1]
    size, vocab_size = weights.output_weight.shape
    return total + per_product * rows * size * vocab_size + sums * rows * vocab_size


def _symbols(distinct: Tensor) -> int:
    """Count the symbols that occur at each place, summed over the places. The first level needs a product for each."""
    return sum(len(place.unique()) for place in distinct.T)


def _num_parameters(weights: Weights) -> int:
    tensors = [weights.embedding, weights.output_weight, weights.output_bias]
    for level in weights.levels:
        tensors += [level.weight, level.bias, level.gain, level.shift]
    return sum(tensor.numel() for tensor in tensors if tensor is not None)


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
