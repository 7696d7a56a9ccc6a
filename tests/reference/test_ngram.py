"""The counting models: against torch, against their own definition, and against the published figures."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.data import Vocabulary, build_windows
from namegen_reference.ngram import AddK, CountingModel, KneserNey, WittenBell
from namegen_reference.ngram.__main__ import main
from namegen_reference.words import END_MARKER, WordsError, read_words, split_words

WORDS = ["emma", "olivia", "ava", "mia", "emma", "eve", "lia"]
OTHERS = ["evi", "ola", "mmm", ""]
ALPHABET = "aeilmov"

# Sums of doubles in two orders of at most a few hundred thousand terms of the size of 1 differ by less than
# 1e-10 of their mean (n * 2^-53 * n / n); the issue at hand is the arithmetic, so a looser bound would do too.
TOLERANCE = 1e-9


def torch_add_k(order: int, k: float, train: list[str], test: list[str], alphabet: str) -> float:
    """The mean nll of add-k counts by tensor operations in doubles, on the package's windows."""
    vocabulary = Vocabulary(alphabet)
    size = len(vocabulary)

    def rows(words: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, targets = build_windows(words, vocabulary, max(order - 1, 1))  # (n, context), (n,)
        place = size ** torch.arange(order - 1)  # (order - 1,)
        context = (tokens[:, : order - 1] * place).sum(1)  # (n,) the history as one number
        return context, targets

    context, targets = rows(train)
    counts = torch.zeros(size ** (order - 1), size, dtype=torch.float64)  # (V^(order-1), V)
    counts.index_put_((context, targets), torch.ones(len(targets), dtype=torch.float64), accumulate=True)
    probabilities = (counts + k) / (counts + k).sum(1, keepdim=True)  # (V^(order-1), V)
    context, targets = rows(test)
    return -probabilities[context, targets].log().mean().item()


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("k", [0.1, 1, 3.5])
def test_add_k_equals_torch(order: int, k: float) -> None:
    expected = torch_add_k(order, k, WORDS, OTHERS, ALPHABET)
    assert AddK(order, k, ALPHABET).fit(WORDS).nll(OTHERS) == pytest.approx(expected, abs=TOLERANCE)


def test_unsmoothed_counts_equal_torch() -> None:
    expected = torch_add_k(2, 0, WORDS, WORDS, ALPHABET)
    assert AddK(2, 0).fit(WORDS).nll(WORDS) == pytest.approx(expected, abs=TOLERANCE)


def test_what_never_occurred_is_impossible_without_smoothing() -> None:
    model = AddK(2, 0, ALPHABET).fit(WORDS)
    assert model.nll(["oo"]) == math.inf
    assert AddK(3, 0, ALPHABET).fit(WORDS).probabilities("oo") == [1 / 8] * 8  # an unknown history: uniform


def witten_bell(train: list[str], history: str, symbol: str, num_symbols: int) -> float:
    """P(symbol | history), read off the recursive definition; counts by searching the padded words."""
    padded = [END_MARKER * 4 + word + END_MARKER for word in train]
    # A history of n symbols is looked for before each symbol after the padding.
    followers = [
        word[place]
        for word in padded
        for place in range(4, len(word))
        if word[place - len(history) : place] == history
    ]
    shorter = witten_bell(train, history[1:], symbol, num_symbols) if history else 1 / num_symbols
    distinct = len(set(followers))
    if not followers:
        return shorter
    return (followers.count(symbol) + distinct * shorter) / (len(followers) + distinct)


@pytest.mark.parametrize("context", [0, 1, 2, 4])
def test_witten_bell_is_its_definition(context: int) -> None:
    model = WittenBell(context, ALPHABET).fit(WORDS)
    histories = {"...."[:context], "emma"[:context], "..em"[4 - context :], "lvlv"[:context]}
    for history in histories:
        for symbol in END_MARKER + ALPHABET:
            expected = witten_bell(WORDS, history, symbol, 8)
            assert model.probability(history, symbol) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("make", [lambda: AddK(3, 0.2), lambda: AddK(1, 0), lambda: WittenBell(3)])
def test_probabilities_sum_to_one(make: Callable[[], CountingModel]) -> None:
    model = make().fit(WORDS)
    for history in itertools.product(model.symbols, repeat=model.context):
        probabilities = model.probabilities("".join(history))
        assert math.fsum(probabilities) == pytest.approx(1, abs=1e-12)  # 8 roundings of 2^-53
        assert min(probabilities) >= 0


@given(words=st.lists(st.text("ab", max_size=4), min_size=1, max_size=10).filter(any))
def test_fitting_again_forgets(words: list[str]) -> None:
    model = WittenBell(2, "abc").fit(["cab", "abba"]).fit(words)
    assert model.nll(["abc"]) == WittenBell(2, "abc").fit(words).nll(["abc"])


def test_samples_follow_the_probabilities() -> None:
    # After "a" comes "b" or the end, 2 : 1; a binomial of 3000 draws leaves 5 standard deviations within 0.044.
    model = AddK(2, 0).fit(["ab", "ab", "a"])
    rng = random.Random(0)
    drawn = [model.sample(rng) for _ in range(3000)]
    assert set(drawn) == {"a", "ab"}
    assert drawn.count("ab") / 3000 == pytest.approx(2 / 3, abs=0.044)


def test_a_model_that_never_ends_is_cut() -> None:
    model = AddK(1, 0, "ab").fit(["a" * 2000])
    assert len(model.sample(random.Random(0))) <= 1000


def test_kneser_ney_by_hand() -> None:
    # "ab" and "bb", context 1. After "" every symbol counts once for each symbol before it: a (after the start), b
    # (after the start, a and b), the end (after b). After the start: a once, b once. After a: b once. After b: b once,
    # the end twice.
    model = KneserNey(1, discounts=(0.5, 0.75, 1.0), concentration=0.25, alphabet="ab").fit(["ab", "bb"])
    taken = 0.25 + 0.5 + 0.5 + 1.0  # theta, and the discounts of counts of 1, 1 and 3
    empty = {
        ".": (1 - 0.5 + taken / 3) / 5.25,
        "a": (1 - 0.5 + taken / 3) / 5.25,
        "b": (3 - 1 + taken / 3) / 5.25,
    }
    after_b = {
        ".": (2 - 0.75 + (0.25 + 1.25) * empty["."]) / 3.25,
        "a": (0.25 + 1.25) * empty["a"] / 3.25,
        "b": (1 - 0.5 + (0.25 + 1.25) * empty["b"]) / 3.25,
    }
    assert model.probabilities("b") == pytest.approx([after_b[symbol] for symbol in ".ab"], rel=1e-12)
    after_a = (1 - 0.5 + (0.25 + 0.5) * empty["b"]) / 1.25
    assert model.probability("a", "b") == pytest.approx(after_a, rel=1e-12)


@pytest.mark.parametrize("context", [0, 1, 2, 5])
def test_kneser_ney_sums_to_1_after_every_history(context: int) -> None:
    model = KneserNey(context, alphabet=ALPHABET).fit(WORDS)
    for history in itertools.product(END_MARKER + ALPHABET[:3], repeat=context):
        assert math.fsum(model.probabilities("".join(history))) == pytest.approx(1, abs=1e-12)


def test_a_longer_context_of_kneser_ney_than_the_words_changes_nothing() -> None:
    losses = [KneserNey(context, alphabet=ALPHABET).fit(WORDS).nll(OTHERS) for context in (7, 8, 12)]
    assert losses[0] == losses[1] == losses[2]


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="order must be an integer of at least 1, but got 0"):
        AddK(0, 1)
    with pytest.raises(ValueError, match="k must be a finite number of at least 0, but got -1"):
        AddK(2, -1)
    with pytest.raises(ValueError, match="k must be a finite number of at least 0, but got nan"):
        AddK(2, math.nan)
    with pytest.raises(ValueError, match="context must be an integer of at least 0, but got -1"):
        WittenBell(-1)
    with pytest.raises(ValueError, match=r"context must be an integer of at least 0, but got 1\.5"):
        KneserNey(1.5)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"discounts must lie in \[0, 1\], \[0, 2\] and \[0, 3\], but got \(1.1, 1, 1\)"
    ):
        KneserNey(2, (1.1, 1, 1))
    with pytest.raises(ValueError, match="concentration must be a finite number of at least 0, but got -1"):
        KneserNey(2, concentration=-1)
    with pytest.raises(WordsError, match="the word 'xa' has 'x', but the alphabet is 'ab'"):
        AddK(2, 1, "ab").fit(["a", "xa"])
    with pytest.raises(WordsError, match="the word 'abc' has 'c', but the alphabet is 'ab'"):
        AddK(2, 1).fit(["ab"]).nll(["abc"])
    with pytest.raises(WordsError, match=r"alphabet must be distinct characters without '\.', but got 'aba'"):
        AddK(2, 1, "aba").fit(["a"])
    with pytest.raises(WordsError, match="words must hold at least one word"):
        AddK(2, 1).fit([])
    with pytest.raises(TypeError, match="words must be a list of strings, but got the string 'emma'"):
        AddK(2, 1).fit("emma")
    with pytest.raises(WordsError, match=r"call fit\(words\) first"):
        AddK(2, 1).nll(["a"])


