"""A stream of names without near copies of a list."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from namegen_ext.sampling.sampling_errors import SamplingError
from namegen_ext.sampling.stream import DEFAULT_PATIENCE, NameStream, SampleCounts
from namegen_ext.scoring.nearest import NearestNames

# The first batch that is looked at is small, since a list is compared with each of its names.
FIRST_BATCH = 256


class UnlikeStream(Iterator[str]):
    """The names of another stream that are not too similar to any name of a list.

    Args:
        names: the stream; it gives as many as it is asked for.
        n: how many names to give.
        nearest: the list.
        limit: the largest similarity that a name may have, 0 to 1; see `NearestNames.is_similar`.
        patience: give up once so many names in a row had to be left out.

    Attributes:
        counts: what was drawn and given; ``similar`` of them were left out for their similarity.
        seed: that of the stream.

    Raises:
        SamplingError: while iterating, after the names found.

    """

    def __init__(
        self,
        names: NameStream,
        n: int,
        nearest: NearestNames,
        limit: float,
        *,
        patience: int = DEFAULT_PATIENCE,
    ) -> None:
        self.counts = SampleCounts()
        self.seed = names.seed
        self._stream = names
        self._n = n
        self._nearest = nearest
        self._limit = limit
        self._patience = patience
        self._batches = self._kept()
        self._names = (name for batch in self._batches for name in batch)

    def __next__(self) -> str:
        return next(self._names)

    def texts(self) -> Iterator[bytes]:
        """Give the names as text, a batch at a time; see `NameStream.texts`."""
        return (
            "".join(name + "\n" for name in batch).encode("utf-8", "surrogatepass") for batch in self._batches
        )

    def to_list(self) -> list[str]:
        """Give all names at once; see `NameStream.to_list`."""
        return [name for batch in self._batches for name in batch]

    def _kept(self) -> Iterator[list[str]]:
        given = new = similar = 0
        in_a_row = 0
        texts = self._stream.texts()
        while given < self._n:
            try:
                text = next(texts)
            except StopIteration:
                raise SamplingError(self._exhausted(given)) from None
            except SamplingError as error:
                raise SamplingError(f"{self._exhausted(given)} ({error})") from None
            names = text.decode("utf-8", "surrogatepass").split("\n")[:-1]
            batch: list[str] = []
            for name, is_similar in zip(names, self._nearest.is_similar(names, self._limit), strict=True):
                if is_similar:
                    similar += 1
                    in_a_row += 1
                    if in_a_row == self._patience:
                        break
                    continue
                in_a_row = 0
                batch.append(name)
                new += name not in self._nearest
                if given + len(batch) == self._n:
                    break
            given += len(batch)
            drawn: dict[str, Any] = dataclasses.asdict(self._stream.counts)
            self.counts = SampleCounts(**{**drawn, "names": given, "new": new, "similar": similar})
            yield batch
            if in_a_row >= self._patience:
                raise SamplingError(self._exhausted(given))

    def _exhausted(self, given: int) -> str:
        return (
            f"found only {given:,} of {self._n:,} names that are at most {self._limit:g} similar to a name of the list:"
            " ask for fewer names, a higher temperature, or a larger similarity"
        )
