"""Peak memory, of calls whose allocations are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch

from namegen_bench.measuring.memory import PeakMemoryError, peak_allocated, peak_memory
from namegen_bench.suites.ops.batch_norm import BatchNormCase
from namegen_bench.suites.ops.embedding_concat_linear import EmbeddingConcatLinearCase
from namegen_bench.suites.ops.op_case import training_call

KIB, MIB = 2**10, 2**20


def tensor_of(size: int) -> torch.Tensor:
    return torch.empty(size, dtype=torch.uint8)


def one_after_another() -> None:
    tensor_of(MIB)  # given back at once
    tensor_of(3 * MIB)
    tensor_of(2 * MIB)


def all_at_once() -> None:
    tensors = [tensor_of(MIB), tensor_of(3 * MIB)]
    tensors.pop()
    tensors.append(tensor_of(2 * MIB))


def test_the_allocators_peak_is_exact() -> None:
    assert peak_allocated(lambda: one_after_another) == 3 * MIB
    assert peak_allocated(lambda: all_at_once) == 4 * MIB
    assert peak_allocated(lambda: lambda: None) == 0


def test_what_was_held_before_does_not_count() -> None:
    def prepare(added: int) -> Callable[[], None]:
        held = [tensor_of(8 * MIB)]

        def replace() -> None:
            held.pop()
            held.append(tensor_of(added))

        return replace

    assert peak_allocated(lambda: prepare(5 * MIB)) == 0
    assert peak_allocated(lambda: prepare(11 * MIB)) == 3 * MIB


@pytest.fixture(scope="module")
def embedding_case() -> EmbeddingConcatLinearCase:
    return EmbeddingConcatLinearCase(
        batches=(1,), targets=(), vocab_size=27, embedding_dim=10, block_size=3, hidden_size=200
    )


@pytest.mark.parametrize("peer", ["stock", "fused-layers"])
def test_the_two_figures_tell_the_same_of_a_large_batch(
    embedding_case: EmbeddingConcatLinearCase, peer: str
) -> None:
    batch = 16384
    found = peak_memory(partial(training_call, embedding_case, peer), batch, threads=1)
    output = batch * embedding_case.hidden_size * 4
    assert found.allocated >= output
    assert found.resident is not None
    # All that is allocated is written to here; what a library keeps for itself and the code are a MiB or two.
    assert 0.9 * found.allocated <= found.resident <= found.allocated + 3 * MIB


def test_a_small_batch_has_the_exact_figure_alone() -> None:
    case = BatchNormCase(batches=(1,), targets=(), hidden_size=200)
    found = peak_memory(partial(training_call, case, "fused-layers"), 32, threads=1)
    output = 32 * 200 * 4
    # The output and the gradient of the input at least; statistics and gradients of 200 values each beside.
    assert 2 * output <= found.allocated <= 4 * output + 64 * KIB
    assert found.resident is None


def test_an_error_in_the_other_process_is_passed_on() -> None:
    case = BatchNormCase(batches=(1,), targets=(), hidden_size=200)
    with pytest.raises(
        PeakMemoryError, match=r"ValueError: name must be one of stock, .* got 'no such peer'"
    ):
        peak_memory(partial(training_call, case, "no such peer"), 32, threads=1)
