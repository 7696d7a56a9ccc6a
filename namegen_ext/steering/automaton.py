"""Deterministic automata over the symbols of a vocabulary, as arrays.

Source: J. E. Hopcroft, R. Motwani, J. D. Ullman, "Introduction to Automata Theory, Languages, and Computation", 3rd
    edition, 2006, chapters 2 and 4: the product of two automata, and the states that cannot be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Beyond these a demand is refused: its automaton would take gigabytes.
MOST_STATES = 400_000
MOST_LINKS = 2**27

_NEVER = np.iinfo(np.int64).max


class TooManyStatesError(ValueError):
    """The automaton would have more states than are kept."""


@dataclass(frozen=True, eq=False)
class Automaton:
    """A name is accepted where its symbols lead from state 0, one after another, to a state that accepts.

    Attributes:
        next: int32 (S, V); the state behind each symbol, or -1 where no accepted name goes on so. Column 0, of the
            end marker, is -1.
        accepted: bool (S,).

    """

    next: NDArray[np.int32]
    accepted: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """S, the number of states."""
        return len(self.accepted)

    @property
    def vocab_size(self) -> int:
        """V, the number of symbols, the end marker included."""
        return int(self.next.shape[1])

    def accepts(self, symbols: list[int]) -> bool:
        """Tell whether a name is accepted."""
        state = self.after(symbols)
        return state >= 0 and bool(self.accepted[state])

    def after(self, symbols: list[int]) -> int:
        """Return the state behind a beginning; -1 where no accepted name starts so."""
        state = 0
        for symbol in symbols:
            if state >= 0:
                state = int(self.next[state, symbol])
        return state

    def starting_at(self, state: int) -> Automaton:
        """Return the automaton for what stands behind a beginning that led to a state."""
        order = np.arange(self.size)
        order[[0, state]] = [state, 0]
        return self._renumbered(order)

    def pruned(self, letters: int) -> Automaton:
        """Leave out the states that no accepted name of at most so many letters comes to.

        State 0 stays. Where it leads nowhere and does not accept, no name is accepted.
        """
        useful = (self._letters_before() + self._letters_to_accept() <= letters) & (
            self._letters_to_accept() < _NEVER // 2
        )
        useful[0] = True
        kept = np.flatnonzero(useful)
        number = np.full(self.size + 1, -1, dtype=np.int32)  # the last is that of -1
        number[kept] = np.arange(len(kept))
        return Automaton(number[self.next[kept]], self.accepted[kept])

    def longest(self, letters: int) -> int:
        """Return the length of the longest accepted name of at most so many letters; -1 where there is none."""
        reached = np.zeros(self.size, dtype=bool)  # after so many letters
        reached[0] = True
        longest = -1
        for length in range(letters + 1):
            if (reached & self.accepted).any():
                longest = length
            behind = self.next[reached]
            reached = np.zeros(self.size, dtype=bool)
            reached[behind[behind >= 0]] = True
            if not reached.any():
                break
        return longest

    def minimal(self) -> Automaton:
        """Join the states that accept the same."""
        classes = self.accepted.astype(np.int64)  # (S,)
        num_classes = len(np.unique(classes))
        columns = self._distinct_columns()
        while True:
            behind = np.append(classes, -1)[self.next[:, columns]]  # (S, columns)
            _, classes = np.unique(np.column_stack([classes, behind]), axis=0, return_inverse=True)
            classes = classes.reshape(-1)
            if classes.max() + 1 == num_classes:
                break
            num_classes = int(classes.max()) + 1
        _, representatives = np.unique(classes, return_index=True)  # the first state of each class
        order = np.argsort(representatives)  # so that the class of state 0 is the first
        number = np.empty(num_classes, dtype=np.int32)
        number[order] = np.arange(num_classes)
        first = representatives[order]
        joined = np.append(number[classes], np.int32(-1))[self.next[first]]
        return Automaton(joined.astype(np.int32), self.accepted[first])

    def unrolled(self, letters: int) -> Automaton:
        """Return the automaton of the accepted names of at most so many letters, without circles.

        Its states are pairs of a state and a number of letters before it. Every symbol leads to a state of a higher
        number.

        Raises:
            TooManyStatesError: there are more than are kept.

        """
        to_accept = self._letters_to_accept()
        layers: list[NDArray[Any]] = [
            np.zeros(1, dtype=np.int64)
        ]  # of states, those that are reached after 0, 1, 2, ... letters
        for length in range(1, letters + 1):
            behind = np.unique(self.next[layers[-1]])
            behind = behind[behind >= 0]
            layers.append(behind[to_accept[behind] <= letters - length])
            if not len(layers[-1]):
                layers.pop()
                break
            if sum(map(len, layers)) * self.vocab_size > MOST_LINKS:
                raise TooManyStatesError(
                    f"more than {MOST_LINKS // self.vocab_size:,} states over {letters} letters"
                )
        starts = np.cumsum([0, *map(len, layers)])
        next_parts = []
        for length, states in enumerate(layers):
            number = np.full(self.size + 1, -1, dtype=np.int32)
            if length + 1 < len(layers):
                number[layers[length + 1]] = starts[length + 1] + np.arange(len(layers[length + 1]))
            next_parts.append(number[self.next[states]])
        return Automaton(np.concatenate(next_parts), self.accepted[np.concatenate(layers)])

    def _renumbered(self, order: NDArray[np.int64]) -> Automaton:
        number = np.full(self.size + 1, -1, dtype=np.int32)
        number[order] = np.arange(self.size)
        return Automaton(number[self.next[order]], self.accepted[order])

    def _distinct_columns(self) -> NDArray[np.int64]:
        _, first = np.unique(self.next, axis=1, return_index=True)
        return np.sort(first)

    def _letters_before(self) -> NDArray[np.int64]:
        """The fewest letters from state 0 to each: (S,)."""
        before = np.full(self.size, _NEVER // 2, dtype=np.int64)
        layer = np.zeros(1, dtype=np.int64)
        length = 0
        while len(layer):
            before[layer] = length
            length += 1
            behind = np.unique(self.next[layer])
            layer = behind[(behind >= 0) & (before[behind] == _NEVER // 2)].astype(np.int64)
        return before

    def _letters_to_accept(self) -> NDArray[np.int64]:
        """The fewest letters from each to a state that accepts: (S,)."""
        nearest = np.where(self.accepted, 0, _NEVER // 2).astype(np.int64)
        columns = self._distinct_columns()
        while True:
            behind = np.append(nearest, _NEVER // 2)[self.next[:, columns]].min(axis=1)  # (S,)
            nearer = np.minimum(nearest, behind + 1)
            if (nearer == nearest).all():
                return nearest
            nearest = nearer


def every_name(vocab_size: int) -> Automaton:
    """Return the automaton that accepts every name, the empty one too."""
    following = np.zeros((1, vocab_size), dtype=np.int32)
    following[:, 0] = -1
    return Automaton(following, np.ones(1, dtype=bool))


def both(a: Automaton, b: Automaton) -> Automaton:
    """Return the automaton of the names that both accept: their product, as far as it is reached.

    Raises:
        TooManyStatesError: there are more than are kept.

    """
    vocab_size = a.vocab_size
    numbers: dict[int, int] = {0: 0}  # of the pair (s, t): s * b.size + t
    pairs = [np.zeros(1, dtype=np.int64)]
    links = []
    layer = pairs[0]
    while len(layer):
        left, right = a.next[layer // b.size], b.next[layer % b.size]  # (L, V)
        behind = np.where((left >= 0) & (right >= 0), left.astype(np.int64) * b.size + right, -1)
        links.append(behind)
        found = np.unique(behind)
        layer = np.array([pair for pair in found.tolist() if pair >= 0 and pair not in numbers], np.int64)
        numbers.update(zip(layer.tolist(), range(len(numbers), len(numbers) + len(layer)), strict=True))
        pairs.append(layer)
        if len(numbers) > MOST_STATES or len(numbers) * vocab_size > MOST_LINKS:
            raise TooManyStatesError(f"more than {min(MOST_STATES, MOST_LINKS // vocab_size):,} states")
    all_pairs = np.concatenate(pairs)
    order = np.argsort(all_pairs)
    behind = np.concatenate(links)  # (S, V)
    places = np.searchsorted(all_pairs, behind, sorter=order).clip(max=len(order) - 1)
    following = np.where(behind >= 0, order[places], -1).astype(np.int32)
    return Automaton(following, a.accepted[all_pairs // b.size] & b.accepted[all_pairs % b.size])
