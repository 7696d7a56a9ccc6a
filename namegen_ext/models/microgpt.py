"""The initial weights of microgpt, a published GPT of 4,192 parameters in plain Python.

That program seeds Python's own generator, shuffles its list of names, and then draws every weight by
``random.gauss(0, 0.08)``: the embeddings of the tokens and of the positions, the head, then for each layer the matrices
of queries, keys, values, output, and of the two wide layers, each row by row, a row for each output. Its letters have
the numbers 0 to V - 2, and the mark of a name's beginning and end has the last, V - 1, which here is 0.

Source: A. Karpathy, "microgpt", 2026.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.models.gpt import GPT

STANDARD_DEVIATION = 0.08


@torch.no_grad()
def fill_as_microgpt(model: nn.Module, seed: int, num_words: int) -> None:
    """Draw the weights of a GPT as microgpt does; biases become 0, and norms the identity.

    The numbers are exact in float64, and rounded to the nearest in other dtypes.

    Args:
        model: a GPT of the package. A tied head is drawn with the token embedding.
        seed: of Python's generator; microgpt's is 42.
        num_words: of the list that the generator shuffles first. It decides how many random numbers that takes.

    Raises:
        TypeError: the model is none.

    Example:
        >>> from namegen_ext.models import GPT
        >>> model = GPT(27, block_size=16, embedding_dim=16, num_layers=1, num_heads=4, norm="rms", biases=False)
        >>> fill_as_microgpt(model, seed=42, num_words=32_033)
        >>> round(float(model.token_embedding.weight.std()), 2)
        0.08

    """
    if not isinstance(model, GPT):
        raise TypeError(f"model must be a GPT, but got {type(model).__name__}")
    draws = random.Random(seed)
    draws.shuffle(list(range(num_words)))
    for block in model.blocks:
        for name, parameter in block.named_parameters():
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    for norm in (model.embedding_norm, model.norm):
        for name, parameter in () if norm is None else norm.named_parameters():
            parameter.fill_(1.0 if name == "weight" else 0.0)
    for weight, symbols in _weights_in_order(model):
        rows = [[draws.gauss(0, STANDARD_DEVIATION) for _ in range(weight.shape[1])] for _ in weight]
        drawn = torch.tensor(rows, dtype=torch.float64)
        weight.copy_(drawn.roll(1, dims=0) if symbols else drawn)  # the last symbol is the first one here


def _weights_in_order(model: GPT) -> Iterator[tuple[Tensor, bool]]:
    """Yield each matrix, and whether its rows are symbols."""
    yield model.token_embedding.weight, True
    yield model.position_embedding.weight, False
    if not model.tied:
        yield model.head.weight, True
    blocks: list[Any] = list(model.blocks)
    for block in blocks:
        yield block.attention.projections[0].weight, False  # queries, keys and values
        yield block.attention.output[0].weight, False
        yield block.network[0].weight, False
        yield block.network[2].weight, False
