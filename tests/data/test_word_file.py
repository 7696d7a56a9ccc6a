from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.data import DataError, load_words
from namegen_ext.data.word_file import parse_words

characters = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\ufeff")
words_without_outer_space = st.text(characters, min_size=1, max_size=8).filter(
    lambda word: word == word.strip()
)


@given(
    words=st.lists(words_without_outer_space, min_size=2, max_size=12).filter(
        lambda words: len(set(words)) > 1
    ),
    data=st.data(),
)
def test_words_come_back_whatever_stands_between_them(words: list[str], data: st.DataObject) -> None:
    ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n \t\r\n", " \n", "\t\r\n\u3000"])
    text = data.draw(st.sampled_from(["", "\ufeff", "\n", "\ufeff\r\n", "\ufeff  "]))
    text += "".join(word + data.draw(ends) for word in words[:-1]) + words[-1]
    text += data.draw(st.sampled_from(["", "\n", "\r\n", "\r", " ", "\n\n"]))
    assert parse_words(text.encode("utf-8"), "words.txt") == words


def test_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(
        "\ufeff  Anna Maria \r\n\r\nO'Neil-d\u2019Or\nanna\r\nanna\n\n\U0001f600é\u200de\u0301\n".encode()
    )
    words = load_words(path).words
    # All of this is kept: case, order, repeats, inner spaces, punctuation, joiners, accents composed or not.
    assert words == ["Anna Maria", "O'Neil-d\u2019Or", "anna", "anna", "\U0001f600é\u200de\u0301"]


def test_separators_other_than_line_ends_do_not_split_lines() -> None:
    # str.splitlines would cut at each of these; at the edge of a line they are white space.
    text = "anna\x0c\n\x1cberta\n\u2028cleo\n\x85dora"
    assert parse_words(text.encode(), "words.txt") == ["anna", "berta", "cleo", "dora"]


def test_comments() -> None:
    content = b"# names\nanna\n  #berta\nc#eo\n##\n"
    assert parse_words(content, "words.txt", comment="#") == ["anna", "c#eo"]
    assert parse_words(content, "words.txt", comment="##") == ["# names", "anna", "#berta", "c#eo"]
    with pytest.raises(DataError, match="line 2: 'anna' is the only word of the file"):
        parse_words(b"# a\nanna\n# b", "words.txt", comment="#")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("a\x00b", r"'a\x00b' contains the control character U+0000"),
        ("a\tb", r"'a\tb' contains the control character U+0009"),
        ("a\x1bb", r"'a\x1bb' contains the control character U+001B"),
        ("a\x85b", r"'a\x85b' contains the control character U+0085"),
        ("a\u2028b", r"'a\u2028b' contains the line separator U+2028"),
        ("a\u2029b", r"'a\u2029b' contains the paragraph separator U+2029"),
        ("a\ufeffb", r"'a\ufeffb' contains the byte-order mark U+FEFF"),
    ],
)
def test_characters_that_cannot_stand_in_a_word(bad: str, what: str, line_end: bytes, mark: bytes) -> None:
    content = mark + line_end.join([b"anna", b"", b"berta", bad.encode(), b"cleo"])
    with pytest.raises(DataError) as raised:
        parse_words(content, "words.txt")
    hint = "; of a table, name the words' --column" if "\t" in bad else ""
    assert str(raised.value) == f"words.txt: line 4: {what}, which cannot stand in a word{hint}"


def test_the_first_bad_line_is_named_and_a_long_one_is_cut() -> None:
    with pytest.raises(DataError) as raised:
        parse_words(b"anna\n" + b"x" * 1000 + b"\x01y\nb\x00\n", "words.txt")
    assert str(raised.value).startswith("words.txt: line 2: 'xxxxxx")
    assert "U+0001" in str(raised.value)
    assert len(str(raised.value)) < 150


@pytest.mark.parametrize(
    ("content", "line", "byte", "position"),
    [
        (b"anna\nb\xe9rt\n", 2, "e9", 6),  # Latin-1
        (b"\xe9", 1, "e9", 0),
        (b"\xef\xbb\xbfanna\r\n\r\nb\xffa\n", 3, "ff", 12),  # the byte-order mark counts as bytes of the file
        (b"anna\rberta\rcl\xc3", 3, "c3", 13),  # cut in the middle of a character
        (b"anna\n\xed\xa0\x80\n", 2, "ed", 5),  # a surrogate
        ("\U0001f600\nä\n".encode() + b"\x80", 3, "80", 8),
    ],
)
def test_bytes_that_are_not_utf8(content: bytes, line: int, byte: str, position: int) -> None:
    with pytest.raises(DataError) as raised:
        parse_words(content, "words.txt")
    message = f"words.txt: line {line}: is not UTF-8: byte 0x{byte} at byte position {position} of the file"
    assert str(raised.value) == message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16(encoding: str) -> None:
    content = "anna\nberta\n".encode(encoding)
    with pytest.raises(DataError) as raised:
        parse_words(content, "words.txt")
    if encoding == "utf-16":  # with its mark
        assert str(raised.value).endswith("(it starts like UTF-16: save it as UTF-8)")
    else:
        assert "line 1: " in str(raised.value)
        assert "U+0000" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: the file is empty"),
        (b"\xef\xbb\xbf", "line 1: the file is empty"),
        (b"\n", "line 1: the file holds blank lines only"),
        (b" \r\n\t\r\n\r\n", "line 1: the file holds blank lines only"),
        (b"anna", "line 1: 'anna' is the only word of the file"),
        (b"\n\r\n  anna \nanna\r\n\nanna", "line 3: 'anna' is the only word of the file"),
    ],
)
def test_less_than_two_distinct_words(content: bytes, problem: str) -> None:
    with pytest.raises(DataError) as raised:
        parse_words(content, "words.txt")
    assert str(raised.value) == f"words.txt: {problem}, expected at least two distinct words, one a line"


def test_two_distinct_words_are_enough() -> None:
    assert parse_words(b"anna\nanna\nAnna", "words.txt") == ["anna", "anna", "Anna"]
