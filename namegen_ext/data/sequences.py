"""Words as sequences, for models that predict every character of a word at once from those before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from namegen_ext.data.vocabulary import Vocabulary
from namegen_ext.data.windows import build_windows, windows_of_symbols

# The target of a position where nothing is predicted.
IGNORED = -1


def build_sequences(words: Sequence[str], vocabulary: Vocabulary, block_size: int) -> tuple[Tensor, Tensor]:
    """Turn each word into one sequence, and the rest of a word longer than ``block_size`` into windows.

    With block_size 6 the word "emma" gives the tokens ``.emma.`` and the targets ``emma.`` and one ignored
    position: a word begins with the end marker, and its end is predicted too. With block_size 3 it gives
    ``.em -> emm``, and for each character that has no place there a window of the last 3 characters that
    predicts this one alone: ``emm -> a`` and ``mma -> .``. So every character of every word stands exactly
    once among the targets, with as much context as the block holds.

    Args:
        words: the words; an empty one has one target, its end.
        vocabulary: gives the numbers.
        block_size: T, number of positions, 1 or more.

    Returns:
        tokens: int64 (n, block_size); 0 at the start of a word, and after its end.
        targets: int64 (n, block_size); the characters that follow, 0 for the end, -1 where nothing is to be
        predicted.
        Both are on the CPU: the words in their order, then the windows of the long ones.

    Raises:
        TypeError: ``words`` is one string, or holds something else than strings.
        ValueError: block_size is below 1 or not an integer.
        DataError: a word has a character that is not in the vocabulary; the message names both.

    Example:
        >>> tokens, targets = build_sequences(["ab"], Vocabulary("ab"), block_size=4)
        >>> tokens.tolist(), targets.tolist()
        ([[0, 1, 2, 0]], [[1, 2, 0, -1]])

    """
    windows, following = build_windows(words, vocabulary, block_size)  # (n, block_size), (n,)
    return _sequences_of_windows(windows, following, windows.shape[1] - block_size)


def sequences_of_symbols(
    symbols: Tensor, block_size: int, num_letters: int | None = None
) -> tuple[Tensor, Tensor]:
    """Turn words that are numbers already into sequences.

    Args:
        symbols: int64 (n,), the numbers of words one after another, each with its 0; one word at least.
        block_size: T, number of positions, 1 or more.
        num_letters: numbers from here on are marks of categories, of which each word has one before it; None where
            there are none.

    Returns:
        What :func:`build_sequences` does. With categories T is block_size + 1, and the mark follows the 0 at the start.

    """
    windows, following = windows_of_symbols(symbols, block_size, num_letters)
    return _sequences_of_windows(windows, following, windows.shape[1] - block_size)


def _sequences_of_windows(windows: Tensor, following: Tensor, num_marks: int) -> tuple[Tensor, Tensor]:
    """Join windows (n, T), of which the first ``num_marks`` places hold a category's mark, to sequences (m, T)."""
    block_size = windows.shape[1]
    ends = torch.nonzero(following == 0).squeeze(1)  # (num_words,) where each word ends
    begins = torch.cat([ends.new_zeros(1), ends[:-1] + 1])[: len(ends)]  # (num_words,)
    word_of = torch.repeat_interleave(torch.arange(len(ends)), ends - begins + 1)  # (n,)
    # How far each character is into its word; behind the mark, where there is one.
    places = torch.arange(len(following)) - begins[word_of] + num_marks  # (n,)

    tokens = windows.new_zeros(len(ends), block_size)  # (num_words, block_size)
    targets = torch.full_like(tokens, IGNORED)  # (num_words, block_size)
    fits = places < block_size  # (n,)
    targets[word_of[fits], places[fits]] = following[fits]
    tokens[word_of[fits], places[fits]] = windows[fits, -1]
    if num_marks:
        tokens[:, 1] = windows[begins, 0]

    long_windows = windows[~fits]  # (m, block_size)
    long_targets = torch.full_like(long_windows, IGNORED)  # (m, block_size)
    long_targets[:, -1] = following[~fits]
    return torch.cat([tokens, long_windows]), torch.cat([targets, long_targets])
