"""The least work of drawing names."""

from __future__ import annotations

import torch
from torch import nn

from namegen_bench.measuring.floor import Work
from namegen_bench.suites.train.operation_counts import forward_operations, gpt_forward_operations
from namegen_bench.suites.train.weights import read_weights
from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models import GPT
from namegen_ext.models.counting import context_numbers


def work(model: nn.Module, names: list[str], vocabulary: Vocabulary, block_size: int) -> Work:
    """Count the least work of drawing these names: the model once for each context that occurs, and each byte written.

    A context's distribution need not be computed twice, nor the positions of a GPT's context. Windows that have left
    the start of their name behind are not counted. Drawing and making random numbers are not counted either.
    """
    if isinstance(model, GPT):
        beginnings = {name[:length] for name in names for length in range(min(len(name) + 1, block_size))}
        prefixes = [0] * block_size
        for beginning in beginnings:
            prefixes[len(beginning)] += 1  # with the start before it
        return Work(gpt_forward_operations(model, prefixes), sum(len(name) + 1 for name in names))
    vocab_size = len(vocabulary)
    contexts, _ = build_windows(
        names, vocabulary, block_size
    )  # (n, block_size), n characters and ends of names
    numbers = context_numbers(contexts, vocab_size).unique()  # (N,), every context that occurs, once
    powers = vocab_size ** torch.arange(block_size - 1, -1, -1)  # (block_size,)
    occurring = numbers[:, None] // powers % vocab_size  # (N, block_size): the digits of the numbers
    written = len(contexts)  # one byte for each character and each end
    return Work(forward_operations(read_weights(model), occurring), written)
