"""Names as one row of numbers: the symbols of each, and a 0 for its end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from namegen_ext.data import Vocabulary

# Four bytes a character in the machine's own byte order.
_UTF32 = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"
_END = "\n"


@dataclass(frozen=True, eq=False)
class NameSymbols:
    """Names as numbers.

    Attributes:
        symbols: int32 (n,), of all names one after another, each with its 0. A name with a letter that the vocabulary
            lacks is empty here: its 0 alone.
        begins: int64 (num_names,), where each name begins in ``symbols``.
        unknown: the first letter that the vocabulary lacks, by the number of the name; none for names that it covers.

    """

    symbols: NDArray[np.int32]
    begins: NDArray[np.int64]
    unknown: dict[int, str]


def name_symbols(names: Sequence[str], vocabulary: Vocabulary) -> NameSymbols:
    """Turn names into numbers.

    Args:
        names: any strings.
        vocabulary: gives the numbers.

    Example:
        >>> found = name_symbols(["ab", "ax", "b"], Vocabulary("ab"))
        >>> found.symbols.tolist(), found.begins.tolist(), found.unknown
        ([1, 2, 0, 0, 2, 0], [0, 3, 4], {1: 'x'})

    """
    text = _END.join(names) + _END if names else ""
    unknown: dict[int, str] = {}
    if text.count(_END) != len(names):  # a line feed is no letter of any vocabulary
        unknown = {number: _END for number, name in enumerate(names) if _END in name}
        names = ["" if number in unknown else name for number, name in enumerate(names)]
        text = _END.join(names) + _END
    points = np.frombuffer(text.encode(_UTF32, "surrogatepass"), dtype=np.uint32)  # (n,)
    known = np.array([ord(symbol) for symbol in vocabulary.symbols], dtype=np.uint32)  # (V - 1,), ascending
    places = np.minimum(np.searchsorted(known, points), len(known) - 1)  # (n,)
    is_end = points == ord(_END)  # (n,)
    is_unknown = ~is_end & (known[places] != points)  # (n,)
    symbols = np.where(is_end, 0, places + 1).astype(np.int32)  # (n,)
    if is_unknown.any():
        name_of = np.cumsum(is_end) - is_end  # (n,)
        wrong = np.flatnonzero(is_unknown)  # (m,)
        numbers, first = np.unique(name_of[wrong], return_index=True)
        for number, place in zip(numbers.tolist(), wrong[first].tolist(), strict=True):
            unknown.setdefault(number, chr(points[place]))
        symbols = symbols[is_end | ~np.isin(name_of, numbers)]
    ends = np.flatnonzero(symbols == 0)  # (num_names,)
    begins = np.concatenate([np.zeros(1, dtype=np.int64), ends + 1])[: len(names)]  # (num_names,)
    return NameSymbols(symbols, begins, unknown)
