from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.data import DataError, Splits, Vocabulary, build_windows, load_words, split_words
from namegen_ext.data.splits import torch_permutation


@given(words=st.lists(st.text("abc", max_size=3), min_size=6, max_size=60), seed=st.integers(0, 2**32))
def test_every_word_is_in_one_part(words: list[str], seed: int) -> None:
    before = list(words)
    splits = split_words(words, seed)
    assert words == before
    assert Counter(splits.train + splits.dev + splits.test) == Counter(words)
    assert len(splits.train) == int(0.8 * len(words))
    assert len(splits.train) + len(splits.dev) == int(0.9 * len(words))
    assert splits.train
    assert splits.dev
    assert splits.test
    assert splits == split_words(words, seed)


@given(words=st.lists(st.text("ab", min_size=1, max_size=3), min_size=6, max_size=60))
def test_unseen_words_are_those_outside_train(words: list[str]) -> None:
    splits = split_words(words)
    assert splits.unseen_dev == [word for word in splits.dev if word not in splits.train]
    assert splits.unseen_test == [word for word in splits.test if word not in splits.train]


def test_unseen_words_keep_their_order_and_repeats() -> None:
    splits = Splits(train=["a", "b"], dev=["c", "a", "d", "c"], test=["b", "b", "e"])
    assert splits.unseen_dev == ["c", "d", "c"]
    assert splits.unseen_test == ["e"]


def test_the_shuffle_is_the_same_in_every_version_of_python() -> None:
    # random.Random(42).shuffle of 0 to 9, as CPython 3.2 and all later versions give it.
    splits = split_words([str(number) for number in range(10)], seed=42)
    assert splits.train == ["7", "3", "2", "8", "5", "6", "9", "4"]
    assert splits.dev == ["0"]
    assert splits.test == ["1"]


def test_other_seeds_give_other_splits() -> None:
    words = [str(number) for number in range(100)]
    assert split_words(words) == split_words(words, seed=42)
    assert split_words(words, seed=1) != split_words(words, seed=2)


def test_global_generator_is_left_alone() -> None:
    state = random.getstate()
    split_words([str(number) for number in range(100)])
    assert random.getstate() == state


def test_lecture_split(names_file: Path) -> None:
    words = load_words(names_file).words
    assert len(words) == 32_033
    assert len(words) - len(set(words)) == 2_539
    splits = split_words(words)
    # The lecture on WaveNet prints the first eight words after the shuffle.
    assert splits.train[:8] == [
        "yuheng",
        "diondre",
        "xavien",
        "jori",
        "juanluis",
        "erandi",
        "phia",
        "samatha",
    ]
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [25_626, 3_203, 3_204]
    # 13.2% and 11.8% of the dev and test names stand in the training part too.
    assert round(1 - len(splits.unseen_dev) / len(splits.dev), 3) == 0.132
    assert round(1 - len(splits.unseen_test) / len(splits.test), 3) == 0.118
    vocabulary = Vocabulary.from_words(words)
    assert len(vocabulary) == 27
    # The lecture prints the counts of examples.
    counts = [len(build_windows(part, vocabulary, 3)[1]) for part in (splits.train, splits.dev, splits.test)]
    assert counts == [182_625, 22_655, 22_866]


@pytest.mark.parametrize("num_words", [0, 1, 5])
def test_too_few_words(num_words: int) -> None:
    needed = "a split into train, dev and test words needs at least 6 words"
    told = f'{needed}, but got {num_words}; --split all (split="all") trains on all of them'
    with pytest.raises(DataError, match=re.escape(told)):
        split_words(["anna"] * num_words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("annabel",), "words must be a list of strings, but got the string 'annabel'"),
        ((["a"] * 6, "42"), "seed must be an integer, but got '42'"),
        ((["a"] * 6, 4.2), r"seed must be an integer, but got 4\.2"),
        ((["a"] * 6, None), "seed must be an integer, but got None"),
    ],
)
def test_arguments_of_other_types(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        split_words(*arguments)


def test_all_words_to_train_on() -> None:
    words = ["b", "a", "b"]
    splits = split_words(words, scheme="all")
    assert splits.train == words
    assert splits.train is not words
    assert splits.dev == splits.test == []


@pytest.mark.parametrize(("num_words", "num_test"), [(6, 1), (25, 2), (5000, 500), (12_000, 1000)])
def test_the_split_of_makemore(num_words: int, num_test: int) -> None:
    words = [str(number) for number in range(num_words)]
    before = torch.get_rng_state()
    splits = split_words(words, seed=3407, scheme="makemore")
    assert torch.equal(torch.get_rng_state(), before)
    # As its author's program does it, with torch's global generator.
    with torch.random.fork_rng():
        torch.manual_seed(3407)
        order = torch.randperm(num_words).tolist()
    assert splits.train == [words[index] for index in order[:-num_test]]
    assert splits.test == [words[index] for index in order[-num_test:]]
    assert splits.dev == []


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="scheme must be one of 80-10-10, makemore, all, but got 'half'"):
        split_words(["a"] * 10, scheme="half")


@pytest.mark.parametrize("n", [0, 1, 2, 3, 6, 27, 623, 624, 625, 1000, 5163, 32_033])
@pytest.mark.parametrize("seed", [0, 1, 42, 3407, 2**31, 2**32 - 1, 2**32, 2**40 + 5, 2**63, 2**64 - 1])
def test_the_permutation_is_that_of_torch(n: int, seed: int) -> None:
    expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    assert torch_permutation(n, seed) == expected


@given(n=st.integers(0, 2000), seed=st.integers(0, 2**64 - 1))
def test_the_permutation_is_that_of_torch_for_any_seed(n: int, seed: int) -> None:
    expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    assert torch_permutation(n, seed) == expected
