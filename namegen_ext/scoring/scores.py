"""What is known of names: how likely each is, how that compares with the list, and what in the list it resembles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scores(Sequence[dict[str, Any]]):
    """The scores of names, in columns; as a sequence, a row for each name.

    Attributes:
        names: as they were given.
        nll: float64 (n,), the negative log-likelihood in nats, that of the name's end included; infinite for a name
            with a letter that the model does not know.
        nll_per_character: float64 (n,), that divided by the number of letters and 1, for the end.
        percentile: float64 (n,), 0 to 100: of how many percent of the training names the nll per character is larger;
            names with the same count half.
        novel: bool (n,), whether it is not in the list, whatever its case and the writing of its accents.
        nearest: the nearest name of the list; None where none was looked for.
        distance: the edit distance to it; None likewise.
        unknown: the first letter that the model does not know, by the number of the name.
        extra: further columns of rows, by their names.

    Example:
        >>> import numpy as np
        >>> columns = (np.array([3.0]), np.array([1.0]), np.array([50.0]), np.array([True]))
        >>> scores = Scores(["ab"], *columns, None, None, {})
        >>> scores[0]
        {'name': 'ab', 'nll': 3.0, 'nll_per_character': 1.0, 'percentile': 50.0, 'novel': True}

    """

    names: list[str]
    nll: NDArray[np.float64]
    nll_per_character: NDArray[np.float64]
    percentile: NDArray[np.float64]
    novel: NDArray[np.bool_]
    nearest: list[str] | None
    distance: list[int] | None
    unknown: dict[int, str]
    extra: dict[str, list[Any]] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Return a row, or several."""
        if isinstance(index, slice):
            return [self._row(place) for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return self._row(place)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._row, range(len(self)))

    def _row(self, place: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": self.names[place],
            "nll": float(self.nll[place]),
            "nll_per_character": float(self.nll_per_character[place]),
            "percentile": float(self.percentile[place]),
            "novel": bool(self.novel[place]),
        }
        if self.nearest is not None and self.distance is not None:
            row |= {"nearest": self.nearest[place], "distance": self.distance[place]}
        for name, values in (self.extra or {}).items():
            row[name] = values[place]
        if place in self.unknown:
            row["unknown"] = self.unknown[place]
        return row

    def order(self) -> list[int]:
        """Return the numbers of the names, the likeliest first; of equal ones those that come first."""
        return np.argsort(self.nll, kind="stable").tolist()


def percentiles(values: NDArray[np.float64], training: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return of how many percent of the training names a value is larger; equal ones count half.

    Args:
        values: float64 (n,), nll per character.
        training: float64 (m,), those of the training names, ascending.

    Returns:
        float64 (n,).

    """
    if len(training) == 0:
        return np.full(len(values), math.nan)
    below = np.searchsorted(training, values, side="left")  # (n,)
    equal = np.searchsorted(training, values, side="right") - below  # (n,)
    larger = len(training) - below - equal  # (n,)
    return 100 * (larger + equal / 2) / len(training)
