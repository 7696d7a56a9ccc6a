"""Words as sequences: by hand, and against the windows that hold the same characters."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch

from namegen_ext.data import IGNORED, DataError, Vocabulary, build_sequences, build_windows

VOCABULARY = Vocabulary("aem")
A, E, M = 1, 2, 3
NO = IGNORED


def test_a_word_that_fits() -> None:
    tokens, targets = build_sequences(["emma", "a"], VOCABULARY, 6)
    assert tokens.tolist() == [[0, E, M, M, A, 0], [0, A, 0, 0, 0, 0]]
    assert targets.tolist() == [[E, M, M, A, 0, NO], [A, 0, NO, NO, NO, NO]]


def test_a_word_that_is_too_long_has_windows_besides() -> None:
    tokens, targets = build_sequences(["emma", "a"], VOCABULARY, 3)
    assert tokens.tolist() == [[0, E, M], [0, A, 0], [E, M, M], [M, M, A]]
    assert targets.tolist() == [[E, M, M], [A, 0, NO], [NO, NO, A], [NO, NO, 0]]


@pytest.mark.parametrize("block_size", [1, 2, 3, 5, 9])
def test_every_character_is_predicted_once_with_all_the_context_that_fits(block_size: int) -> None:
    draw = random.Random(block_size)
    words = ["".join(draw.choices("aem", k=draw.randint(0, 8))) for _ in range(50)]
    tokens, targets = build_sequences(words, VOCABULARY, block_size)
    seen: Counter[tuple[tuple[int, ...], int]] = Counter()
    for sequence, following in zip(tokens.tolist(), targets.tolist(), strict=True):
        for position, target in enumerate(following):
            if target != NO:
                seen[tuple(sequence[: position + 1]), target] += 1
    expected: Counter[tuple[tuple[int, ...], int]] = Counter()
    for word in words:
        symbols = [0, *VOCABULARY.encode(word), 0]
        for end in range(1, len(symbols)):
            expected[tuple(symbols[:end][-block_size:]), symbols[end]] += 1
    assert seen == expected


def test_as_many_targets_as_windows() -> None:
    words = ["emma", "", "a", "emmaemma"]
    _, following = build_windows(words, VOCABULARY, 4)
    _, targets = build_sequences(words, VOCABULARY, 4)
    assert int((targets != IGNORED).sum()) == len(following) == 5 + 1 + 2 + 9


def test_no_words() -> None:
    tokens, targets = build_sequences([], VOCABULARY, 4)
    assert tokens.shape == targets.shape == (0, 4)
    assert tokens.dtype == targets.dtype == torch.int64


def test_errors_are_those_of_the_windows() -> None:
    with pytest.raises(DataError, match="'x'"):
        build_sequences(["ax"], VOCABULARY, 4)
    with pytest.raises(ValueError, match="block_size must be an integer of at least 1, but got 0"):
        build_sequences(["a"], VOCABULARY, 0)
    with pytest.raises(TypeError, match="words must be a list of strings"):
        build_sequences("emma", VOCABULARY, 4)
