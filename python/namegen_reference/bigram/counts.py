"""The bigram by counting: how often does each symbol follow each other one?"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from namegen_reference.words import END_MARKER, check_alphabet, check_words, windows


def count_pairs(words: Sequence[str], alphabet: str) -> list[list[int]]:
    """Count the pairs of neighbours in the words.

    Args:
        words: the words. Each is taken to begin and to end with the end marker.
        alphabet: the characters, without the end marker.

    Returns:
        A table (V, V) with V = len(alphabet) + 1: ``counts[i][j]`` says how often symbol j followed symbol i. Symbol 0
        is the end marker, and symbol i is the character ``alphabet[i - 1]``.

    Raises:
        WordsError: there are no words, a word holds a character that is not in the alphabet, or the alphabet
            repeats a character or holds the end marker.

    """
    check_alphabet(alphabet)
    check_words(words, alphabet)
    numbers = {symbol: number for number, symbol in enumerate(END_MARKER + alphabet)}
    counts = [[0] * len(numbers) for _ in numbers]  # (V, V)
    for word in words:
        for previous, symbol in windows(word, 1):
            counts[numbers[previous]][numbers[symbol]] += 1
    return counts


def row_probabilities(counts: Sequence[Sequence[int]], k: float = 0) -> list[list[float]]:
    """Add k to every count and divide each row by its sum. The result holds P(j | i).

    A row without any count becomes uniform.

    Args:
        counts: (V, V); see :func:`count_pairs`.
        k: the smoothing. With 0, a pair that never occurred has the probability 0.

    """
    probabilities = []  # (V, V)
    for row in counts:
        total = sum(row) + k * len(row)
        probabilities.append([(count + k) / total if total else 1 / len(row) for count in row])
    return probabilities


def mean_nll(probabilities: Sequence[Sequence[float]], counts: Sequence[Sequence[int]]) -> float:
    """Return the mean negative log-likelihood, in nats, that the probabilities give to the counted pairs.

    It is infinite where a pair occurs that has the probability 0.
    """
    losses = [
        -count * math.log(probability) if probability > 0 else math.inf
        for row_probabilities, row_counts in zip(probabilities, counts, strict=True)
        for probability, count in zip(row_probabilities, row_counts, strict=True)
        if count
    ]
    return math.fsum(losses) / sum(map(sum, counts))


def sample(
    probabilities: Sequence[Sequence[float]], alphabet: str, rng: random.Random, max_length: int = 1000
) -> str:
    """Draw a word. It starts after the end marker, and each symbol is drawn by the row of the symbol before.

    The word ends at the next end marker. It is cut at max_length, because an untrained table may never end a word.
    """
    word, row = "", 0
    while len(word) < max_length:
        (row,) = rng.choices(range(len(probabilities)), probabilities[row])
        if row == 0:
            break
        word += alphabet[row - 1]
    return word
