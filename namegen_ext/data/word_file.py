"""The format of a word list: a UTF-8 text with one entry a line."""

from __future__ import annotations

from collections.abc import Iterable

from namegen_ext.data.characters import describe_forbidden
from namegen_ext.data.data_errors import DataError, shorten

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def parse_words(
    content: bytes, origin: str, *, comment: str | None = None, distinct: bool = True
) -> list[str]:
    """Return the words of a UTF-8 text, in their order, with their repeats and their case.

    Lines end in LF, CRLF or CR. A byte-order mark at the start is passed over, and so are blank lines and
    the white space around an entry. Spaces and punctuation inside an entry belong to it. Nothing is
    normalised: a letter and its accent stay two characters where they are two in the file.

    Args:
        content: the bytes of the file.
        origin: what messages call the file: its path.
        comment: lines that begin with this, white space before it aside, are passed over; None for none.
        distinct: whether there must be two distinct words.

    Raises:
        DataError: the text is not UTF-8, an entry has a character that cannot stand in a word (see
            `namegen_ext.data.characters`), or there are not two distinct words. The message names the line.

    """
    text = decode_text(content, origin).removeprefix("\ufeff")
    lines = _split_lines(text)
    if comment is not None:
        lines = ["" if line.lstrip().startswith(comment) else line for line in lines]
    words = [word for line in lines if (word := line.strip())]
    _check_characters(lines, words, origin)
    if distinct:
        _check_distinct(lines, words, origin)
    return words


def decode_text(content: bytes, origin: str) -> str:
    """Decode UTF-8.

    Raises:
        DataError: it is something else; the message names the line.

    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        # What comes before the bad byte is UTF-8.
        line = len(_split_lines(content[: error.start].decode("utf-8")))
        hint = " (it starts like UTF-16: save it as UTF-8)" if content.startswith(_UTF16_MARKS) else ""
        raise DataError(
            f"{origin}: line {line}: is not UTF-8: byte 0x{content[error.start]:02x} "
            f"at byte position {error.start} of the file{hint}"
        ) from None


def _split_lines(text: str) -> list[str]:
    # str.splitlines would also end a line at form feeds and at some separators of Unicode.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _check_characters(lines: list[str], words: Iterable[str], origin: str) -> None:
    # The distinct characters of the whole file are checked once. The line is looked for only where one is wrong.
    forbidden = {c for c in set("".join(words)) if describe_forbidden(c) is not None}
    if not forbidden:
        return
    for number, line in enumerate(lines, start=1):
        for character in line.strip():
            if character in forbidden:
                what = describe_forbidden(character)
                hint = "; of a table, name the words' --column" if character == "\t" else ""
                raise DataError(
                    f"{origin}: line {number}: {shorten(line.strip())} contains {what}, "
                    f"which cannot stand in a word{hint}"
                )


def _check_distinct(lines: list[str], words: list[str], origin: str) -> None:
    expected = "expected at least two distinct words, one a line"
    if not words:
        content = "the file is empty" if lines == [""] else "the file holds blank lines only"
        raise DataError(f"{origin}: line 1: {content}, {expected}")
    if all(word == words[0] for word in words):
        number = next(number for number, line in enumerate(lines, start=1) if line.strip())
        raise DataError(
            f"{origin}: line {number}: {shorten(words[0])} is the only word of the file, {expected}"
        )
