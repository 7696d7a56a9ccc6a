"""Names that are one letter away from a name of a list."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein


class NearNames:
    """Tells whether a name is a copy, or within one change of a letter, of a name of a list.

    Two names are one change apart where a letter is put in, left out or put in the place of another.

    Args:
        names: the list.

    """

    def __init__(self, names: Iterable[str]) -> None:
        self._list = list(names)
        self._names = frozenset(self._list)

    def is_copy(self, name: str) -> bool:
        """Tell whether a name stands in the list."""
        return name in self._names

    def is_near(self, name: str) -> bool:
        """Tell whether a name that does not stand in the list is one change away from one that does."""
        if self.is_copy(name):
            return False
        return process.extractOne(name, self._list, scorer=Levenshtein.distance, score_cutoff=1) is not None
