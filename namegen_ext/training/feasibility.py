"""Finds out, before training begins, whether the options can be met with these words on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from namegen_ext.data import DataError
from namegen_ext.data.categories import is_marked
from namegen_ext.models.specs import MAX_TABLE_VALUES
from namegen_ext.options.train_options import OptionError, TrainOptions
from namegen_ext.training.sizes import model_size, physical_memory, training_bytes


def check_feasible(
    words: Sequence[str], options: TrainOptions, device: torch.device | str = "cpu", *, fused: bool = False
) -> None:
    """Refuse options that cannot be met.

    Args:
        words: the whole word list.
        options: of the run.
        device: where it is to run.
        fused: whether the step engine may run it, which computes equal contexts once.

    Raises:
        OptionError: the block size makes too large a table.
        DataError: the words have more different characters than the model has room for.
        MemoryError: training takes more memory than the machine has.

    """
    # A list of other things than strings is refused where the words are read.
    strings = [word for word in words if isinstance(word, str)]
    vocab_size = len(set("".join(strings))) + 1  # with the end marker
    _check_table(options, vocab_size, num_marks=int(any(map(is_marked, strings))))
    if torch.device(device).type == "cpu":
        _check_memory(options, vocab_size, sum(map(len, strings)) + len(strings), fused=fused)


def _check_table(options: TrainOptions, vocab_size: int, *, num_marks: int) -> None:
    is_table = options.model in ("bigram", "ngram") and not options.is_counted
    if not is_table or vocab_size ** (options.block_size + num_marks + 1) <= MAX_TABLE_VALUES:
        return
    most = 0
    while vocab_size ** (most + num_marks + 2) <= MAX_TABLE_VALUES:
        most += 1
    if most == 0:
        raise DataError(
            f"got words of {vocab_size - 1:,} different characters, expected fewer with --model {options.model}: its"
            f" table would have more than {MAX_TABLE_VALUES:,} values"
        )
    raise OptionError(
        "block_size",
        f"got {options.block_size}, expected at most {most}: with the {vocab_size} symbols of these words, the table of"
        f" --model {options.model} would have more than {MAX_TABLE_VALUES:,} values",
    )


def _check_memory(options: TrainOptions, vocab_size: int, num_characters: int, *, fused: bool) -> None:
    available = physical_memory()
    needed = training_bytes(options, vocab_size, num_characters, fused=fused)
    if available is None or needed <= available:
        return
    batch = "all examples" if options.full_batch else f"{options.batch_size:,} examples"
    parameters = model_size(options, vocab_size).parameters
    raise MemoryError(
        f"training takes at least {_gib(needed)} (a model of {parameters:,} parameters, {batch} a step),"
        f" but the machine has {_gib(available)}"
    )


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:,.1f} GiB"
