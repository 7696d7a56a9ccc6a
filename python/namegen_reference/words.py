"""From a file of words to training examples."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

# It stands before the first character of a word, as often as a model needs it, and once after the last character.
END_MARKER = "."


class WordsError(ValueError):
    """The words cannot be used; the message says why."""


def read_words(path: str) -> list[str]:
    """Read a UTF-8 file with a word on each line. Blank lines, and spaces around a word, are dropped.

    Raises:
        OSError: the file cannot be read.
        WordsError: the file is not UTF-8, it holds no word, or a word holds the end marker.

    """
    with open(path, encoding="utf-8") as file:
        try:
            words = [line.strip() for line in file]
        except UnicodeDecodeError as error:
            raise WordsError(f"{path} is not UTF-8: byte {error.start}: {error.reason}") from None
    words = [word for word in words if word]
    if not words:
        raise WordsError(f"{path} holds no word")
    for word in words:
        if END_MARKER in word:
            raise WordsError(f"{path}: the word {word!r} holds the end marker {END_MARKER!r}")
    return words


def split_words(words: Sequence[str], seed: int = 42) -> tuple[list[str], list[str], list[str]]:
    """Shuffle the words and cut them into 80, 10 and 10 percent: train, dev and test words.

    Seed 42 is the split of Andrej Karpathy's makemore lectures (2022).
    """
    shuffled = list(words)
    random.Random(seed).shuffle(shuffled)
    dev_begin, test_begin = int(0.8 * len(words)), int(0.9 * len(words))
    return shuffled[:dev_begin], shuffled[dev_begin:test_begin], shuffled[test_begin:]


def alphabet_of(words: Iterable[str]) -> str:
    """Return the distinct characters of the words, in ascending order of their code points."""
    return "".join(sorted(set().union(*words)))


def windows(word: str, block_size: int) -> Iterator[tuple[str, str]]:
    """Yield each character of a word, and its end, after the ``block_size`` characters before it.

    With block_size 2, "emma" gives ("..", "e"), (".e", "m"), ("em", "m"), ("mm", "a"), ("ma", ".").
    """
    context = END_MARKER * block_size
    for symbol in word + END_MARKER:
        yield context, symbol
        context = (context + symbol)[1:]  # with block_size 0 this leaves the empty string


def check_alphabet(alphabet: str) -> None:
    """Raise WordsError where an alphabet repeats a character or holds the end marker."""
    if len(set(alphabet)) < len(alphabet) or END_MARKER in alphabet:
        raise WordsError(f"alphabet must be distinct characters without {END_MARKER!r}, but got {alphabet!r}")


def check_words(words: Sequence[str], alphabet: str) -> None:
    """Raise WordsError where there are no words, or a word holds a character that is not in the alphabet."""
    if isinstance(words, str):
        raise TypeError(f"words must be a list of strings, but got the string {words[:40]!r}")
    if not words:
        raise WordsError("words must hold at least one word, but there are none")
    known = set(alphabet)
    for word in words:
        if not known.issuperset(word):
            character = next(character for character in word if character not in known)
            raise WordsError(f"the word {word!r} has {character!r}, but the alphabet is {alphabet!r}")
