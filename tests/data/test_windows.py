from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from namegen_ext.data import DataError, Vocabulary, build_windows, load_words

characters = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters=".\ufeff")


def build_windows_reference(words: Sequence[str], symbols: str, block_size: int) -> tuple[Tensor, Tensor]:
    """The way the lectures do it: slide a context along each word."""
    numbers = {symbol: number for number, symbol in enumerate("." + symbols)}
    tokens, targets = [], []
    for word in words:
        context = [0] * block_size
        for character in word + ".":
            tokens.append(context)
            targets.append(numbers[character])
            context = [*context[1:], numbers[character]]
    return torch.tensor(tokens).reshape(-1, block_size).long(), torch.tensor(targets).long()


def assert_windows(words: Sequence[str], symbols: str, block_size: int) -> None:
    tokens, targets = build_windows(words, Vocabulary(symbols), block_size)
    expected_tokens, expected_targets = build_windows_reference(words, symbols, block_size)
    assert tokens.dtype == targets.dtype == torch.int64
    assert tokens.shape == expected_tokens.shape
    assert torch.equal(tokens, expected_tokens)
    assert torch.equal(targets, expected_targets)
    assert tokens.is_contiguous()


def test_emma() -> None:
    tokens, targets = build_windows(["emma"], Vocabulary("aem"), 3)
    a, e, m = 1, 2, 3
    assert tokens.tolist() == [[0, 0, 0], [0, 0, e], [0, e, m], [e, m, m], [m, m, a]]
    assert targets.tolist() == [e, m, m, a, 0]


@given(
    words=st.lists(st.text(characters, max_size=9), max_size=12),
    more_symbols=st.sets(characters, min_size=1, max_size=5),
    block_size=st.integers(1, 12),
)
def test_equal_to_the_reference(words: list[str], more_symbols: set[str], block_size: int) -> None:
    assert_windows(words, "".join(sorted(set("".join(words)) | more_symbols)), block_size)


@given(words=st.lists(st.text("ab", max_size=5), min_size=1, max_size=8), block_size=st.integers(1, 7))
def test_few_letters_many_repeats(words: list[str], block_size: int) -> None:
    assert_windows(words, "ab", block_size)


@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 5, 64])
def test_words_shorter_and_longer_than_the_block(block_size: int) -> None:
    assert_windows(["a", "", "abcd", "", "", "b" * 70, "abc"], "abcd", block_size)
    assert_windows([""], "a", block_size)


def test_symbols_on_both_sides_of_the_end_marker() -> None:
    # The marker is U+002E: space, apostrophe and hyphen come before it, letters after.
    assert_windows(["d'or- ", "-", "' a"], " '-ador", 2)


@pytest.mark.parametrize("block_size", [1, 5])
def test_no_words(block_size: int) -> None:
    tokens, targets = build_windows([], Vocabulary("ab"), block_size)
    assert tokens.shape == (0, block_size)
    assert targets.shape == (0,)
    assert tokens.dtype == targets.dtype == torch.int64


def test_default_device_and_dtype_have_no_say() -> None:
    default_dtype = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"):
            for words in (["anna"], []):
                tokens, targets = build_windows(words, Vocabulary("an"), 3)
                assert tokens.device.type == targets.device.type == "cpu"
                assert tokens.dtype == targets.dtype == torch.int64
    finally:
        torch.set_default_dtype(default_dtype)


@pytest.mark.parametrize(
    ("word", "character"),
    [("bxa", "x"), ("a.b", "."), (".", "."), ("", None), ("a\ud800", "\ud800"), ("\x00", "\x00"), ("`", "`")],
)
def test_a_character_outside_the_vocabulary(word: str, character: str | None) -> None:
    words = ["ab", "ba", word, "a"]
    if character is None:
        assert len(build_windows(words, Vocabulary("ab"), 3)[1]) == 9
        return
    with pytest.raises(DataError) as raised:
        build_windows(words, Vocabulary("ab"), 3)
    assert (
        str(raised.value) == f"the word {word!r} has the character {character!r}, but the vocabulary is 'ab'"
    )


def test_end_markers_in_words_cannot_stand_for_ends() -> None:
    with pytest.raises(DataError, match=r"^the word 'a\.b' has the character '\.'"):
        build_windows(["a.b"], Vocabulary("ab"), 3)


@pytest.mark.parametrize("block_size", [0, -1, 2.0, "3", True, None])
def test_block_sizes_that_cannot_be(block_size: Any) -> None:
    with pytest.raises(ValueError, match=r"^block_size must be an integer of at least 1, but got ") as raised:
        build_windows(["ab"], Vocabulary("ab"), block_size)
    assert str(raised.value).endswith(f"but got {block_size!r}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ab", "words must be a list of strings, but got the string 'ab'"),
        (["ab", 7], r"words\[1\] must be a string, but got 7"),
        ([b"ab"], r"words\[0\] must be a string, but got b'ab'"),
    ],
)
def test_words_that_are_no_strings(words: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        build_windows(words, Vocabulary("ab"), 3)


def test_the_surnames_take_less_than_half_a_second() -> None:
    words = load_words("surnames").words
    vocabulary = Vocabulary.from_words(words)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = []
        for _ in range(3):
            begin = time.process_time()  # of this process: other work on the machine does not count
            _, targets = build_windows(words, vocabulary, 3)
            seconds.append(time.process_time() - begin)
    finally:
        torch.set_num_threads(num_threads)
    assert len(targets) == len(words) + sum(map(len, words))
    assert min(seconds) < 0.5
