"""What all counting models share: the mean negative log-likelihood, and sampling."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from namegen_reference.words import END_MARKER, WordsError, alphabet_of, check_alphabet, check_words, windows

Model = TypeVar("Model", bound="CountingModel")

# A sampled word is cut at this length. A model that was fitted on a word list ends its words much sooner.
MAX_LENGTH = 1000


class CountingModel(ABC):
    """A model that gives the next symbol a probability, which depends on the ``context`` symbols before it.

    Args:
        context: the number of symbols before; 0 or more.
        alphabet: the characters, without the end marker; None takes the characters of the fitted words.

    Attributes:
        symbols: after ``fit``, the end marker and the characters. For a to z these are 27.

    """

    def __init__(self, context: int, alphabet: str | None) -> None:
        self.context = context
        self.alphabet = alphabet
        self.symbols: str = ""

    def fit(self: Model, words: Sequence[str]) -> Model:
        """Count the words, and return the model itself. The counts of an earlier call are forgotten.

        Raises:
            TypeError: ``words`` is one string.
            WordsError: there are no words, or a word holds a character that is not in the alphabet.

        """
        alphabet = alphabet_of(words) if self.alphabet is None else self.alphabet
        check_words(words, alphabet)
        check_alphabet(alphabet)
        self.symbols = END_MARKER + alphabet
        self._count(words)
        return self

    @abstractmethod
    def _count(self, words: Sequence[str]) -> None:
        """Count the words, starting with no counts."""

    @abstractmethod
    def probability(self, history: str, symbol: str) -> float:
        """Return P(symbol | history).

        Args:
            history: the last ``context`` symbols. End markers stand for those before the beginning of a word.
            symbol: a character of the alphabet, or the end marker.

        """

    def probabilities(self, history: str) -> list[float]:
        """Return the probability of each of ``symbols`` after a history. They sum to 1."""
        return [self.probability(history, symbol) for symbol in self.symbols]

    def nll(self, words: Sequence[str]) -> float:
        """Return the mean negative log-likelihood per character, in nats. The end of a word counts as a character.

        It is infinite where something occurs that the model gives the probability 0.

        Raises:
            WordsError: there are no words, or a word holds a character that is not in the alphabet.

        """
        if not self.symbols:
            raise WordsError("the model has not been fitted: call fit(words) first")
        check_words(words, self.symbols[1:])
        losses = []
        for word in words:
            for history, symbol in windows(word, self.context):
                probability = self.probability(history, symbol)
                losses.append(-math.log(probability) if probability > 0 else math.inf)
        return math.fsum(losses) / len(losses)

    def sample(self, rng: random.Random) -> str:
        """Draw a word, symbol by symbol, until its end."""
        history, word = END_MARKER * self.context, ""
        while len(word) < MAX_LENGTH:
            (symbol,) = rng.choices(self.symbols, self.probabilities(history))
            if symbol == END_MARKER:
                break
            word += symbol
            history = (history + symbol)[1:] if self.context else ""
        return word
