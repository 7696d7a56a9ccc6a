r"""From a regular expression to an automaton over the symbols of a vocabulary.

The syntax is that of Python's `re`, as far as it describes sets of texts: characters, ``.``, classes such as ``[a-z]``
and ``[^aeiou]``, ``\w``, ``\d``, ``\s`` and their opposites, groups, ``|``, ``*``, ``+``, ``?``, ``{m,n}``, and
``(?i)`` at the start. The whole name must match, so that ``^`` at the start and ``$`` at the end change nothing.
Back-references, looking around and word boundaries are refused.

greenery parses the pattern and makes the automaton: https://github.com/qntm/greenery. Each character and each class is
written out for it first, as the letters of the vocabulary that it matches in `re`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from namegen_ext.data.data_errors import shorten
from namegen_ext.steering.automaton import Automaton

LONGEST_PATTERN = 2000
# A repetition of n times n states is made where these are nested.
_MOST_TIMES = 1000

_REPEATED = re.compile(r"\{(\d*)(,?)(\d*)\}")


class PatternError(ValueError):
    """The pattern cannot be an automaton; the message says why, in words that follow "but"."""


def pattern_automaton(pattern: str, symbols: Sequence[str], *, ignore_case: bool = False) -> Automaton:
    r"""Make the automaton of the names that match a pattern as a whole.

    Args:
        pattern: the regular expression.
        symbols: the letters of the vocabulary, from number 1 on.
        ignore_case: whether a letter stands for its capital and its small form too.

    Raises:
        PatternError: it is not a regular expression, or one that is not covered.

    Example:
        >>> pattern_automaton("(ab)+", "abc").accepts([1, 2, 1, 2])
        True

    """
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"it has {len(pattern):,} characters, more than {LONGEST_PATTERN:,}")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"it is no regular expression: {error}") from None
    if pattern.startswith("(?i)"):
        pattern, ignore_case = pattern[4:], True
    written = _Writer(pattern, symbols, ignore_case).written()
    from greenery import parse

    try:
        machine = parse(written).to_fsm()
    except RecursionError:
        raise PatternError("it is nested too deeply") from None
    except Exception as error:  # greenery's errors have no class in common
        raise PatternError(f"it cannot be read: {shorten(str(error), 200)}") from None
    numbers = {state: number for number, state in enumerate(machine.states)}
    following = np.full((len(numbers), len(symbols) + 1), -1, dtype=np.int32)
    for state, links in machine.map.items():
        for characters, target in links.items():
            for number, symbol in enumerate(symbols, start=1):
                if characters.accepts(symbol):
                    following[numbers[state], number] = numbers[target]
    accepted = np.zeros(len(numbers), dtype=bool)
    accepted[[numbers[state] for state in machine.finals]] = True
    return Automaton(following, accepted).starting_at(numbers[machine.initial])


class _Writer:
    """Writes a pattern of `re` as one of greenery, whose classes hold letters of the vocabulary alone."""

    def __init__(self, pattern: str, symbols: Sequence[str], ignore_case: bool) -> None:
        self._pattern = pattern
        self._symbols = symbols
        self._flags = re.IGNORECASE if ignore_case else re.RegexFlag(0)
        self._place = 0
        self._written: list[str] = []

    def written(self) -> str:
        """Return the pattern."""
        if self._pattern.startswith("^"):
            self._place = 1
        while self._place < len(self._pattern):
            self._written.append(self._next())
        return "".join(self._written)

    def _next(self) -> str:
        character = self._pattern[self._place]
        self._place += 1
        if character == "\\":
            return self._escaped()
        if character == "[":
            return self._class()
        if character == "(":
            return self._group()
        if character == "{":
            return self._times()
        if character in "*+?":
            return character + self._after_repetition()
        if character == "$" and self._place == len(self._pattern):
            return ""
        if character in "^$":
            raise PatternError(
                f"{character!r} stands within it: the whole name is matched, and {character!r} may stand "
                f"at its {'start' if character == '^' else 'end'} alone"
            )
        if character == ".":
            return character
        return character if character in "|)" else self._letters(re.escape(character))

    def _group(self) -> str:
        rest = self._pattern[self._place :]
        if not rest.startswith("?"):
            return "("
        if rest.startswith("?:"):
            self._place += 2
            return "("
        named = re.match(r"\?P<\w+>", rest)
        if named is not None:
            self._place += named.end()
            return "("
        for mark, what in (
            ("?=", "looks ahead"),
            ("?!", "looks ahead"),
            ("?<=", "looks back"),
            ("?<!", "looks back"),
            ("?P=", "refers back to a group"),
            ("?(", "asks for a group"),
            ("?>", "has an atomic group"),
            ("?#", "has a comment"),
        ):
            if rest.startswith(mark):
                raise PatternError(f"it {what}, with '({mark}', which no automaton can")
        raise PatternError(f"it has a group of a kind that is not covered: {shorten('(' + rest, 12)}")

    def _times(self) -> str:
        found = _REPEATED.match(self._pattern, self._place - 1)
        if found is None or (not found[1] and not found[2]):
            return self._letters(r"\{")  # as in `re`
        self._place = found.end()
        low, high = found[1] or "0", found[3]
        if max(int(low), int(high or 0)) > _MOST_TIMES:
            raise PatternError(f"it repeats more than {_MOST_TIMES:,} times")
        times = f"{{{int(low)}}}" if not found[2] else f"{{{int(low)},{int(high) if high else ''}}}"
        return times + self._after_repetition()

    def _after_repetition(self) -> str:
        """Pass over the mark of a lazy repetition, which matches the same names."""
        following = self._pattern[self._place : self._place + 1]
        if following == "+":
            raise PatternError("it has a possessive repetition, which is not covered")
        if following == "?":
            self._place += 1
        return ""

    def _escaped(self) -> str:
        character = self._pattern[self._place]
        self._place += 1
        if character in "bBAZ":
            raise PatternError(f"it asks for a place with '\\{character}', which is not covered")
        if character in "123456789":
            raise PatternError(f"it refers back to a group, with '\\{character}', which no automaton can")
        if character in "0N":
            raise PatternError(f"it has '\\{character}', which is not covered: write the character itself")
        digits = {"x": 2, "u": 4, "U": 8}.get(character, 0)
        begin = self._place - 2
        self._place += digits
        return self._letters(self._pattern[begin : self._place])

    def _class(self) -> str:
        """Write a class out, as the letters of the alphabet that it holds."""
        begin = self._place - 1
        if self._pattern[self._place : self._place + 1] == "^":
            self._place += 1
        if self._pattern[self._place : self._place + 1] == "]":  # the first is a character
            self._place += 1
        while self._pattern[self._place] != "]":
            self._place += 2 if self._pattern[self._place] == "\\" else 1
        self._place += 1
        return self._letters(self._pattern[begin : self._place])

    def _letters(self, one: str) -> str:
        """Write a pattern for one character out, as the class of the letters that it matches."""
        matches = re.compile(one, self._flags).fullmatch
        letters = "".join(_literal(symbol) for symbol in self._symbols if matches(symbol))
        return f"[{letters}]"


def _literal(character: str) -> str:
    is_plain = character.isalnum() or not character.isascii()
    return character if is_plain else f"\\x{ord(character):02x}"
