"""Names near a given one: the model's own distribution over all names within an edit distance of it.

All strings within the distance are listed, and the model tells the probability of each. A name is then drawn by
inversion from P(name) / the sum of P over all of them, which is the model's distribution given that the name lies
within the distance: exactly, for every model. There are few such strings. A name of 6 letters has about 450 within a
distance of 1 and 75,000 within 2, with 26 letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from namegen_ext.data import Vocabulary
from namegen_ext.sampling.sampling_arguments import check_count
from namegen_ext.sampling.sampling_errors import SamplingError
from namegen_ext.sampling.uniforms import uniforms
from namegen_ext.scoring.scorer import NameLikelihood

DEFAULT_WITHIN = 2
MOST_WITHIN = 3
# More strings than this are refused, because all of them are listed and scored. Measured: 0.35 s (75,000 strings).
MOST_STRINGS = 5_000_000


class NearSampler:
    """Draws the names of a seed's stream from all that lie within an edit distance of a name.

    It has what `namegen_ext.sampling.NameStream` asks of a sampler.

    Args:
        likelihood: of the model.
        vocabulary: its symbols.
        name: the given one, as the model knows names; letters that it does not know may be replaced.
        within: the largest edit distance.
        prefix: what each name starts with.
        max_length: no name is longer.
        accepts: tells whether a name may be drawn; None for all.

    Attributes:
        vocabulary: as given.
        names: all that can be drawn.
        share: the share that they have of all that is drawn with the prefix.

    Raises:
        ValueError: an argument that cannot be, or too many names are so near.
        SamplingError: no name can be drawn.

    """

    native = None

    def __init__(
        self,
        likelihood: NameLikelihood,
        vocabulary: Vocabulary,
        name: str,
        *,
        within: int,
        prefix: str = "",
        max_length: int = 64,
        accepts: Callable[[str], bool] | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.names = sorted(
            near
            for near in strings_within(name, self.vocabulary.symbols, within)
            if near.startswith(prefix) and 0 < len(near) <= max_length and (accepts is None or accepts(near))
        )
        if not self.names:
            raise SamplingError(
                f"no name that starts with {prefix!r}{' and meets the constraints' if accepts else ''} lies within an "
                f"edit distance of {within} of {name!r}"
            )
        nll, _ = likelihood.nll(self.names, given=len(prefix))  # (n,)
        least = float(nll.min())
        if not np.isfinite(least):
            raise SamplingError(
                f"the model gives no probability to a name within an edit distance of {within} of {name!r}"
            )
        cumulative = np.cumsum(np.exp(least - nll))  # (n,)
        self.share = float(cumulative[-1] * np.exp(-least))
        self._cumulative = cumulative / cumulative[-1]

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        # Of equal sums the last is taken, so that a name without probability is not drawn.
        places = np.searchsorted(self._cumulative, uniforms(seed, first, count), side="right")  # (count,)
        return [self.names[place] for place in places.tolist()]


def check_within(value: object, name: str = "within") -> int:
    """Accept an edit distance from 1 to 3."""
    within = check_count(value, minimum=1, name=name)
    if within > MOST_WITHIN:
        raise ValueError(f"{name} must be an edit distance from 1 to {MOST_WITHIN}, but got {within}")
    return within


def check_number(name: str, num_letters: int, within: int, what: str = "within") -> None:
    """Accept an edit distance within which there are not too many strings of so many letters.

    Raises:
        ValueError: there are; the message names ``what`` was given.

    """
    number = 1
    for edit in range(1, within + 1):  # an insertion or a replacement at each of so many places
        number = number * (2 * (len(name) + edit) * num_letters) // edit
    if number > MOST_STRINGS:
        raise ValueError(
            f"{what} must leave at most {MOST_STRINGS:,} strings to compare, but got {within}: about {number:,} of "
            f"{num_letters} letters are so near to a name of {len(name)}"
        )


def strings_within(name: str, letters: Sequence[str], within: int) -> set[str]:
    """List all strings of some letters within an edit distance of a name.

    Args:
        name: any string.
        letters: those that the strings are made of. A letter of the name that is none of these must be edited away.
        within: the largest edit distance, 1 to 3.

    Raises:
        ValueError: there are too many.

    Example:
        >>> sorted(strings_within("ab", "ab", 1))
        ['a', 'aa', 'aab', 'ab', 'aba', 'abb', 'b', 'bab', 'bb']

    """
    check_within(within)
    check_number(name, len(letters), within)
    found, outermost = {name}, {name}
    for _ in range(within):
        outermost = {near for string in outermost for near in _edited(string, letters)} - found
        found |= outermost
    known = set(letters)
    return {string for string in found if known.issuperset(string)}


def _edited(string: str, letters: Sequence[str]) -> Iterable[str]:
    """Give all strings at an edit distance of 1, some of them more than once."""
    for place in range(len(string) + 1):
        before, behind = string[:place], string[place:]
        for letter in letters:
            yield before + letter + behind
        if behind:
            yield before + behind[1:]
            for letter in letters:
                yield before + letter + behind[1:]
