"""The automaton of all that is asked of names, for the symbols of one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from namegen_ext.data import Vocabulary
from namegen_ext.data.data_errors import shorten
from namegen_ext.steering.automaton import Automaton, TooManyStatesError, both
from namegen_ext.steering.constraints import Constraints
from namegen_ext.steering.regular_expressions import PatternError, pattern_automaton
from namegen_ext.steering.steering_errors import ConstraintError, NoNameError, UnknownLetterError
from namegen_ext.steering.substrings import at_least, ending_with, holding, holding_none, none_of


@dataclass(frozen=True)
class Demand:
    """What must stand behind the prefix of a name.

    Attributes:
        automaton: accepts it. Only states that an accepted name comes to are left.
        letters: it has at most so many letters.
        description: of what was asked for.

    Example:
        >>> demand_of(Constraints(match="a.*"), Vocabulary("ab"), prefix="a", max_length=9).letters
        8

    """

    automaton: Automaton
    letters: int
    description: str


def demand_of(
    constraints: Constraints,
    vocabulary: Vocabulary,
    *,
    prefix: str = "",
    max_length: int,
) -> Demand:
    """Make the automaton of constraints.

    Args:
        constraints: what names are to be.
        vocabulary: the symbols.
        prefix: stands at the start of each name; letters of the vocabulary.
        max_length: no name has more letters, where the constraints give no number.

    Raises:
        ValueError: a value cannot be, or no name can meet all constraints; the message says which.

    Example:
        >>> demand = demand_of(Constraints(suffix="a", max_length=3), Vocabulary("ab"), max_length=64)
        >>> demand.automaton.accepts([2, 1]), demand.automaton.accepts([1, 2]), demand.letters
        (True, False, 3)

    """
    vocab_size = len(vocabulary)
    longest = constraints.max_length or max_length
    wanted = constraints.describe() + (f" and prefix {shorten(prefix)}" if prefix else "")
    nothing = NoNameError(f"no name of at most {longest:,} letters can have {wanted}")
    try:
        automaton = at_least(1, vocab_size)
        if constraints.min_length is not None:
            if constraints.min_length > longest:
                raise nothing
            automaton = at_least(constraints.min_length, vocab_size)
        for name, make in (("suffix", ending_with), ("contains", holding)):
            text = getattr(constraints, name)
            if text:
                symbols = _encoded(text, vocabulary, name)
                automaton = both(automaton, make(symbols, vocab_size))
        if constraints.without:
            known = set(constraints.without) & set(vocabulary.symbols)
            automaton = both(
                automaton, none_of([vocabulary.encode(letter)[0] for letter in known], vocab_size)
            )
        if constraints.match is not None:
            automaton = both(automaton, _matching(constraints.match, vocabulary, constraints.ignore_case))
        if constraints.avoid:
            automaton = both(automaton, holding_none(tuple(constraints.avoid), vocabulary.symbols))
    except TooManyStatesError as error:
        raise ValueError(
            f"{wanted}: the automaton of these together would have {error}; ask for less"
        ) from None
    state = automaton.after(vocabulary.encode(prefix))
    letters = longest - len(prefix)
    if state < 0 or letters < 0:
        raise nothing
    automaton = automaton.starting_at(state).pruned(letters)
    letters = automaton.longest(letters)
    if letters < 0:
        raise nothing
    return Demand(automaton.minimal(), letters, wanted)


def _encoded(text: str, vocabulary: Vocabulary, name: str) -> list[int]:
    unknown = sorted(set(text) - set(vocabulary.symbols))
    if unknown:
        raise UnknownLetterError(
            name,
            "must be made of letters that the model knows "
            f"({shorten(''.join(vocabulary.symbols), 60)[1:-1]}), but got {shorten(text)} with "
            f"{', '.join(map(repr, unknown[:10]))}",
        )
    return vocabulary.encode(text)


def _matching(pattern: str, vocabulary: Vocabulary, ignore_case: bool) -> Automaton:
    try:
        return pattern_automaton(pattern, vocabulary.symbols, ignore_case=ignore_case)
    except PatternError as error:
        raise ConstraintError(
            "match", f"must be a regular expression, but got {shorten(pattern)}: {error}"
        ) from None
