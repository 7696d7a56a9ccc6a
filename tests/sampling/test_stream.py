from __future__ import annotations

from itertools import islice

import pytest
from torch import nn

from namegen_ext.data import Vocabulary
from namegen_ext.sampling import SampleCounts, SamplingError, iter_names, sample_names
from namegen_ext.sampling.plan import Backend


def select_slowly(
    drawn: list[str], n: int, training_names: set[str], novel: bool, unique: bool
) -> tuple[list[str], SampleCounts]:
    """The definition, with everything drawn beforehand."""
    kept: list[str] = []
    for position, name in enumerate(drawn, start=1):
        if novel and name in training_names:
            continue
        if unique and name in drawn[: position - 1]:
            continue
        kept.append(name)
        if len(kept) == n:
            break
    seen = drawn[:position]
    counts = SampleCounts(
        names=len(kept),
        new=sum(name not in training_names for name in kept),
        drawn=len(seen),
        drawn_new=sum(name not in training_names for name in seen),
        drawn_distinct=len(set(seen)),
    )
    return kept, counts


@pytest.fixture
def drawn(model: nn.Module, vocabulary: Vocabulary) -> list[str]:
    return sample_names(model, vocabulary, 3000, seed=12, method="table")


@pytest.mark.parametrize("novel", [False, True])
@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("n", [1, 255, 500])
@pytest.mark.parametrize("backend", ["native", "python"])
def test_agrees_with_the_definition(
    model: nn.Module,
    vocabulary: Vocabulary,
    drawn: list[str],
    novel: bool,
    unique: bool,
    n: int,
    backend: Backend,
) -> None:
    training_names = set(drawn[::3])
    expected, counts = select_slowly(drawn, n, training_names, novel, unique)
    assert len(expected) == n  # 3,000 names are enough to draw from
    for batch_size in (8192, 100, 1):
        stream = iter_names(
            model,
            vocabulary,
            n,
            seed=12,
            method="table",
            training_names=training_names,
            novel=novel,
            unique=unique,
            count_distinct=True,
            batch_size=batch_size,
            backend=backend,
        )
        assert list(stream) == expected
        assert stream.counts == counts
    if novel or unique:
        assert counts.drawn > counts.names or n == 1  # the filters had something to leave out


def test_distinct_names_are_counted_only_when_asked_for(model: nn.Module, vocabulary: Vocabulary) -> None:
    stream = iter_names(model, vocabulary, 100, seed=1)
    assert len(list(stream)) == 100
    assert stream.counts == SampleCounts(names=100, new=100, drawn=100, drawn_new=100, drawn_distinct=None)


def test_unique_gives_up_when_there_are_no_more(model: nn.Module, vocabulary: Vocabulary) -> None:
    # max_length 1 leaves one name per letter: five.
    stream = iter_names(model, vocabulary, 6, seed=1, max_length=1, unique=True, patience=2000)
    found = list(islice(stream, 5))
    assert sorted(found) == list(vocabulary.symbols)
    with pytest.raises(SamplingError, match=r"found only 5 of 6 unique names: the last 2,000 of") as caught:
        next(stream)
    assert "\n" not in str(caught.value)
    assert stream.counts.names == 5
    assert stream.counts.drawn_distinct == 5
    assert list(stream) == []


def test_novel_gives_up_when_all_is_known(model: nn.Module, vocabulary: Vocabulary) -> None:
    known = list(vocabulary.symbols)
    with pytest.raises(SamplingError, match=r"found only 0 of 3 novel names: the last 50 of 50 drawn"):
        sample_names(
            model, vocabulary, 3, seed=1, max_length=1, novel=True, training_names=known, patience=50
        )


@pytest.mark.parametrize("backend", ["native", "python"])
def test_patience_counts_names_in_a_row(
    model: nn.Module, vocabulary: Vocabulary, drawn: list[str], backend: Backend
) -> None:
    training_names = set(drawn[::3])
    longest_run = run = 0
    kept, counts = select_slowly(drawn, 400, training_names, novel=True, unique=True)
    wanted = set(kept)
    for name in drawn[: counts.drawn]:
        run = 0 if name in wanted else run + 1
        wanted.discard(name)
        longest_run = max(longest_run, run)
    assert longest_run > 1

    def draw(patience: int) -> list[str]:
        return sample_names(
            model,
            vocabulary,
            400,
            seed=12,
            method="table",
            training_names=training_names,
            novel=True,
            unique=True,
            patience=patience,
            backend=backend,
        )

    assert draw(longest_run + 1) == kept
    with pytest.raises(SamplingError, match="novel and unique names"):
        draw(longest_run)


def test_streams_without_drawing_ahead(model: nn.Module, vocabulary: Vocabulary) -> None:
    stream = iter_names(model, vocabulary, 10**12, seed=1, batch_size=10, method="table")
    first = list(islice(stream, 25))
    assert first == sample_names(model, vocabulary, 25, seed=1, method="table")
    assert stream.counts.drawn == 30  # three batches of ten, not a million million
