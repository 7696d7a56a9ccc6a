"""Gives names one after another: as many as asked for, only new ones, without repeats; and counts them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.data.folding import fold_name, folded_characters
from namegen_ext.data.title_case import title_case
from namegen_ext.sampling.native import checked, lines
from namegen_ext.sampling.sampling_errors import SamplingError, TooFewAcceptedError

DEFAULT_BATCH_SIZE = 8192
# So many names keep a thread busy for some milliseconds, which is long against the time it takes to start one.
# Measured: about 30 us to start a thread.
BATCH_SIZE_PER_THREAD = 65536
DEFAULT_PATIENCE = 100_000

# The first batch of a stream that leaves names out. Each further one is twice as large, as nobody knows how many names
# have to be drawn.
_FIRST_BATCH = 256


@dataclass
class SampleCounts:
    """What a stream has drawn and given.

    Attributes:
        names: how many names it gave.
        new: how many of these are not training names, whatever their case and the writing of their accents.
        drawn: how many names it drew, those that it left out included.
        drawn_new: how many of those drawn are not training names.
        drawn_distinct: how many of those drawn are different; None where the stream does not keep them.
        similar: how many were left out because they are too similar to a name of a list.
        accepted: how likely one of the model's names meets the constraints; None without any, or where it is not known.
        cut: how many of those drawn did not end by themselves: they were cut at the greatest length.

    Example:
        >>> SampleCounts(names=3, new=2).drawn
        0

    """

    names: int = 0
    new: int = 0
    drawn: int = 0
    drawn_new: int = 0
    drawn_distinct: int | None = None
    similar: int = 0
    accepted: float | None = None
    cut: int = 0


class NameSource(Protocol):
    """What a stream draws from, such as a `NameSampler`.

    Attributes:
        vocabulary: the symbols of the names.
        native: the native sampler, or None where `draw` draws.

    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols."""
        ...

    @property
    def native(self) -> Any:
        """The native sampler, or None."""
        ...

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        ...


class NameStream(Iterator[str]):
    """An iterator over n names, drawn in batches.

    Args:
        sampler: where the names come from.
        n: how many names to give.
        seed: in [0, 2**64).
        training_names: the names that do not count as new, whatever their case and the writing of their accents; see
            `namegen_ext.data.folding`.
        novel: leave out the training names.
        unique: leave out the repeats. Keeps all names in memory.
        count_distinct: count the different names without ``unique``. Keeps all names in memory.
        patience: give up once so many names drawn in a row had to be left out.
        batch_size: how many names are drawn at a time; has no influence on the names. None takes 8,192, or
            65,536 for each thread where there are several.
        threads: how many threads draw, where the sampler is native; has no influence on the names.
        case: "title" writes names with capital initials; else they stay as they are drawn.
        accepted: how likely one of the model's names meets the sampler's constraints, where it is known.
        max_length: a name that has so many letters was cut there; None where names are not cut.
        leave_out_cut: leave out names that were cut. They are counted in any case.

    Attributes:
        counts: what was drawn and given, up to and including the current batch.
        seed: as given.

    Raises:
        SamplingError: while iterating, after the names found: ``patience`` names in a row had to be left out, or a name
            that meets the sampler's constraints was not found.

    Example:
        >>> from namegen_ext.data import Vocabulary
        >>> from namegen_ext.models import Bigram
        >>> from namegen_ext.sampling import NameSampler
        >>> stream = NameStream(NameSampler(Bigram(5), Vocabulary("abcd"), 10), 10, seed=1, unique=True)
        >>> len(set(stream)), stream.counts.drawn_distinct
        (10, 10)

    """

    def __init__(
        self,
        sampler: NameSource,
        n: int,
        *,
        seed: int,
        training_names: Collection[str] = (),
        novel: bool = False,
        unique: bool = False,
        count_distinct: bool = False,
        patience: int = DEFAULT_PATIENCE,
        batch_size: int | None = None,
        threads: int = 1,
        case: str = "keep",
        accepted: float | None = None,
        max_length: int | None = None,
        leave_out_cut: bool = False,
    ) -> None:
        self.counts = SampleCounts(accepted=accepted)
        self.seed = seed
        self._sampler = sampler
        self._n = n
        self._known = fold_name(
            _as_lines(training_names)
        )  # at once: name by name takes several times as long
        self._novel = novel
        self._unique = unique
        self._count_distinct = count_distinct
        self._seen: set[str] | None = set() if unique or count_distinct else None
        self._patience = patience
        self._left_out_in_a_row = 0
        self._max_length = min(max_length or 0, 2**62)  # fits 64 bits
        self._leave_out_cut = leave_out_cut
        if batch_size is None:
            has_threads = threads > 1 and sampler.native is not None
            batch_size = BATCH_SIZE_PER_THREAD * threads if has_threads else DEFAULT_BATCH_SIZE
        self._batch_size = batch_size
        self._threads = threads
        self._texts = self._native_texts() if sampler.native is not None else map(_as_text, self._batches())
        if case == "title":
            self._texts = map(_as_title, self._texts)
        self._names = chain.from_iterable(map(lines, self._texts))

    def __next__(self) -> str:
        return next(self._names)

    def texts(self) -> Iterator[bytes]:
        """Give the names as text, a batch at a time: UTF-8, with a newline behind each name.

        It is the fastest way to a file or a pipe. It takes the place of the iteration over names.

        Raises:
            SamplingError: as the iteration does, after the names found.

        """
        return self._texts

    def to_list(self) -> list[str]:
        """Give all names at once. It takes the place of the iteration over names.

        Raises:
            SamplingError: as the iteration does.

        """
        return lines(b"".join(self._texts))

    def _native_texts(self) -> Iterator[bytes]:
        native = _core.sampling.NameStream(
            self._sampler.native,
            self._n,
            self.seed,
            self._known.encode("utf-8", "surrogatepass"),
            self._novel,
            self._unique,
            self._count_distinct,
            self._patience,
            self._batch_size,
            self._threads,
            self._max_length,
            self._leave_out_cut,
        )
        native.fold(*folded_characters(self._sampler.vocabulary.symbols))
        while not native.ended:
            text: bytes = checked(native.next)
            self._take_counts(native)
            yield text
        if native.too_few is not None:
            raise TooFewAcceptedError([], *native.too_few)
        if native.gave_up:
            raise SamplingError(self._exhausted())

    def _take_counts(self, native: Any) -> None:
        counts = self.counts
        counts.names, counts.new, counts.drawn, counts.drawn_new, distinct, counts.cut = native.counts
        counts.drawn_distinct = None if self._seen is None else distinct

    def _batches(self) -> Iterator[list[str]]:
        self._known_names = frozenset(self._known.split("\n")[:-1])
        is_filtered = self._novel or self._unique
        batch_size = min(self._batch_size, _FIRST_BATCH) if is_filtered else self._batch_size
        position = 0
        while self.counts.names < self._n:
            # A few names may take the place of those that were cut. More are drawn where all of the last ones were.
            left = self._n - self.counts.names
            count = batch_size if is_filtered else min(batch_size, max(left, self._left_out_in_a_row))
            failure = None
            try:
                names = self._sampler.draw(self.seed, position, count)
            except TooFewAcceptedError as error:
                names, failure = error.names, error
            is_chosen = is_filtered or count > left or any(map(self._is_cut, names))
            yield self._filter(names) if is_chosen else self._take_all(names)
            if failure is not None and self.counts.names < self._n:
                raise failure
            if self._left_out_in_a_row >= self._patience:
                raise SamplingError(self._exhausted())
            position += count
            batch_size = min(2 * batch_size, self._batch_size)

    def _take_all(self, names: list[str]) -> list[str]:
        counts = self.counts
        num_new = sum(map(self._is_new, names)) if self._known_names else len(names)
        self._left_out_in_a_row = 0
        counts.names += len(names)
        counts.new += num_new
        counts.drawn += len(names)
        counts.drawn_new += num_new
        if self._seen is not None:
            self._seen.update(names)
            counts.drawn_distinct = len(self._seen)
        return names

    def _filter(self, names: list[str]) -> list[str]:
        """Keep the names that were asked for, up to the n-th one, or until the patience ends."""
        counts, seen = self.counts, self._seen
        kept = []
        for name in names:
            counts.drawn += 1
            if self._is_cut(name):
                counts.cut += 1
                if self._leave_out_cut:
                    self._left_out_in_a_row += 1
                    if self._left_out_in_a_row == self._patience:
                        break
                    continue
            is_new = self._is_new(name)
            is_repeat = False
            counts.drawn_new += is_new
            if seen is not None:
                is_repeat = name in seen
                seen.add(name)
            if (self._novel and not is_new) or (self._unique and is_repeat):
                self._left_out_in_a_row += 1
                if self._left_out_in_a_row == self._patience:
                    break
                continue
            self._left_out_in_a_row = 0
            kept.append(name)
            counts.new += is_new
            if counts.names + len(kept) == self._n:
                break
        counts.names += len(kept)
        if seen is not None:
            counts.drawn_distinct = len(seen)
        return kept

    def _is_cut(self, name: str) -> bool:
        return 0 < self._max_length <= len(name)

    def _is_new(self, name: str) -> bool:
        return fold_name(name) not in self._known_names

    def _exhausted(self) -> str:
        filters = [word for word, is_on in (("novel", self._novel), ("unique", self._unique)) if is_on]
        counts = self.counts
        found = (
            f"found only {counts.names:,} of {self._n:,} {' and '.join(filters)}{' ' if filters else ''}names"
        )
        left_out = f"the last {self._patience:,} of {counts.drawn:,} drawn had to be left out"
        if self._leave_out_cut and counts.cut:
            left_out += f" ({counts.cut:,} did not end within {self._max_length:,} letters)"
        if not filters:
            return f"{found}: {left_out}; choose another temperature or top-k, or give a max_length (--max-length)"
        return f"{found}: {left_out}; ask for fewer names, a higher temperature, a larger top-k or a shorter prefix"


def _as_lines(names: Collection[str]) -> str:
    """Return names with a newline behind each; those that hold one are left out, as no drawn name does."""
    text = "\n".join(names)
    if text.count("\n") != max(len(names) - 1, 0):
        text = "\n".join(name for name in names if "\n" not in name)
    return text + "\n" if text else ""


def _as_title(text: bytes) -> bytes:
    return title_case(text.decode()).encode()


def _as_text(names: Iterable[str]) -> bytes:
    return "".join(name + "\n" for name in names).encode("utf-8", "surrogatepass")
