from __future__ import annotations

import pytest
import torch
from torch import Tensor

from namegen_ext.sampling.draw import draw_symbols
from namegen_ext.sampling.philox import uniform_block


class FixedDistribution:
    """Probabilities from a table over the last symbol; keeps how many contexts each call had."""

    def __init__(self, probabilities: list[list[float]], block_size: int = 2) -> None:
        self.vocab_size = len(probabilities)
        self.block_size = block_size
        self.device = torch.device("cpu")
        self.table = torch.tensor(probabilities, dtype=torch.float64).cumsum(dim=1)
        self.without_end = torch.tensor([[0.0, *row[1:]] for row in probabilities], dtype=torch.float64)
        self.without_end = (self.without_end / self.without_end.sum(dim=1, keepdim=True)).cumsum(dim=1)
        self.calls: list[int] = []

    def draw(self, contexts: Tensor, uniforms: Tensor) -> Tensor:
        assert contexts.shape[1] == self.block_size
        self.calls.append(len(contexts))
        return (self.table[contexts[:, -1]] <= uniforms[:, None]).sum(dim=1)

    def draw_first(self, uniforms: Tensor) -> Tensor:
        self.calls.append(0)
        return (self.without_end[0] <= uniforms[:, None]).sum(dim=1)


HALVES = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.0, 0.5]]  # exact in binary


def draw_one_by_one(
    distribution: FixedDistribution, prefix: list[int], seed: int, sample: int, max_steps: int
) -> list[int]:
    """The definition: invert the cumulative probabilities at the uniform number, symbol by symbol."""
    symbols: list[int] = []
    last = prefix[-1] if prefix else 0
    while len(symbols) < max_steps:
        step = len(symbols)
        uniform = float(uniform_block(seed, torch.tensor([sample]), step // 4)[step % 4])
        table = distribution.without_end if step == 0 and not prefix else distribution.table
        last = next(symbol for symbol, edge in enumerate(table[last].tolist()) if uniform < edge)
        if last == 0:
            break
        symbols.append(last)
    return symbols


def as_lists(symbols: Tensor) -> list[list[int]]:
    rows = symbols.tolist()
    assert all(row[-1] == 0 for row in rows)
    endings = [row.index(0) for row in rows]
    assert all(not any(row[end:]) for row, end in zip(rows, endings, strict=True))
    return [row[:end] for row, end in zip(rows, endings, strict=True)]


def test_agrees_with_the_definition() -> None:
    for prefix in ([], [2], [1, 1, 2, 1, 2]):
        distribution = FixedDistribution(HALVES)
        drawn = draw_symbols(distribution, prefix, seed=5, first_sample=100, count=300, max_steps=9)
        expected = [draw_one_by_one(distribution, prefix, 5, 100 + sample, 9) for sample in range(300)]
        assert as_lists(drawn) == expected
        assert max(map(len, expected)) == 9  # some were cut
        assert (min(map(len, expected)) == 0) == bool(prefix)  # none is empty without a prefix


@pytest.mark.parametrize("prefix", [[], [2, 1]])
def test_finished_names_leave_the_batch(prefix: list[int]) -> None:
    distribution = FixedDistribution(HALVES)
    lengths = [
        len(row)
        for row in as_lists(
            draw_symbols(distribution, prefix, seed=1, first_sample=0, count=200, max_steps=50)
        )
    ]
    # The first step takes the context that all share; a later one those of the names that have not ended yet.
    going_on = [sum(length >= step for length in lengths) for step in range(1, max(lengths) + 1)]
    assert distribution.calls == [1 if prefix else 0, *going_on]


def test_a_symbol_of_probability_zero_is_never_drawn() -> None:
    distribution = FixedDistribution([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], block_size=1)
    symbols = draw_symbols(distribution, [], seed=9, first_sample=0, count=5000, max_steps=4)
    assert as_lists(symbols) == [[1, 2]] * 5000


def test_a_name_that_never_ends_is_cut() -> None:
    distribution = FixedDistribution([[0.0, 1.0], [0.0, 1.0]])
    symbols = draw_symbols(distribution, [1], seed=9, first_sample=0, count=3, max_steps=6)
    assert as_lists(symbols) == [[1] * 6] * 3


def test_samples_are_told_apart_beyond_32_bits() -> None:
    distribution = FixedDistribution(HALVES)
    near = draw_symbols(distribution, [], seed=3, first_sample=0, count=50, max_steps=20)
    far = draw_symbols(distribution, [], seed=3, first_sample=2**32, count=50, max_steps=20)
    assert as_lists(near) != as_lists(far)
