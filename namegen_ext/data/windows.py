"""Cuts words into training examples: some characters of context, and the character that follows them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from namegen_ext.data.categories import num_categories
from namegen_ext.data.data_errors import shorten
from namegen_ext.data.vocabulary import Vocabulary

# Four bytes a character in the machine's own byte order, which an int32 tensor reads as code points.
_UTF32 = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"


# Stands between words while they are numbered; no word of a vocabulary's symbols holds it.
_END = "\n"


def build_windows(words: Sequence[str], vocabulary: Vocabulary, block_size: int) -> tuple[Tensor, Tensor]:
    """Cut words into windows: one for each character, and one for each word's end.

    With block_size 3 the word "emma" gives
    ``... -> e``, ``..e -> m``, ``.em -> m``, ``emm -> a`` and ``mma -> .``.

    Args:
        words: the words; an empty one has one window, that of its end.
        vocabulary: gives the numbers.
        block_size: number of characters of context, 1 or more.

    Returns:
        tokens: int64 (n, block_size), the contexts, filled with 0 from the left where a word has just begun.
        targets: int64 (n,), the next characters; 0 is the end.
        Of words with the marks of categories (see `namegen_ext.data.categories`), tokens are (n, block_size + 1).
        Both are on the CPU; n is the number of characters plus the number of words. Windows stand word by
        word, and in a word from its first character to its end.

    Raises:
        TypeError: ``words`` is one string, or holds something else than strings.
        ValueError: block_size is below 1 or not an integer.
        DataError: a word has a character that is not in the vocabulary; the message names both.

    Example:
        >>> tokens, targets = build_windows(["ab"], Vocabulary("ab"), block_size=3)
        >>> tokens.tolist(), targets.tolist()
        ([[0, 0, 0], [0, 0, 1], [0, 1, 2]], [1, 2, 0])

    """
    if isinstance(block_size, bool) or not isinstance(block_size, int) or block_size < 1:
        raise ValueError(f"block_size must be an integer of at least 1, but got {block_size!r}")
    _check_words(words)
    if not words:
        targets = torch.zeros(0, dtype=torch.int64, device="cpu")
        return targets.new_zeros(0, block_size), targets

    return windows_of_symbols(
        _encode(words, vocabulary), block_size, len(vocabulary) - num_categories(vocabulary)
    )


def windows_of_symbols(
    symbols: Tensor, block_size: int, num_letters: int | None = None
) -> tuple[Tensor, Tensor]:
    """Cut words that are numbers already into windows.

    Args:
        symbols: int64 (n,), the numbers of words one after another, each with its 0; one word at least.
        block_size: number of characters of context, 1 or more.
        num_letters: numbers from here on are marks of categories, of which each word has one before it; None where
            there are none.

    Returns:
        What :func:`build_windows` does: tokens (n, block_size), targets (n,). With categories the tokens are (n,
        block_size + 1), the mark before the context, and no mark is among the targets.

    """
    is_mark = symbols >= (int(symbols.max()) + 1 if num_letters is None else num_letters)  # (n,)
    if not bool(is_mark.any()):
        return _windows(symbols, block_size)
    tokens, targets = _windows(symbols[~is_mark], block_size)  # (m, block_size), (m,)
    word_of = (targets == 0).cumsum(0) - (targets == 0).long()  # (m,)
    return torch.cat([symbols[is_mark][word_of, None], tokens], dim=1), targets


def _windows(targets: Tensor, block_size: int) -> tuple[Tensor, Tensor]:
    n = len(targets)
    ends = torch.nonzero(targets == 0).squeeze(1)  # (num_words,) where each word ends
    begins = torch.cat([ends.new_zeros(1), ends[:-1] + 1])  # (num_words,) where each begins
    lengths = ends - begins + 1  # (num_words,), the end included
    # The place of each character in its word.
    places = torch.arange(n, device="cpu") - torch.repeat_interleave(begins, lengths)  # (n,)

    tokens = targets.new_zeros(n, block_size)  # (n, block_size)
    farthest = min(block_size, int(lengths.max()) - 1)
    for back in range(1, farthest + 1):
        # The character `back` places earlier, where it belongs to the same word.
        tokens[back:, block_size - back] = torch.where(places[back:] >= back, targets[:-back], 0)
    return tokens, targets


def _check_words(words: Sequence[str]) -> None:
    if isinstance(words, str):
        raise TypeError(f"words must be a list of strings, but got the string {shorten(words)}")
    for index, word in enumerate(words):
        if not isinstance(word, str):
            raise TypeError(f"words[{index}] must be a string, but got {word!r}")


def _encode(words: Sequence[str], vocabulary: Vocabulary) -> Tensor:
    """Return the numbers of all words, each followed by a 0: int64 (n,)."""
    text = _END.join(words) + _END
    # A surrogate is let through here. It is found below, like any other character outside the vocabulary.
    buffer = bytearray(text.encode(_UTF32, "surrogatepass"))
    code_points = torch.frombuffer(buffer, dtype=torch.int32)  # (n,)
    symbol_code_points = [ord(symbol) for symbol in vocabulary.symbols]
    symbols = torch.tensor(symbol_code_points, dtype=torch.int32, device="cpu")  # (V - 1,), ascending

    indices = torch.searchsorted(symbols, code_points).clamp_(max=len(symbols) - 1)  # (n,)
    is_end = code_points == ord(_END)  # (n,)
    is_known = symbols[indices] == code_points  # (n,)
    if int(is_end.sum()) != len(words) or not bool((is_known | is_end).all()):
        for word in words:
            vocabulary.encode(word)  # raises at the first word that has a character outside the vocabulary
    return torch.where(is_end, 0, indices + 1)
