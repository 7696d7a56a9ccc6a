"""The symbols of a list of words, and the numbers that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from namegen_ext.data.characters import END_MARKER, describe_forbidden
from namegen_ext.data.data_errors import DataError, shorten


class Vocabulary:
    """The numbers of characters: 0 is the end marker, and the symbols follow from 1 by ascending code point.

    Args:
        symbols: distinct single characters in ascending order of their code points. The end marker is none of them: a
            full stop is a symbol like others. A string will do: ``Vocabulary("abc")``.

    Attributes:
        symbols: the characters as a tuple, without the end marker. ``symbols[i]`` has the number i + 1.

    Raises:
        TypeError: the symbols are not strings.
        DataError: there are none; one is not a single character, or cannot stand in a word (control characters, line
            separators, surrogates); or they are not distinct and in ascending order.

    Example:
        >>> vocabulary = Vocabulary.from_words(["anna", "ben"])
        >>> vocabulary
        Vocabulary('aben')
        >>> vocabulary.encode("ben")
        [2, 3, 4]
        >>> vocabulary.decode([1, 4, 4, 1, 0])
        'anna'

    """

    symbols: tuple[str, ...]

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        _check_symbols(self.symbols)
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols, start=1)}

    @classmethod
    def from_words(cls, words: Iterable[str]) -> Vocabulary:
        """Make the vocabulary of all characters that occur in the words.

        Raises:
            TypeError: ``words`` is one string, or holds something else than strings.
            DataError: no character occurs, or one that cannot stand in a word.

        """
        if isinstance(words, str):
            raise TypeError(f"words must be a list of strings, but got the string {shorten(words)}")
        symbols: set[str] = set()
        checked: set[str] = set()
        for index, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(f"words[{index}] must be a string, but got {word!r}")
            symbols.update(word)
            if len(symbols) > len(checked):  # a new symbol, which is rare after the first words
                _check_characters(symbols - checked, f"words[{index}], {shorten(word)},")
                checked.update(symbols)
        return cls(sorted(symbols))

    def __len__(self) -> int:
        """Return the number of symbols, the end marker among them: 27 for a to z."""
        return len(self.symbols) + 1

    def encode(self, word: str) -> list[int]:
        """Return the numbers of a word's characters; its end is not added.

        Raises:
            DataError: a character is not in the vocabulary; the message names it.

        """
        try:
            return [self._numbers[character] for character in word]
        except KeyError as error:
            raise self.unknown_character(error.args[0], word) from None

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the word that the numbers spell, up to the first 0 or to their end.

        Raises:
            DataError: a number before the first 0 is not of this vocabulary.

        """
        characters = []
        for number in numbers:
            if number == 0:
                break
            if not 0 < number < len(self):
                raise DataError(f"numbers must lie in 0..{len(self) - 1}, but got {int(number)}")
            characters.append(self.symbols[number - 1])
        return "".join(characters)

    def unknown_character(self, character: str, word: str) -> DataError:
        """Return the error for a word with a character that is not in the vocabulary."""
        return DataError(
            f"the word {shorten(word)} has the character {character!r}, "
            f"but the vocabulary is {shorten(''.join(self.symbols), width=60)}"
        )

    def to_json(self) -> dict[str, str]:
        """Return ``{"end_marker": ".", "symbols": "abc"}``, ready for `json.dumps`.

        The end marker is for people and for earlier versions; it is "" where the full stop is a symbol.
        """
        return {"end_marker": self._end_marker(), "symbols": "".join(self.symbols)}

    def _end_marker(self) -> str:
        return "" if END_MARKER in self._numbers else END_MARKER

    @classmethod
    def from_json(cls, content: Any) -> Vocabulary:
        """Make the vocabulary that `to_json` described.

        Raises:
            DataError: the content is not what `to_json` returns, or its symbols do not make a vocabulary.

        """
        if not isinstance(content, dict):
            raise DataError(f"the vocabulary must be a JSON object, but is of type {type(content).__name__}")
        if set(content) != {"end_marker", "symbols"}:
            keys = ", ".join(sorted(map(repr, content))) or "none"
            raise DataError(f"the vocabulary must have the keys 'end_marker' and 'symbols', but has {keys}")
        for key, value in content.items():
            if not isinstance(value, str):
                raise DataError(f"the vocabulary's {key} must be a string, but is {value!r}")
        vocabulary = cls(content["symbols"])
        if content["end_marker"] != vocabulary._end_marker():
            raise DataError(
                f"the vocabulary's end_marker must be {vocabulary._end_marker()!r},"
                f" but is {content['end_marker']!r}"
            )
        return vocabulary

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Vocabulary({''.join(self.symbols)!r})"


def _check_symbols(symbols: tuple[str, ...]) -> None:
    if not symbols:
        raise DataError("a vocabulary needs one symbol at least, but got none (are the words empty?)")
    for index, symbol in enumerate(symbols):
        if not isinstance(symbol, str):
            raise TypeError(f"symbols[{index}] must be a string, but got {symbol!r}")
        if len(symbol) != 1:
            raise DataError(f"symbols[{index}] must be a single character, but got {shorten(symbol)}")
        _check_characters(symbol, f"symbols[{index}]")
        if index > 0 and symbol <= symbols[index - 1]:
            raise DataError(
                "symbols must be distinct and in ascending order, "
                f"but {symbol!r} comes after {symbols[index - 1]!r} (symbols[{index}])"
            )


def _check_characters(characters: Iterable[str], where: str) -> None:
    for character in sorted(characters):
        forbidden = describe_forbidden(character)
        if forbidden is not None:
            raise DataError(f"{where} contains {forbidden}, which cannot stand in a word")
