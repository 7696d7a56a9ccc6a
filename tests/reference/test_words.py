"""The plain-Python data code gives the same examples as the package's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.data import Vocabulary, build_windows, load_words
from namegen_ext.data import split_words as package_split_words
from namegen_reference.words import END_MARKER, WordsError, alphabet_of, read_words, split_words, windows

WORDS = st.lists(st.text("abcé", max_size=5), min_size=6, max_size=40).filter(any)


@given(words=WORDS, block_size=st.integers(1, 5))
def test_windows_are_those_of_the_package(words: list[str], block_size: int) -> None:
    alphabet = alphabet_of(words)
    vocabulary = Vocabulary.from_words(words)
    assert tuple(alphabet) == vocabulary.symbols
    tokens, targets = build_windows(words, vocabulary, block_size)  # (n, block_size), (n,)
    numbers = {symbol: number for number, symbol in enumerate(END_MARKER + alphabet)}
    pairs = [pair for word in words for pair in windows(word, block_size)]
    assert [[numbers[symbol] for symbol in context] for context, _ in pairs] == tokens.tolist()
    assert [numbers[symbol] for _, symbol in pairs] == targets.tolist()


def test_windows_of_an_empty_context() -> None:
    assert list(windows("ab", 0)) == [("", "a"), ("", "b"), ("", END_MARKER)]


@given(words=WORDS, seed=st.integers(0, 2**32))
def test_splits_are_those_of_the_package(words: list[str], seed: int) -> None:
    splits = package_split_words(words, seed)
    assert split_words(words, seed) == (splits.train, splits.dev, splits.test)


def test_the_file_is_read_as_the_package_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("emma\r\n\n  olivia \nzoë\nemma", encoding="utf-8")
    assert read_words(str(path)) == ["emma", "olivia", "zoë", "emma"] == load_words(str(path)).words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "holds no word"),
        (b"emma\nol.ivia\n", "the word 'ol.ivia' holds the end marker '.'"),
        (b"emma\n\xff\n", "is not UTF-8: byte 5"),
    ],
)
def test_a_file_that_is_no_word_list(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(WordsError) as raised:
        read_words(str(path))
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
