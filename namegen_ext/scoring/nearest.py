"""The nearest name of a list, by edit distance: rapidfuzz computes the distances, many at a time.

Names are compared folded, as :mod:`namegen_ext.data.folding` has it: whatever their case and the writing of their
accents. The edit distance is Levenshtein's: the least number of letters to insert, delete or replace.

Source: Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", 1966.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namegen_ext.data.folding import fold_name

# Distances computed at a time: 4 MiB of them.
_DISTANCES = 2**22
# Further than any name is from another. A distance is kept in 16 bits.
_FARTHEST = 60_000


class NearestNames:
    """Finds which name of a list is nearest to a given one.

    Args:
        names: the list, at least one name.

    Raises:
        ImportError: rapidfuzz is not installed.

    Example:
        >>> nearest = NearestNames(["Anna", "Ben", "Cleo"])
        >>> nearest.find(["hanna", "leo", "BEN"])
        (['Anna', 'Cleo', 'Ben'], [1, 1, 0])

    """

    def __init__(self, names: Iterable[str]) -> None:
        _rapidfuzz()
        first: dict[str, str] = {}  # the first name of the list that is so when folded
        for name in names:
            first.setdefault(_folded(name), name)
        if not first:
            raise ValueError("names must hold a name at least, but got none")
        self._first = first
        by_length: dict[int, list[str]] = {}
        for folded in first:
            by_length.setdefault(len(folded), []).append(folded)
        self._by_length = by_length

    def __contains__(self, name: str) -> bool:
        return _folded(name) in self._first

    def find(self, names: Sequence[str]) -> tuple[list[str], list[int]]:
        """Find the nearest name of the list for each of some names, and its edit distance.

        Of several equally near ones it is one as long as the given name, else a shorter one, else a longer one, and of
        these the first in the list.

        """
        folded = [_folded(name) for name in names]
        found = {name: (name, 0) for name in set(folded) if name in self._first}
        found |= self._search([name for name in dict.fromkeys(folded) if name not in found])
        return [self._first[found[name][0]] for name in folded], [found[name][1] for name in folded]

    def _search(self, names: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Find the nearest of names that are folded, and not in the list themselves."""
        found: dict[str, tuple[str, int]] = {}
        for length, group in _grouped(names).items():
            best = np.full(len(group), _FARTHEST, dtype=np.int64)  # (g,)
            nearest = [""] * len(group)
            for other in sorted(self._by_length, key=lambda other: (abs(other - length), other)):
                # Names of such lengths are at least so far apart.
                open_rows = np.flatnonzero(best > max(1, abs(other - length)))  # (k,)
                if not len(open_rows):
                    break
                candidates = self._by_length[other]
                for rows, distances in _distances([group[row] for row in open_rows], candidates):
                    chosen = distances.argmin(axis=1)  # (r,)
                    least = distances[np.arange(len(chosen)), chosen]  # (r,)
                    for row, place, distance in zip(
                        open_rows[rows], chosen.tolist(), least.tolist(), strict=True
                    ):
                        if distance < best[row]:
                            best[row], nearest[row] = distance, candidates[place]
            found |= zip(group, zip(nearest, best.tolist(), strict=True), strict=True)
        return found

    def is_similar(self, names: Sequence[str], limit: float) -> NDArray[np.bool_]:
        """Tell which names are more similar to a name of the list than a limit allows.

        The similarity of two names is 1 - their edit distance / the length of the longer one.

        Args:
            names: any names.
            limit: 0 to 1.

        Returns:
            bool (len(names),), whether the largest similarity is above the limit.

        """
        folded = [_folded(name) for name in names]
        similar = {name: name in self._first and limit < 1 for name in set(folded)}
        for length, group in _grouped([name for name, known in similar.items() if not known]).items():
            for other, candidates in self._by_length.items():
                most = _largest_distance(limit, max(length, other))
                if abs(length - other) > most:
                    continue
                left = [name for name in group if not similar[name]]
                for rows, distances in _distances(left, candidates):
                    for row, least in zip(rows, distances.min(axis=1).tolist(), strict=True):
                        similar[left[row]] |= least <= most
        return np.array([similar[name] for name in folded], dtype=bool)


def _folded(name: str) -> str:
    """Return a name as it is compared; a letter and its accent are one letter where Unicode has one for both."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", fold_name(name))


def _largest_distance(limit: float, longest: int) -> int:
    """Return the largest edit distance at which two names are more similar than a limit; -1 where there is none."""
    if longest == 0:
        return 0 if limit < 1 else -1
    distance = math.ceil((1 - limit) * longest) + 1
    while distance >= 0 and not 1 - distance / longest > limit:
        distance -= 1
    return min(distance, longest)


def _grouped(names: Iterable[str]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = {}
    for name in names:
        groups.setdefault(len(name), []).append(name)
    return groups


def _distances(
    names: Sequence[str], candidates: Sequence[str]
) -> Iterator[tuple[range, NDArray[np.unsignedinteger[Any]]]]:
    """Compute the distances of names to candidates, a run of names at a time: (run, len(candidates))."""
    process, distance = _rapidfuzz()
    longest = max(map(len, candidates)) + max(map(len, names), default=0)
    dtype = np.uint8 if longest < 256 else np.uint32
    step = max(1, _DISTANCES // len(candidates))
    for begin in range(0, len(names), step):
        run = names[begin : begin + step]
        yield range(begin, begin + len(run)), process.cdist(run, candidates, scorer=distance, dtype=dtype)


def _rapidfuzz() -> tuple[Any, Any]:
    try:
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        message = "edit distances need rapidfuzz, which is not installed: pip install rapidfuzz"
        raise ImportError(message, name=None) from None
    return process, Levenshtein.distance
