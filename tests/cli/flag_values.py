"""What a flag takes and what it refuses, and the check that a command says so in one line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

Main = Callable[[list[str]], int]

# Neither a whole number nor a number. int() and float() would take most of the first line.
_NO_NUMBERS = [
    "1_000",
    " 5",
    "5 ",
    "5\n",
    "٣",
    "\uff15",
    "²",
    "1,5",
    "0x10",
    "five",
    "",
    " ",
    "-",
    "+",
    ".",
    "e5",
    "5\n6",
]
_NOT_FINITE = ["nan", "NaN", "inf", "-inf", "infinity", "1e999", "-1e999"]


@dataclass(frozen=True)
class Values:
    """Texts that a flag takes, each with the value that it is read as, and texts that it refuses."""

    taken: dict[str, object]
    refused: list[str]


def whole(low: int, high: int) -> Values:
    taken = {str(low): low, str(high): high, f"+{high}": high, f"00{high}": high}
    refused = [str(low - 1), str(high + 1), f"-{high}", "1.5", f"{high}.0", "1e3", "9" * 5000]
    return Values(taken, [*refused, *_NO_NUMBERS, *_NOT_FINITE])


def numbers(low: float, high: float, *, without_low: bool = False, without_high: bool = False) -> Values:
    lowest = math.nextafter(low, math.inf) if without_low else low
    highest = math.nextafter(high, -math.inf) if without_high else high
    taken = {repr(lowest): lowest, repr(highest): highest}
    below = low if without_low else math.nextafter(low, -math.inf)
    above = high if without_high else math.nextafter(high, math.inf)
    return Values(taken, [repr(below), repr(above), "-1", "-1e3", "1e+400", *_NO_NUMBERS, *_NOT_FINITE])


def names(*choices: str) -> Values:
    wrong = ["", " ", "none of them", choices[-1].upper(), f"{choices[0]} ", f"{choices[0]}\n", "x" * 1000]
    return Values({choice: choice for choice in choices}, wrong)


def paths(*refused: str) -> Values:
    return Values({"some/where": Path("some/where")}, ["", "with a NUL \0 inside", *refused])


def output_files() -> Values:
    return Values({"file": Path("file")}, ["", "/", "no such directory/file", "with a NUL \0 inside"])


def switch() -> Values:
    return Values({}, ["=1", "=", "=true"])


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    """Every flag, by its first name, and every argument without one, by what --help calls it."""
    found = set()
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            found.add(action.option_strings[0] if action.option_strings else str(action.metavar))
    return found


def check_taken(parser: argparse.ArgumentParser, flag: str, values: Values, *before: str) -> None:
    """Make sure that the parser reads what it should take."""
    (name,) = (action.dest for action in parser._actions if flag in action.option_strings)
    for text, expected in values.taken.items():
        found = getattr(parser.parse_args([*before, f"{flag}={text}"]), name)
        assert (type(found), found) == (type(expected), expected) or isinstance(expected, Path), text
        assert found == expected, text


def told_as_wrong(
    main: Main, capsys: pytest.CaptureFixture[str], arguments: Collection[object], name: str
) -> str:
    """Run a command that must refuse its arguments: status 2, one line, no output; return the line."""
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, arguments)))
    output = capsys.readouterr()
    assert caught.value.code == 2
    assert output.out == ""
    assert re.fullmatch(rf"python -m namegen_ext\.{name}: error: [^\n]+\n", output.err), output.err
    assert len(output.err) < 1000, "the line shows no value in its whole length"
    return output.err


def check_refused(
    main: Main,
    capsys: pytest.CaptureFixture[str],
    name: str,
    flag: str,
    values: Values,
    *before: object,
    folder: Path,
) -> None:
    """Make sure that each wrong text ends in a line that names the flag, what came and what was expected."""
    for text in values.refused:
        arguments = [*before, f"{flag}{text}" if not values.taken else f"{flag}={text}"]
        line = told_as_wrong(main, capsys, arguments, name)
        assert f"argument {flag}" in line, (text, line)
        if values.taken:
            assert repr(text)[1:20].rstrip("'") in line, (text, line)
            assert re.search(r"expected \w|there is no such ", line), (text, line)
        assert list(folder.iterdir()) == [], (text, "nothing is written")
