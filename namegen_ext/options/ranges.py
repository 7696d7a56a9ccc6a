"""The range of a number: what is checked, what messages say, and what --help shows."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Decimal digits alone: int() and float() would also take "1_000", " 5 " and the digits of every script.
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)

# More than any limit has. A longer text is refused before int() sees it, which raises an error of its own for
# thousands of digits.
_MOST_DIGITS = 40

_SEED_LIMIT = 2**64

_SHOWN = 60  # characters of a wrong value


@dataclass(frozen=True)
class WholeNumbers:
    """The whole numbers from ``low`` to ``high``, both of them included."""

    low: int
    high: int

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"a whole number {self.limits}"

    @property
    def limits(self) -> str:
        """The limits in words, for --help."""
        high = "2**64 - 1" if self.high == _SEED_LIMIT - 1 else f"{self.high:,}"
        return f"from {self.low:,} to {high}"

    def parse(self, text: str) -> int:
        """Read a number of the range, in decimal digits.

        Raises:
            ValueError: the text is something else.

        """
        if _WHOLE_NUMBER.fullmatch(text) and len(text) <= _MOST_DIGITS and int(text) in self:
            return int(text)
        raise ValueError(f"expected {self}")


@dataclass(frozen=True)
class Numbers:
    """The numbers from ``low`` to ``high``, which are both finite. An open limit is not among them."""

    low: float
    high: float
    low_is_open: bool = False
    high_is_open: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        above = self.low < value if self.low_is_open else self.low <= value
        return above and (value < self.high if self.high_is_open else value <= self.high)

    def __str__(self) -> str:
        return f"a number {self.limits}"

    @property
    def limits(self) -> str:
        """The limits in words, for --help."""
        low = f"above {self.low:g}" if self.low_is_open else f"from {self.low:g}"
        if self.high_is_open:
            return f"{low}, below {self.high:g}"
        return f"{low}, at most {self.high:g}" if self.low_is_open else f"{low} to {self.high:g}"

    def parse(self, text: str) -> float:
        """Read a number of the range, in decimal digits, with an exponent where there is one.

        Raises:
            ValueError: the text is something else, such as "nan" or "inf".

        """
        if _NUMBER.fullmatch(text) and float(text) in self:
            return float(text)
        raise ValueError(f"expected {self}")


SEEDS = WholeNumbers(0, _SEED_LIMIT - 1)
THREADS = WholeNumbers(1, 1024)


def shown(text: str) -> str:
    """Quote a value for a message: escaped, so that it stays on one line, and cut where it is long."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
