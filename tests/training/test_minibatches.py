"""Minibatch indices: the same from the seed, at any step, evenly drawn."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from namegen_ext.training import MinibatchIndices
from namegen_ext.training.minibatches import WholeSetIndices


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
