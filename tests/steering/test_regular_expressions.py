"""Regular expressions: the automaton of a pattern accepts what `re` matches, and what is not covered is refused."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namegen_ext.steering.regular_expressions import PatternError, pattern_automaton

SYMBOLS = "-/^abé"
TEXTS = ["".join(letters) for length in range(5) for letters in product(SYMBOLS, repeat=length)]

PATTERNS = [
    "", "a", "ab|b", "a/b", "-", r"a\-b", "[a-b]+", "[^a]*", r"[\w]+", r"\W+", r"[^\W]", r"\w*-",
    r"[\D]", "a{2}", "a{,2}b?", "a{1,}", "(a|b)*-", ".{2,3}", "[é-]", "é", "a*?", "a+?b", "a{1,2}?",
    "^a$", r"\^a", r"[\^-]+", "(?:a|)b", "[a^]*", r"\x61", r"\u0061b", "{", "a{b", "a{,}", "{}",
    "(?P<n>a|b){2}", "[]a]", "[^]a]", "(?i)A[^B]*", "(?i)[A-Z]+", "()", "((a))*b", "[ab]*a[ab]{2}",
    "x|a", "[0-9]*a", "(a*)*", "(|a)+", r"\.|a", "a|", r"[\]a]+", r"[\x61-b]+",
]  # fmt: skip


def accepts(pattern: str, text: str, symbols: str = SYMBOLS, *, ignore_case: bool = False) -> bool:
    automaton = pattern_automaton(pattern, symbols, ignore_case=ignore_case)
    return automaton.accepts([symbols.index(letter) + 1 for letter in text])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_accept_what_re_matches(pattern: str) -> None:
    automaton = pattern_automaton(pattern, SYMBOLS)
    compiled = re.compile(pattern)
    for text in TEXTS:
        found = automaton.accepts([SYMBOLS.index(letter) + 1 for letter in text])
        assert found == (compiled.fullmatch(text) is not None), text


PIECES = st.sampled_from(["a", "b", "é", "-", ".", "[ab]", "[^a]", r"\w", "(?:ab|b)", "(a|-)"])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "*?"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(PIECES, REPEATS).map("".join), max_size=4).map("".join), st.sampled_from(["", "|b*"])
)
def test_random_patterns_accept_what_re_matches(pattern: str, rest: str) -> None:
    automaton = pattern_automaton(pattern + rest, SYMBOLS)
    compiled = re.compile(pattern + rest)
    for text in TEXTS[::3]:
        found = automaton.accepts([SYMBOLS.index(letter) + 1 for letter in text])
        assert found == (compiled.fullmatch(text) is not None), text


def test_case_is_ignored_where_it_is_asked_for() -> None:
    assert accepts("A[^B]", "aa", ignore_case=True)
    assert not accepts("A[^B]", "ab", ignore_case=True)
    assert not accepts("A", "a")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "it is no regular expression: missing \\)"),
        ("a)", "it is no regular expression: unbalanced parenthesis"),
        ("[z-a]", "it is no regular expression: bad character range"),
        ("*a", "it is no regular expression: nothing to repeat"),
        ("[a", "it is no regular expression: unterminated character set"),
        ("\\", "it is no regular expression: bad escape"),
        (r"(a)\1", "it refers back to a group, with '\\\\1'"),
        ("(?P<n>a)(?P=n)", "it refers back to a group, with '\\(\\?P='"),
        ("(?=a)", "it looks ahead"),
        ("(?!a)", "it looks ahead"),
        ("(?<=a)b", "it looks back"),
        ("(?<!a)b", "it looks back"),
        (r"\ba", "it asks for a place with '\\\\b'"),
        (r"a\Z", "it asks for a place with '\\\\Z'"),
        ("a|^b", "'\\^' stands within it"),
        ("a$|b", "'\\$' stands within it"),
        ("(?s)a", "it has a group of a kind that is not covered"),
        ("(?#a)b", "it has a comment"),
        ("(a)(?(1)b|c)", "it asks for a group"),
        ("a{1001}", "it repeats more than 1,000 times"),
        ("a" * 2001, "it has 2,001 characters, more than 2,000"),
        (r"\0", "it has '\\\\0', which is not covered"),
    ],
)
def test_what_is_not_covered(pattern: str, message: str) -> None:
    with pytest.raises(PatternError, match=f"^{message}"):
        pattern_automaton(pattern, SYMBOLS)


@pytest.mark.skipif(not hasattr(re, "NOFLAG"), reason="`re` itself has these from Python 3.11 on")
@pytest.mark.parametrize("pattern", ["a*+", "a++", "a?+", "(?>a)b"])
def test_possessive_repetitions_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"possessive|atomic"):
        pattern_automaton(pattern, SYMBOLS)
