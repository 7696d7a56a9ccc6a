"""Computes from the options alone how large a model and its training are. Nothing is built for it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from namegen_ext.options.train_options import TrainOptions

# The number of targets that go through the model at a time when a loss is evaluated.
_EVALUATED = 8192

# The training words' share of all words; with some splits it is more.
_TRAINING_SHARE = 0.8

# The files with the memory limit of the container that a process runs in: cgroup v2, cgroup v1.
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True)
class ModelSize:
    """The size of a model.

    Attributes:
        parameters: number of trainable values.
        widths: for each layer whose result every backend keeps until the backward pass, its values for an example.
            The joined embeddings are not among them, because the fused backends never hold those of a whole batch.
            Nor are the logits, but for a GPT.

    """

    parameters: int
    widths: tuple[int, ...]


def model_size(options: TrainOptions, vocab_size: int) -> ModelSize:
    """Compute the size of the model that the options describe, for V symbols."""
    v, t = vocab_size, options.block_size
    e, h = options.embedding_dim, options.hidden_size
    if options.is_counted:
        return ModelSize(0, ())
    if options.model in ("bigram", "ngram"):
        return ModelSize(v ** (t + 1), ())
    if options.model == "gpt":
        head = 0 if options.tied else v * e
        block = 4 * e + (3 * e * e + 3 * e) + (e * e + e) + (4 * e * e + 4 * e) + (4 * e * e + e)
        widths = (t * e, *[t * 3 * e, t * 4 * e] * options.num_layers, t * v)
        return ModelSize(v * e + t * e + options.num_layers * block + 2 * e + head, widths)
    # For each level of the mlp and the wavenet: the inputs of a position, and the number of positions.
    levels = [(t * e, 1)] + [(h, 1)] * (options.num_hidden_layers - 1)
    if options.model == "wavenet":
        levels, channels, positions = [], e, t
        for factor in options.model_config(v)["factors"]:
            positions //= factor
            levels.append((factor * channels, positions))
            channels = h
    per_channel = options.hidden_bias + 2 * options.batch_norm  # the bias; batch norm's weight and bias
    linear = sum(fan_in * h + per_channel * h for fan_in, _ in levels)
    return ModelSize(v * e + linear + h * v + v, tuple(places * h for _, places in levels))


def training_bytes(
    options: TrainOptions, vocab_size: int, num_characters: int, *, fused: bool = False
) -> int:
    """Compute the least number of bytes that training takes: weights, gradients, optimizer, activations, windows.

    Args:
        options: of the run.
        vocab_size: number of symbols V.
        num_characters: of all the words, their ends included.
        fused: whether the step engine may run it, which computes equal contexts once.

    """
    if options.is_counted:  # the windows, and what is counted of them: a context of each length for each
        return (8 + 24) * num_characters * options.block_size
    size = model_size(options, vocab_size)
    copies = 1  # the weights
    if options.steps > 0:
        copies += 1 + _states(options)  # the gradients, and what the optimizer keeps
    is_gpt = options.model == "gpt"
    evaluated = min(_EVALUATED, num_characters) // (options.block_size if is_gpt else 1)
    # A GPT's logits are among its widths. Autograd holds the others' logits and their gradients at once. The engine
    # turns the ones into the others.
    width = sum(size.widths) + (0 if is_gpt else vocab_size * (1 if fused else 2))
    activations = max(
        _rows_of_a_step(options, vocab_size, num_characters, fused=fused) * width,
        evaluated * max(size.widths, default=0),
    )
    windows = num_characters * options.block_size
    return 4 * (copies * size.parameters + activations) + 8 * windows  # float32, int64


def _rows_of_a_step(options: TrainOptions, vocab_size: int, num_characters: int, *, fused: bool) -> int:
    """Return how many contexts (of a GPT: sequences) go through the model in a step."""
    if options.steps == 0:
        return 0
    in_training = max(1, int(num_characters * _TRAINING_SHARE))
    if options.model == "gpt":
        if not options.full_batch:
            return options.batch_size
        return 1 if fused else max(1, in_training // options.block_size)
    rows = in_training if options.full_batch else options.batch_size
    has_batch_norm = options.model not in ("bigram", "ngram") and options.batch_norm
    computes_equal_ones_once = fused or (options.full_batch and not has_batch_norm)
    if computes_equal_ones_once:
        rows = min(rows, num_characters, vocab_size**options.block_size)
    return rows


def _states(options: TrainOptions) -> int:
    """Return how many values the optimizer keeps for each value of the parameters."""
    if options.optimizer == "adamw":
        return 2
    return 1 if options.momentum else 0


def physical_memory() -> int | None:
    """Return the bytes of memory of this machine, or of the container around this process; None where unknown."""
    limits = []
    with suppress(AttributeError, OSError, ValueError):  # not on every system
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in _CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # no such limit, which v2 calls "max"
            limits.append(int(file.read_text(encoding="ascii")))
    return min((limit for limit in limits if limit > 0), default=None)