def test_published_figures(names_file: Path) -> None:
    words = read_words(str(names_file))
    train, dev, test = split_words(words)
    assert [sum(len(word) + 1 for word in part) for part in (train, dev, test)] == [182625, 22655, 22866]

    def close(value: float, decimals: int) -> object:
        return pytest.approx(value, abs=0.5 * 10**-decimals + 1e-9)  # the published figures are rounded

    assert AddK(1, 0).fit(words).nll(words) == close(2.8227, 4)
    assert AddK(2, 0).fit(words).nll(words) == close(2.4540145, 7)
    assert AddK(2, 1).fit(words).nll(words) == close(2.454577, 6)
    bigram = AddK(2, 1).fit(train)
    assert [bigram.nll(part) for part in (train, dev, test)] == [
        close(2.4548, 4),
        close(2.4533, 4),
        close(2.4584, 4),
    ]
    four_gram = AddK(4, 0.1).fit(train)
    assert [four_gram.nll(part) for part in (dev, test)] == [close(2.1018, 4), close(2.1044, 4)]
    model = WittenBell(4).fit(train)
    assert [model.nll(part) for part in (dev, test)] == [close(2.0418, 4), close(2.0419, 4)]
    seen = set(train)
    assert model.nll([word for word in dev if word in seen]) == close(1.6787, 4)
    assert model.nll([word for word in dev if word not in seen]) == close(2.0926, 4)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS * 4), encoding="utf-8")
    assert main([str(path)]) == 0
    out = capsys.readouterr().out
    train, dev, _ = split_words(WORDS * 4)
    expected = WittenBell(4, ALPHABET).fit(train).nll(dev)
    (line,) = [line for line in out.splitlines() if line.startswith("Witten-Bell") and "." in line]
    assert f"{expected:.4f}" in line


def test_the_command_names_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main([str(tmp_path / "absent.txt")])
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "argument NAMES_FILE" in line
    assert "absent.txt: No such file" in line
