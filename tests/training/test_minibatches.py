"""Minibatch indices: the same from the seed, at any step, evenly drawn."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from namegen_ext.training import MinibatchIndices
from namegen_ext.training.minibatches import EpochIndices, WholeSetIndices


def test_shape_type_and_range() -> None:
    indices = MinibatchIndices(1, 7, 32).steps(0, 50)
    assert indices.shape == (50, 32)
    assert indices.dtype == torch.int64
    # Each of 7 values is missing from 1,600 draws with probability (6/7)**1600 < 1e-106.
    assert indices.unique().tolist() == list(range(7))


@pytest.mark.parametrize("batch_size", [5, 3000])  # 1,024 steps a block, and 349
def test_any_division_into_calls_gives_the_same(batch_size: int) -> None:
    whole = MinibatchIndices(3, 1000, batch_size).steps(0, 1100)
    parts = MinibatchIndices(3, 1000, batch_size)
    edges = [0, 1, 348, 350, 1023, 1024, 1100]
    pieces = [parts.steps(a, b) for a, b in pairwise(edges)]
    assert torch.equal(torch.cat(pieces), whole)


def test_any_step_can_be_read_first() -> None:
    forwards, directly = MinibatchIndices(3, 1000, 4), MinibatchIndices(3, 1000, 4)
    later = forwards.steps(0, 5005)[5000:]
    assert torch.equal(directly.steps(5000, 5005), later)
    assert torch.equal(directly.steps(0, 5), forwards.steps(0, 5))  # and back again


def test_no_steps() -> None:
    assert MinibatchIndices(3, 10, 4).steps(7, 7).shape == (0, 4)


def test_seeds_and_blocks_differ() -> None:
    first = MinibatchIndices(1, 10**6, 8)
    assert not torch.equal(first.steps(0, 4), MinibatchIndices(2, 10**6, 8).steps(0, 4))
    assert not torch.equal(first.steps(0, 4), first.steps(1024, 1028))
    # Block 1 of seed 1 is not block 0 of another seed near by.
    assert not torch.equal(first.steps(1024, 1028), MinibatchIndices(2, 10**6, 8).steps(0, 4))


def test_every_example_is_as_likely() -> None:
    num_examples, draws = 10, 64 * 4096
    counts = MinibatchIndices(11, num_examples, 64).steps(0, 4096).flatten().bincount(minlength=num_examples)
    expected = draws / num_examples
    chi_squared = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_squared < 33.7  # 9 degrees of freedom: exceeded with probability 1e-4


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    MinibatchIndices(1, 10, 4).steps(0, 10)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "named"), [(0, 4, "num_examples"), (4, 0, "batch_size")]
)
def test_wrong_sizes_are_named(num_examples: int, batch_size: int, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} must be at least 1, but got 0"):
        MinibatchIndices(1, num_examples, batch_size)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2)])
def test_wrong_steps_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=f"got {start} and {stop}"):
        MinibatchIndices(1, 10, 4).steps(start, stop)


def test_the_whole_set_in_every_step() -> None:
    indices = WholeSetIndices(5)
    assert indices.batch_size == indices.num_examples == 5
    assert indices.steps(3, 6).tolist() == [[0, 1, 2, 3, 4]] * 3


def test_weights_draw_in_proportion() -> None:
    weights = torch.tensor([0.0, 3.0, 0.0, 1.5, 0.5, 0.0], dtype=torch.float64)
    drawn = MinibatchIndices(3, 6, 32, weights).steps(0, 4000).flatten()  # (128,000,)
    counts = torch.bincount(drawn, minlength=6)
    assert counts[[0, 2, 5]].tolist() == [0, 0, 0]
    expected = weights / weights.sum() * len(drawn)
    # Six standard deviations of a binomial count: one run in 10**9 is farther off, and the seed is fixed.
    assert (counts - expected).abs().max() < 6 * (len(drawn) * 0.25) ** 0.5


def test_weighted_examples_are_the_same_wherever_they_are_read() -> None:
    weights = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = MinibatchIndices(7, 1000, 16, weights).steps(0, 3000)
    parts = MinibatchIndices(7, 1000, 16, weights)
    assert torch.equal(torch.cat([parts.steps(0, 1500), parts.steps(1500, 3000)]), whole)
    assert torch.equal(MinibatchIndices(7, 1000, 16, weights).steps(2990, 3000), whole[2990:])
    # Their order is what a written definition says: uniform numbers looked up among running sums.
    assert torch.equal(MinibatchIndices(7, 1000, 16, 8 * weights).steps(0, 10), whole[:10])


def test_a_uniform_number_next_to_one_draws_no_example_without_weight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = torch.tensor([1.0, 2.0, 0.0, 0.0], dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, 1.0, dtype=torch.float64))
    assert MinibatchIndices(7, 4, 2, weights).steps(0, 1).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "weights", [[1.0], [1.0, -1.0, 2.0], [0.0] * 3, [float("nan")] * 3, [float("inf"), 1, 1]]
)
def test_weights_that_cannot_be(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^weights must be "):
        MinibatchIndices(1, 3, 2, torch.tensor(weights, dtype=torch.float64))


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(("examples", "batch"), [(7, 3), (3, 7), (1, 1), (64, 64), (5, 32)])
def test_epochs_take_each_example_once(examples: int, batch: int, shuffled: bool) -> None:
    indices = EpochIndices(3, examples, batch, shuffled=shuffled)
    steps = 3 * examples
    taken = indices.steps(0, steps).flatten().view(-1, examples)  # an epoch a row
    assert torch.equal(taken.sort(dim=1).values, torch.arange(examples).expand_as(taken))
    if not shuffled:
        assert torch.equal(taken[0], torch.arange(examples))
    elif examples == 64:
        assert len({tuple(row.tolist()) for row in taken}) == len(taken)  # each epoch in an order of its own


def test_epochs_can_be_read_anywhere() -> None:
    whole = EpochIndices(3, 11, 4, shuffled=True).steps(0, 40)
    other = EpochIndices(3, 11, 4, shuffled=True)
    for start, stop in ((30, 40), (0, 7), (7, 7), (5, 31)):
        assert torch.equal(other.steps(start, stop), whole[start:stop])
    assert not torch.equal(EpochIndices(4, 11, 4, shuffled=True).steps(0, 40), whole)


def test_epochs_of_nothing() -> None:
    with pytest.raises(ValueError, match="num_examples must be at least 1, but got 0"):
        EpochIndices(0, 0, 1, shuffled=True)
    with pytest.raises(ValueError, match="batch_size must be at least 1, but got 0"):
        EpochIndices(0, 1, 0, shuffled=True)
    with pytest.raises(ValueError, match="start and stop must satisfy"):
        EpochIndices(0, 1, 1, shuffled=True).steps(2, 1)
