"""A network that has learnt the names that come with the package, to start from where a list is short.

It knows the letters a to z. A list's own symbols take over what its letters have learnt: capitals and letters with
accents that of the letter beneath, all others start anew.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import nn

from namegen_ext.data import Vocabulary, load_words
from namegen_ext.data.categories import is_marked, mark_of, without_mark
from namegen_ext.fitting.held_out import Examples
from namegen_ext.fitting.networks import Network, train_network

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_STEPS = 20_000
_BATCH_SIZE = 32
_LEARNING_RATE = 0.003
# A symbol that shares its letter with others, as é does with e, is rarer than the letter.
_RARER = 2.0


def base_letter(symbol: str) -> str | None:
    """Return the letter a to z beneath a symbol: e for E and é; None where there is none."""
    letter = unicodedata.normalize("NFD", symbol.casefold())[:1]
    return letter if letter in _LETTERS else None


def share_of_known_letters(words: Iterable[str]) -> float:
    """Tell how many of the characters of words have a letter that pre-training knows: 0 to 1."""
    known = total = 0
    for word in map(without_mark, words):
        known += sum(base_letter(symbol) is not None for symbol in word)
        total += len(word)
    return known / max(total, 1)


def pretrain(
    network: Network, without: Iterable[str], seed: int, *, has_categories: bool = False
) -> nn.Module:
    """Train a network on the census's first names and surnames.

    Args:
        network: which one.
        without: names that it is not to see: those of the list, so that none of them is known beforehand.
        seed: of its weights and minibatches.
        has_categories: whether it is to learn the categories of a list later. The names of the package are of one.

    """
    unseen = {without_mark(word).casefold() for word in without}
    letters = set(_LETTERS)
    words = [word.casefold() for name in ("census", "surnames") for word in load_words(name).words]
    words = [word for word in dict.fromkeys(words) if word not in unseen and letters.issuperset(word)]
    vocabulary = Vocabulary(_LETTERS)
    if has_categories:
        words = [mark_of(0) + word for word in words]
        vocabulary = Vocabulary(_LETTERS + mark_of(0))
    model = network.build(len(vocabulary), seed)
    examples = Examples.of(words, vocabulary, int(cast(Any, model).block_size))
    return train_network(
        model, examples, steps=_STEPS, batch_size=_BATCH_SIZE, learning_rate=_LEARNING_RATE, seed=seed
    )


@torch.no_grad()
def graft(pretrained: nn.Module, network: Network, vocabulary: Vocabulary, seed: int) -> nn.Module:
    """Make a network of a list's own symbols that starts from a pre-trained one.

    Args:
        pretrained: of :func:`pretrain`.
        network: which one.
        vocabulary: the list's symbols.
        seed: of the weights of symbols without a letter.

    """
    model = network.build(len(vocabulary), seed)
    own, learnt = model.state_dict(), pretrained.state_dict()
    embedding, *between, weight, bias = own
    for name in between:
        own[name].copy_(learnt[name])
    rows = {0: 0} | {
        number: ord(letter) - ord("a") + 1
        for number, symbol in enumerate(vocabulary.symbols, start=1)
        if (letter := base_letter(symbol)) is not None
    }
    marks = [number for number, symbol in enumerate(vocabulary.symbols, start=1) if is_marked(symbol)]
    rows |= dict.fromkeys(marks, len(_LETTERS) + 1)  # each category starts from the one that was learnt
    own[bias].fill_(float(learnt[bias].min()))
    for row, source in rows.items():
        for name in (embedding, weight, bias):
            own[name][row] = learnt[name][source]
        if row > 0 and vocabulary.symbols[row - 1] not in _LETTERS and row not in marks:
            own[bias][row] -= _RARER
    model.load_state_dict(own)
    return model
