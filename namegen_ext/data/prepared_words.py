"""Words made ready to be learnt: in one case and normal form, without rare characters, with counts each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from namegen_ext.data.data_errors import DataError
from namegen_ext.data.list_format import ListFormat

_TOLD_CHARACTERS = 20


def prepare_words(
    words: Sequence[str], counts: Sequence[float] | None, list_format: ListFormat, origin: str
) -> tuple[list[str], list[float] | None, tuple[str, ...]]:
    """Bring words to the form in which they are learnt.

    A character that hardly any word has is learnt badly, and costs a symbol. It is not replaced by another one, as no
    rule holds for all scripts ("ß" is "ss", "ö" in German "oe", in Swedish not): the words that have it are left out.
    ``normalize="nfkc"`` replaces those that Unicode calls compatible.

    Args:
        words: as they were read.
        counts: how often each counts; None for once each, where equal words stay apart.
        list_format: what is to be done.
        origin: what messages call the list.

    Returns:
        The words, their counts, and what was left out, a sentence each. With counts, equal words are one, at the place
        of the first, with the sum; words that count 0 times are left out.

    Raises:
        DataError: fewer than two distinct words are left.

    """
    prepared = list(words)
    notes = []
    if list_format.normalize != "none" or list_format.case != "keep":
        prepared = [list_format.as_learnt(word) for word in prepared]
    weights = None if counts is None else list(counts)
    if weights is not None:
        prepared, weights, zeros = _joined(prepared, weights)
        if zeros:
            notes.append(f"{origin}: {zeros:,} words whose count is 0 are left out")
    if list_format.rare > 1:
        prepared, weights, told = _without_rare(prepared, weights, list_format.rare)
        if told:
            notes.append(f"{origin}: {told}")
    if len(set(prepared)) < 2:
        raise DataError(f"{origin}: {len(set(prepared))} distinct words are left, expected at least two")
    return prepared, weights, tuple(notes)


def _joined(words: Sequence[str], counts: Sequence[float]) -> tuple[list[str], list[float], int]:
    """Return each word once, with the sum of its counts, and how many counts are 0."""
    sums: dict[str, float] = {}
    for word, count in zip(words, counts, strict=True):
        sums[word] = sums.get(word, 0.0) + count
    kept = {word: count for word, count in sums.items() if count > 0}
    return list(kept), list(kept.values()), len(sums) - len(kept)


def _without_rare(
    words: list[str], weights: list[float] | None, fewest: int
) -> tuple[list[str], list[float] | None, str]:
    """Leave out the words with characters that are rare in the whole list."""
    numbers = Counter(character for word in words for character in set(word))
    found = {character for character, number in numbers.items() if number < fewest}
    if not found:
        return words, weights, ""
    num_before = len(words)
    kept = [found.isdisjoint(word) for word in words]
    words = [word for word, keep in zip(words, kept, strict=True) if keep]
    if weights is not None:
        weights = [weight for weight, keep in zip(weights, kept, strict=True) if keep]
    characters = sorted(found)
    shown = ", ".join(map(repr, characters[:_TOLD_CHARACTERS]))
    more = f" and {len(characters) - _TOLD_CHARACTERS:,} more" if len(characters) > _TOLD_CHARACTERS else ""
    told = (
        f"{num_before - len(words):,} of {num_before:,} words are left out, as fewer than {fewest:,} words have their"
        f" character {shown}{more}"
    )
    return words, weights, told
