from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.data import Vocabulary
from namegen_ext.models import Bigram
from namegen_ext.sampling import sample_names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "n must be an integer of at least 0, but got -1"),
        ({"n": 2.5}, "n must be an integer of at least 0, but got 2.5"),
        ({"n": True}, "n must be an integer of at least 0, but got True"),
        ({"temperature": 0}, "temperature must be a finite number above 0 .*top-k 1.*, but got 0"),
        ({"temperature": -0.5}, "temperature must be .* but got -0.5"),
        ({"temperature": math.nan}, "temperature must be .* but got nan"),
        ({"temperature": math.inf}, "temperature must be .* but got inf"),
        ({"temperature": "hot"}, "temperature must be .* but got 'hot'"),
        ({"top_k": 0}, "top_k must be an integer from 1 to 6 .* but got 0"),
        ({"top_k": 7}, "top_k must be an integer from 1 to 6 .* but got 7"),
        ({"top_k": 1.0}, "top_k must be an integer from 1 to 6 .* but got 1.0"),
        ({"prefix": "abz"}, r"prefix must be made of letters .*\(abcde\), but got 'abz' with 'z'"),
        ({"prefix": "a."}, r"prefix must be made of letters .* but got 'a\.' with '\.'"),
        ({"prefix": 3}, "prefix must be a string, but got 3"),
        (
            {"prefix": "abc", "max_length": 3},
            r"prefix must be shorter than .* \(3 letters\), but got 3 letters",
        ),
        ({"seed": -1}, r"seed must be an integer from 0 to 2\*\*64 - 1, but got -1"),
        ({"seed": 2**64}, "seed must be an integer from 0 to .* but got 18446744073709551616"),
        ({"seed": 0.5}, "seed must be an integer from 0 to .* but got 0.5"),
        ({"max_length": 0}, "max_length must be an integer of at least 1, but got 0"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, but got 0"),
        ({"patience": 0}, "patience must be an integer of at least 1, but got 0"),
        ({"block_size": 0}, "block_size must be an integer of at least 1, but got 0"),
        ({"method": "fast"}, "method must be one of auto, direct, table, but got 'fast'"),
    ],
)
def test_bad_arguments_are_named(
    model: nn.Module, vocabulary: Vocabulary, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        sample_names(model, vocabulary, **{"n": 3, "seed": 0, **arguments})
    assert "\n" not in str(caught.value)


def test_the_extremes_that_are_allowed(model: nn.Module, vocabulary: Vocabulary) -> None:
    assert sample_names(model, vocabulary, 0) == []
    assert len(sample_names(model, vocabulary, 2, seed=2**64 - 1, top_k=6, prefix="ab", max_length=3)) == 2


def test_a_model_without_block_size_must_be_told(vocabulary: Vocabulary) -> None:
    model = nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(6, 6))
    with pytest.raises(ValueError, match=r"^block_size must be given for a model that has no attribute"):
        sample_names(model, vocabulary, 3)
    assert len(sample_names(model, vocabulary, 3, block_size=2)) == 3


@pytest.mark.parametrize("backend", ["native", "python"])
@pytest.mark.parametrize("learnt", ["b\u00e1", "ba\u0301"])
@pytest.mark.parametrize("asked", ["\u00e1", "a\u0301"])
def test_a_prefix_is_found_however_its_accents_are_written(asked: str, learnt: str, backend: Any) -> None:
    vocabulary = Vocabulary(sorted(set(learnt)))
    model = Bigram(len(vocabulary), generator=torch.Generator().manual_seed(1))
    names = sample_names(model, vocabulary, 20, seed=1, prefix=asked, backend=backend, max_length=9)
    found = "\u00e1" if "\u00e1" in learnt else "a\u0301"
    assert all(name.startswith(found) for name in names)
    assert max(map(len, names)) <= 9


def test_letters_that_look_alike_are_told_by_their_code_points() -> None:
    vocabulary = Vocabulary("ab")
    with pytest.raises(ValueError, match=r"with '\u0430' \(U\+0430\)"):  # the Cyrillic one
        sample_names(Bigram(3), vocabulary, 1, prefix="\u0430")
