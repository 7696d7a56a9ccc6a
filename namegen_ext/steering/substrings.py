"""The automata of demands on the length of names and on what they hold.

Source: A. V. Aho, M. J. Corasick, "Efficient string matching: an aid to bibliographic search", Communications of the
    ACM 18 (6), 1975: the automaton of many texts.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Collection, Sequence

import numpy as np

from namegen_ext.steering.automaton import Automaton, every_name


def at_least(letters: int, vocab_size: int) -> Automaton:
    """Return the automaton of the names of so many letters or more."""
    following = np.minimum(np.arange(letters + 1) + 1, letters)  # (S,)
    return Automaton(
        _links(np.repeat(following[:, None], vocab_size, axis=1)), np.arange(letters + 1) == letters
    )


def none_of(symbols: Collection[int], vocab_size: int) -> Automaton:
    """Return the automaton of the names without some symbols."""
    automaton = every_name(vocab_size)
    automaton.next[:, list(symbols)] = -1
    return automaton


def ending_with(symbols: Sequence[int], vocab_size: int) -> Automaton:
    """Return the automaton of the names that end with some symbols."""
    found, hits = _search([symbols], vocab_size)
    return Automaton(_links(found), hits)


def holding(symbols: Sequence[int], vocab_size: int) -> Automaton:
    """Return the automaton of the names that hold some symbols, one behind another."""
    found, hits = _search([symbols], vocab_size)
    found[hits] = np.flatnonzero(hits)[:, None]  # there is one such state, and it is not left
    return Automaton(_links(found), hits)


def holding_none(texts: Collection[str], symbols: Sequence[str]) -> Automaton:
    """Return the automaton of the names that hold none of some texts, in any case.

    Args:
        texts: what no name is to hold.
        symbols: the letters of the vocabulary, from number 1 on.

    """
    folded_symbols = [symbol.casefold() for symbol in symbols]  # of one character each, or of more
    characters = sorted(set("".join(folded_symbols)))
    number = {character: index for index, character in enumerate(characters, start=1)}
    sought = {
        tuple(number[character] for character in form)
        for text in texts
        for form in _forms(text)
        if number.keys() >= set(form)  # else no name can hold it
    }
    found, hits = _search(sorted(sought), len(characters) + 1)
    found[hits] = -1
    padded = np.concatenate([found, np.full((1, found.shape[1]), -1)])  # the last row is that of -1
    columns = [np.full(len(found), -1)]
    for folded in folded_symbols:
        states = np.arange(len(found))
        for character in folded:
            states = padded[states, number[character]]
            states = np.where(states >= 0, np.where(hits[states], -1, states), -1)
        columns.append(states)
    return Automaton(_links(np.stack(columns, axis=1)), ~hits)


def _forms(text: str) -> set[str]:
    """Return a text without case, as it stands and with its accents written in either way."""
    forms = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")} | {text}
    return {form.casefold() for form in forms}


def _links(following: np.ndarray) -> np.ndarray:
    links = following.astype(np.int32)
    links[:, 0] = -1
    return links


def _search(texts: Collection[Sequence[int]], vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Build the automaton that looks for texts: the states behind each symbol (S, V), and whether one ends there (S,).

    A state is the longest beginning of a text that ends what was read.
    """
    children: list[dict[int, int]] = [{}]
    hits = [False]
    for text in texts:
        state = 0
        for symbol in text:
            if symbol not in children[state]:
                children[state][symbol] = len(children)
                children.append({})
                hits.append(False)
            state = children[state][symbol]
        hits[state] = True
    following = np.zeros((len(children), vocab_size), dtype=np.int64)
    shorter = [0] * len(children)  # the longest other state that ends a state
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        if state:
            following[state] = following[shorter[state]]
            hits[state] = hits[state] or hits[shorter[state]]
        for symbol, child in children[state].items():
            shorter[child] = int(following[state, symbol])  # what it would be without the child
            following[state, symbol] = child
            waiting.append(child)
    return following, np.array(hits)
