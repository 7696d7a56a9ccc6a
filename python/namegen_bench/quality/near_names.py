"""Names that are one letter away from a name of a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class NearNames:
    """Tells whether a name is a copy, or within one change of a letter, of a name of a list.

    Two names are one change apart where a letter is put in, left out or put in the place of another. They then agree
    once a letter of each, or of one, is left out at the same place.

    Args:
        names: the list.

    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._without_one = {without for name in self._names for without in _without_each(name)}
        self._shorter = {without for _, without in self._without_one}

    def is_copy(self, name: str) -> bool:
        """Tell whether a name stands in the list."""
        return name in self._names

    def is_near(self, name: str) -> bool:
        """Tell whether a name that does not stand in the list is one change away from one that does."""
        if self.is_copy(name):
            return False
        return name in self._shorter or any(
            without in self._names or (place, without) in self._without_one
            for place, without in _without_each(name)
        )


def _without_each(name: str) -> Iterator[tuple[int, str]]:
    return ((place, name[:place] + name[place + 1 :]) for place in range(len(name)))
