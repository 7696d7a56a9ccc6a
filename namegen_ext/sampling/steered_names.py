"""Names that meet constraints, drawn by Python and torch: the readable definition.

What is drawn is the model's own distribution, given that a name is accepted. Masking the letters after which no name
can be accepted would give another one: names that begin as few accepted ones do would come too often.

- `MessageNames`, for models with few contexts: how likely a name is accepted is known from each context and state on,
  and no draw is rejected (csrc/core/engine/sampling/steering/messages.h has the formulas).
- `RejectionNames`, for all others: the likeliest beginnings are followed, and for these an upper bound is known of how
  likely names are accepted that start so. Behind them a draw is given up as soon as no name can be accepted
  (csrc/core/engine/sampling/steering/beginnings.h has the proof).

Source: K. Park, J. Wang, T. Berg-Kirkpatrick, N. Polikarpova, L. D'Antoni, "Grammar-Aligned Decoding", NeurIPS 2024,
    who show that masking distorts, and learn upper bounds for beginnings from the draws. Here the bounds are fixed
    before the first draw, so that a name depends on nothing but its seed and its number.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from namegen_ext.data import Vocabulary
from namegen_ext.sampling.cached import CACHED_NAMES, CachedDistribution
from namegen_ext.sampling.distribution import ModelDistribution, cumulative_rows
from namegen_ext.sampling.philox import WORDS_PER_BLOCK, uniform_block
from namegen_ext.sampling.python_names import NameWriter
from namegen_ext.sampling.sampling_errors import REJECTED, TooFewAcceptedError
from namegen_ext.steering.automaton import Automaton

# Contexts per forward pass when the model is tabulated, and beginnings that are followed together.
_TABLE_CHUNK = 2048
_FOLLOWED_AT_ONCE = 256
# Tries that are drawn together where few names are wanted.
_TRIED_AT_ONCE = 2048


class MessageNames:
    """Draws names by messages; none is rejected.

    Args:
        direct: the model.
        automaton: accepts what stands behind the prefix; without circles, each symbol leads to a higher state.
        vocabulary: the symbols.
        prefix: stands at the start of each name.

    Attributes:
        accepted: how likely one of the model's names is accepted.

    """

    def __init__(
        self, direct: ModelDistribution, automaton: Automaton, vocabulary: Vocabulary, prefix: str
    ) -> None:
        self._vocab_size = direct.vocab_size
        self._later = direct.vocab_size ** (direct.block_size - 1)  # contexts of one symbol less
        self._next = torch.from_numpy(automaton.next).long()  # (S, V)
        self._accepts = torch.from_numpy(automaton.accepted).double()  # (S,)
        self._prefix = prefix
        self._writer = NameWriter(vocabulary)
        self._start = 0  # the number of the context behind the prefix
        for symbol in vocabulary.encode(prefix):
            self._start = self._start % self._later * self._vocab_size + symbol
        self._probabilities = _probability_table(direct)  # (C, V)
        self._first = direct.probabilities(
            _context(direct, vocabulary.encode(prefix)), allow_end=prefix != ""
        )  # (1, V)
        self._first = self._first.cpu()
        self._beta = self._messages()  # (S, C)
        weights = self._weights(self._first, torch.tensor([0]), torch.tensor([self._start]))  # (1, V)
        self.accepted = float(weights.sum())

    def _messages(self) -> Tensor:
        """How likely a name is accepted from each state and context on: (S, C).

        A context is a number: its oldest symbol is the highest digit, in base V. So the letters behind the context
        (a, x), where a is the oldest symbol, lead to the contexts (x, c), whatever a is.
        """
        num_states, vocab_size = self._next.shape
        beta = torch.zeros(num_states, len(self._probabilities), dtype=torch.float64)
        p = self._probabilities.view(vocab_size, self._later, vocab_size)  # (V, C / V, V)
        for state in reversed(range(num_states)):
            behind = torch.zeros(self._later, vocab_size, dtype=torch.float64)  # (C / V, V)
            behind[:, 0] = self._accepts[state]
            for symbol in self._next[state].ge(0).nonzero().squeeze(1).tolist():
                target = int(self._next[state, symbol])
                behind[:, symbol] = beta[target].view(self._later, vocab_size)[:, symbol]
            beta[state] = (p * behind).sum(dim=2).flatten()
        return beta

    def _weights(self, probabilities: Tensor, states: Tensor, contexts: Tensor) -> Tensor:
        """How likely each symbol comes and the name is accepted then: (A, V) for states and contexts (A,)."""
        symbols = torch.arange(self._vocab_size)
        next_states = self._next[states]  # (A, V)
        next_contexts = (contexts % self._later * self._vocab_size)[:, None] + symbols  # (A, V)
        behind = self._beta[next_states.clamp(min=0), next_contexts] * (next_states >= 0)  # (A, V)
        behind[:, 0] = self._accepts[states]
        return probabilities * behind

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        rows: list[Tensor] = []  # (N,) each: the symbols of a step
        active = torch.arange(count)  # (A,), the names not ended yet
        states = torch.zeros(count, dtype=torch.int64)  # (A,)
        contexts = torch.full((count,), self._start)  # (A,)
        uniforms: list[Tensor] = []
        while len(active):
            step = len(rows)
            if step % WORDS_PER_BLOCK == 0:
                uniforms = uniform_block(seed, active + first, step // WORDS_PER_BLOCK)
            probabilities = self._first if step == 0 else self._probabilities[contexts]  # (A, V) or (1, V)
            cumulative = cumulative_rows(self._weights(probabilities, states, contexts))  # (A, V)
            drawn = (cumulative <= uniforms.pop(0)[:, None]).sum(dim=1)  # (A,)
            rows.append(torch.zeros(count, dtype=torch.int64).index_copy_(0, active, drawn))
            going_on = drawn.nonzero().squeeze(1)  # (A',)
            drawn = drawn[going_on]
            states = self._next[states[going_on], drawn]
            contexts = contexts[going_on] % self._later * self._vocab_size + drawn
            active = active[going_on]
            uniforms = [uniform[going_on] for uniform in uniforms]
        return [self._prefix + name for name in self._writer.names(torch.stack(rows, dim=1))]


@dataclass(frozen=True, eq=False)
class Beginnings:
    """The likeliest beginnings of names that can still be accepted; number 0 is the start.

    Attributes:
        child: (B, V) int64, the beginning with a letter more; -1 where it was not followed.
        cumulative: (B, V + 1) float64, the probabilities of what is drawn behind each, summed up.
        bound: no more of the model's names are accepted.

    """

    child: Tensor
    cumulative: Tensor
    bound: float


def follow_beginnings(
    direct: ModelDistribution, automaton: Automaton, prefix: list[int], letters: int, most: int
) -> Beginnings:
    """Follow the likeliest beginnings of names that can still be accepted.

    Args:
        direct: the model.
        automaton: accepts what stands behind the prefix.
        prefix: the symbols at the start of each name.
        letters: no more letters stand behind the prefix.
        most: how many beginnings, 1 at least.

    """
    vocab_size = direct.vocab_size
    waiting: list[tuple[float, int, list[int], int, int]] = [(-1.0, 0, [], 0, -1)]
    found = 1
    # Of each beginning: its state, its letters, the probabilities behind it, and the number of each child.
    states: list[int] = []
    lengths: list[int] = []
    rows: list[list[float]] = []
    children: list[list[int]] = []
    while waiting and len(rows) < most:
        room = min(_FOLLOWED_AT_ONCE, most - len(rows))
        taken = [heapq.heappop(waiting) for _ in range(min(room, len(waiting)))]
        contexts = torch.cat(
            [_context(direct, [*prefix, *letters_so_far]) for _, _, letters_so_far, _, _ in taken]
        )
        is_start = not rows and not prefix
        found_rows: list[list[float]] = direct.probabilities(contexts, allow_end=not is_start).tolist()
        for (negative, _, word, state, place), row in zip(taken, found_rows, strict=True):
            own = len(rows)
            states.append(state)
            lengths.append(len(word))
            rows.append(row)
            children.append([-1] * vocab_size)
            if place >= 0:
                children[place // vocab_size][place % vocab_size] = own
            if len(word) == letters:
                continue
            for symbol in range(1, vocab_size):
                target = int(automaton.next[state, symbol])
                if target >= 0 and row[symbol] * -negative > 0:
                    candidate = (
                        row[symbol] * negative,
                        found,
                        [*word, symbol],
                        target,
                        own * vocab_size + symbol,
                    )
                    heapq.heappush(waiting, candidate)
                    found += 1
    bounds = [0.0] * len(rows)
    cumulative = torch.ones(len(rows), vocab_size + 1, dtype=torch.float64)
    for own in reversed(range(len(rows))):
        total = rows[own][0] if automaton.accepted[states[own]] else 0.0
        sums = [total]
        for symbol in range(1, vocab_size):
            if lengths[own] < letters and automaton.next[states[own], symbol] >= 0:
                child = children[own][symbol]
                total += rows[own][symbol] * (bounds[child] if child >= 0 else 1.0)
            sums.append(total)
        bounds[own] = total
        if total > 0:
            cumulative[own, :vocab_size] = torch.tensor(sums, dtype=torch.float64) / total
    return Beginnings(torch.tensor(children), cumulative, bounds[0])


class RejectionNames:
    """Draws names by rejection.

    Args:
        direct: the model.
        automaton: accepts what stands behind the prefix.
        beginnings: those that were followed.
        vocabulary: the symbols.
        prefix: stands at the start of each name.
        letters: no more letters stand behind it.
        tries: for one name.
        use_cache: whether the keys and values of the symbols before are kept, where the model can.
        once: whether `REJECTED` is given in place of a name that was not found.

    """

    def __init__(
        self,
        direct: ModelDistribution,
        automaton: Automaton,
        beginnings: Beginnings,
        vocabulary: Vocabulary,
        prefix: str,
        *,
        letters: int,
        tries: int,
        use_cache: bool,
        once: bool = False,
    ) -> None:
        self._direct = direct
        self._next = torch.from_numpy(automaton.next).long()  # (S, V)
        self._accepts = torch.from_numpy(automaton.accepted)  # (S,)
        self._beginnings = beginnings
        self._prefix = prefix
        self._start = _context(direct, vocabulary.encode(prefix)).cpu()  # (1, block_size)
        self._writer = NameWriter(vocabulary)
        self._letters = letters
        self._tries = tries
        self._once = once
        self._has_cache = use_cache and CachedDistribution.serves(direct)
        self._accepted = self._tried = 0

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream.

        Raises:
            TooFewAcceptedError: one of them was not found; it holds the names before it.

        """
        symbols = torch.zeros(count, self._letters + 1, dtype=torch.int64)  # (N, L)
        wanted = torch.arange(count)  # (W,), the names not found yet
        attempt = 0
        while len(wanted) and attempt < self._tries:
            # Where few names are wanted, several tries for each are drawn together. The first that is accepted counts.
            together = max(1, min(_TRIED_AT_ONCE // len(wanted), self._tries - attempt))
            names = wanted.repeat_interleave(together)  # (T,), T = W * together
            attempts = attempt + torch.arange(together).repeat(len(wanted))  # (T,)
            tried = torch.cat(
                [self._try(seed, part + first, those) for part, those in self._parts(names, attempts)]
            )  # (T, L), -1 in the rows that were rejected
            is_accepted = (tried[:, 0] >= 0).view(len(wanted), together)  # (W, together)
            place = is_accepted.long().argmax(dim=1)  # (W,), of the first that is accepted
            is_found = is_accepted.any(dim=1)  # (W,)
            rows = torch.arange(len(wanted)) * together + place  # (W,)
            symbols[wanted[is_found]] = tried[rows[is_found]]
            self._tried += int(torch.where(is_found, place + 1, together).sum())
            self._accepted += int(is_found.sum())
            wanted = wanted[~is_found]
            attempt += together
        if self._once:
            tried_once = [self._prefix + name for name in self._writer.names(symbols)]
            for rejected in wanted.tolist():
                tried_once[rejected] = REJECTED
            return tried_once
        found = count if not len(wanted) else int(wanted.min())
        names_found = [self._prefix + name for name in self._writer.names(symbols[:found])]
        if len(wanted):
            raise TooFewAcceptedError(names_found, self._tries, self._accepted, self._tried)
        return names_found

    def _parts(self, *arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
        size = CACHED_NAMES if self._has_cache else 8192
        yield from zip(*(array.split(size) for array in arrays), strict=True)

    def _try(self, seed: int, samples: Tensor, attempts: Tensor) -> Tensor:
        """Draw samples (A,) of the seed's stream once, by tries number (A,).

        Returns:
            (A, L): the symbols of each, then zeros; -1 alone where it was rejected.

        """
        distribution = CachedDistribution(self._direct) if self._has_cache else self._direct
        rejection = self._next.shape[1]  # the symbol behind all others
        symbols = torch.zeros(len(samples), self._letters + 1, dtype=torch.int64)  # (A, L)
        active = torch.arange(len(samples))  # (A',), the rows not ended yet
        states = torch.zeros_like(active)  # (A',)
        places = torch.zeros_like(active)  # (A',), among the beginnings
        contexts = self._start.expand(len(active), -1)  # (A', block_size)
        uniforms: list[Tensor] = []
        step = 0
        while len(active):
            if step % WORDS_PER_BLOCK == 0:
                uniforms = uniform_block(seed, samples[active], step // WORDS_PER_BLOCK, attempts[active])
            cumulative = self._beginnings.cumulative[places.clamp(min=0)]  # (A', V + 1)
            if step > 0:  # the start is among the beginnings
                probabilities = distribution.probabilities(contexts.to(self._direct.device)).cpu()  # (A', V)
                rows = self._rows(probabilities, states, step)  # (A', V + 1)
                cumulative = torch.where((places >= 0)[:, None], cumulative, rows)
            drawn = (cumulative <= uniforms.pop(0)[:, None]).sum(dim=1)  # (A',)
            symbols[active, step] = drawn
            symbols[active[drawn == rejection]] = -1
            going_on = ((drawn != 0) & (drawn != rejection)).nonzero().squeeze(1)  # (A'',)
            if isinstance(distribution, CachedDistribution) and step > 0:
                distribution.keep(going_on.to(self._direct.device))
            drawn, active = drawn[going_on], active[going_on]
            places = places[going_on]
            places = torch.where(places >= 0, self._beginnings.child[places.clamp(min=0), drawn], -1)
            states = self._next[states[going_on], drawn]
            contexts = torch.cat([contexts[going_on][:, 1:], drawn[:, None]], dim=1)
            uniforms = [uniform[going_on] for uniform in uniforms]
            step += 1
        return symbols

    def _rows(self, probabilities: Tensor, states: Tensor, step: int) -> Tensor:
        """Sum the probabilities of the symbols after which a name can be accepted; the rest is a rejection."""
        goes_on = self._next[states] >= 0  # (A, V)
        if step >= self._letters:
            goes_on = torch.zeros_like(goes_on)
        goes_on[:, 0] = self._accepts[states]
        cumulative = (probabilities * goes_on).cumsum(dim=1)  # (A, V)
        total = cumulative[:, -1:] + (probabilities * ~goes_on).sum(dim=1, keepdim=True)  # (A, 1)
        return torch.cat([cumulative / total, torch.ones_like(total)], dim=1)  # (A, V + 1)


def _context(direct: ModelDistribution, symbols: list[int]) -> Tensor:
    """Return the context behind some symbols: (1, block_size)."""
    padded = [0] * direct.block_size + symbols
    return torch.tensor([padded[len(symbols) :]], dtype=torch.int64, device=direct.device)


def _probability_table(direct: ModelDistribution) -> Tensor:
    """Ask the model for all contexts: (C, V)."""
    vocab_size, block_size = direct.vocab_size, direct.block_size
    powers = torch.tensor([vocab_size**place for place in reversed(range(block_size))], device=direct.device)
    chunks = []
    for numbers in torch.arange(vocab_size**block_size, device=direct.device).split(_TABLE_CHUNK):
        chunks.append(direct.probabilities(numbers[:, None] // powers % vocab_size).cpu())
    return torch.cat(chunks)
