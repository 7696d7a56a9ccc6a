"""No word has more context than its own letters: a larger block is taken as the longest word."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from namegen_ext.options.train_options import TrainOptions


def fitted_block_size(
    options: TrainOptions, given: Collection[str], words: Sequence[str]
) -> tuple[TrainOptions, tuple[str, ...]]:
    """Return the options with a block that the words can fill, and what is to be told of it.

    A word of n letters has n + 1 symbols of context at most: the mark of its start, and the letters. What is beyond is
    never filled, and costs time. A block size that nobody asked for stays: those of the recipes are for names of any
    length, and are compared with one another. So does one that the factors of a WaveNet belong to.

    Args:
        options: of the run.
        given: the names of the options that were asked for.
        words: the whole list.

    """
    most = max((len(word) for word in words if isinstance(word, str)), default=0) + 1
    if "block_size" not in given or options.block_size <= most or options.factors != "auto":
        return options, ()
    note = (
        f"block-size {options.block_size:,} is taken as {most:,}: the longest word has {most - 1:,} characters, before"
        " which stands the mark of its start"
    )
    return replace(options, block_size=most), (note,)
