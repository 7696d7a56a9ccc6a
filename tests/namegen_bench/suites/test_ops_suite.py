"""The suite ``ops``: its peers compute the same, and one that does not is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.settings import QUICK
from namegen_bench.names import OPS, STOCK, SUITE_PEERS
from namegen_bench.suites.ops import ops_cases, run_ops
from namegen_bench.suites.ops.batch_norm import BatchNormCase
from namegen_bench.suites.ops.embedding_concat_linear import EmbeddingConcatLinearCase
from namegen_bench.suites.ops.op_case import FORWARD_BACKWARD, INFERENCE, MODES, OpCase
from namegen_ext.ops.support import OPERATORS

QUICK_CASES = ops_cases(quick=True)


def test_every_operator_has_a_case_and_a_file_of_its_name() -> None:
    assert {case.operator for case in QUICK_CASES} == set(OPERATORS)
    assert {case.operator for case in ops_cases(quick=False)} == set(OPERATORS)
    for case in QUICK_CASES:
        assert type(case).__module__.endswith(f".ops.{case.operator}")


def test_the_sizes_and_targets_to_be_measured_are_there() -> None:
    small, large = (1, 2, 8, 32, 128, 1024, 16384, 65536), (1, 32, 1024, 16384, 65536)
    sizes = {"V": 27, "E": 10, "block": 3, "H": 200}, {"V": 5000, "E": 64, "block": 8, "H": 512}
    targets = {
        "embedding_concat_linear": {32: 2.5, 1024: 4.0, 16384: 6.0},
        "embedding_concat_linear_batch_norm": {32: 3.3, 1024: 7.0, 16384: 6.5, 65536: 8.0},
        "batch_norm": {32: 2.0, 1024: 2.5, 16384: 2.5},
    }
    cases = ops_cases(quick=False)
    for operator, speedups in targets.items():
        for batches, wanted in zip((small, large), sizes, strict=True):
            (case,) = [
                one for one in cases if one.operator == operator and one.sizes.items() <= wanted.items()
            ]
            assert set(batches) <= set(case.batches)
            for batch in batches:
                expected = speedups.get(batch, 1.0) if batches is small else 1.0
                assert case.target(FORWARD_BACKWARD, batch) == expected


@pytest.mark.parametrize("case", ops_cases(quick=False), ids=lambda case: f"{case.operator}-{case.sizes}")
@pytest.mark.parametrize("batch", [2, 7])
@pytest.mark.parametrize("mode", MODES)
def test_all_peers_start_alike_and_compute_the_same(case: OpCase, batch: int, mode: str) -> None:
    peers = {name: case.peer(name, batch, mode) for name in SUITE_PEERS[OPS]}
    stock = peers[STOCK].results(mode)
    assert set(stock) == set(case.terms(batch)) - (
        set() if mode == FORWARD_BACKWARD else {name for name in case.terms(batch) if "gradient" in name}
    )
    assert stock["output"].shape == (batch, case.output_size)
    for name, peer in peers.items():
        assert torch.equal(peer.input, peers[STOCK].input)
        assert torch.equal(peer.output_gradient, peers[STOCK].output_gradient)
        if name == STOCK:
            continue
        for key, result in peer.results(mode).items():
            # A coarse look beside the suite's own check: 1e-3 of the largest value.
            largest = float(stock[key].abs().max())
            torch.testing.assert_close(result, stock[key], rtol=0, atol=1e-3 * largest)


def test_the_work_of_batch_norm() -> None:
    case = BatchNormCase(batches=(1,), targets=(), hidden_size=5)
    # Values read and written: input and output; the input twice; and seven more backward.
    assert [case.work(mode, 8).bytes for mode in MODES] == [4 * 40 * n for n in (2, 3, 10)]
    operations = [case.work(mode, 8).operations for mode in MODES]
    assert operations == sorted(operations)


def test_the_work_of_an_embedding_is_the_cheaper_of_two_ways() -> None:
    def work(batch: int, vocab_size: int) -> float:
        case = EmbeddingConcatLinearCase(
            batches=(1,), targets=(), vocab_size=vocab_size, embedding_dim=4, block_size=2, hidden_size=6
        )
        return case.work(INFERENCE, batch).operations

    # One example: a row for each place, no more than the product.
    assert work(1, 100) == 2 * 2 * 4 * 6 + 6
    # All of 3 symbols occur at both places among 1,000 examples: 6 rows, 2,000 of them added, and the bias.
    assert work(1000, 3) == 2 * 6 * 4 * 6 + 2000 * 6 + 1000 * 6


def test_the_bytes_of_an_embedding() -> None:
    case = EmbeddingConcatLinearCase(
        batches=(1,), targets=(), vocab_size=9, embedding_dim=4, block_size=2, hidden_size=6
    )
    weights = 9 * 4 + 2 * 4 * 6 + 6
    forward = 4 * (100 * 6 + weights) + 8 * 200
    assert case.work(INFERENCE, 100).bytes == forward
    # Twice the tokens; output written, read and its gradient read; weights read twice, and gradients written.
    assert case.work(FORWARD_BACKWARD, 100).bytes == 4 * 3 * (100 * 6 + weights) + 8 * 400


def test_inference_records_no_graph_and_evaluates() -> None:
    case = BatchNormCase(batches=(1,), targets=(), hidden_size=4)
    peer = case.peer(STOCK, 8, INFERENCE)
    assert not peer.results(INFERENCE)["output"].requires_grad
    assert torch.equal(peer.states["0.running_mean"], torch.zeros(4))  # untouched, as in evaluation
    trained = case.peer(STOCK, 8, FORWARD_BACKWARD)
    trained.forward_backward(1)
    assert not torch.equal(trained.states["0.running_mean"], torch.zeros(4))


def test_repeated_backward_passes_do_not_add_up() -> None:
    peer = QUICK_CASES[0].peer(STOCK, 8, FORWARD_BACKWARD)
    peer.forward_backward(1)
    once = {name: leaf.grad.clone() for name, leaf in peer.leaves.items()}
    peer.forward_backward(3)
    for name, leaf in peer.leaves.items():
        assert torch.equal(leaf.grad, once[name])


def off_by_a_little(call: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda input: call(input) * 1.0001


@pytest.mark.parametrize("case_class", [EmbeddingConcatLinearCase, BatchNormCase])
def test_a_wrong_operator_is_found_out_before_its_time_is_told(
    case_class: type[OpCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = case_class.operator_call

    def wrong(self: OpCase, module: nn.Sequential) -> Callable[[Tensor], Tensor]:
        return off_by_a_little(right(self, module))

    monkeypatch.setattr(case_class, "operator_call", wrong)
    monkeypatch.setattr(OpCase, "modes", lambda self, batch: (INFERENCE,))
    monkeypatch.setattr(case_class, "modes", lambda self, batch: (INFERENCE,))
    with pytest.raises(DisagreementError, match=f"{case_class.operator}, .*: output of fused-op differs"):
        list(run_ops(QUICK, (1,), None, lambda what: None))


def test_a_failed_memory_measurement_is_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from namegen_bench.measuring.memory import PeakMemoryError
    from namegen_bench.suites.ops import ops_suite

    def fail(*arguments: object) -> None:
        raise PeakMemoryError("its process ended with status -9")

    monkeypatch.setattr(ops_suite, "peak_memory", fail)
    only = frozenset({"fused-layers"})
    told: list[str] = []
    comparisons = list(run_ops(QUICK, (1,), only, told.append))
    measured = [one for one in comparisons if one.mode == FORWARD_BACKWARD]
    assert measured
    for one in measured:
        assert set(one.peers) == {STOCK, "fused-layers"}
        assert all("status -9" in note for note in one.notes)
        assert len(one.notes) == 2
        assert all(found.peak_allocated is None for found in one.peers.values())
    assert len(told) == len(comparisons)


def test_large_batches_are_measured_with_all_numbers_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from namegen_bench.suites.ops import ops_suite

    case = BatchNormCase(batches=(512, 1024), targets=((1024, 2.5),), hidden_size=4)
    monkeypatch.setattr(ops_suite, "_CASES", (case,))
    monkeypatch.setattr(BatchNormCase, "modes", lambda self, batch: (FORWARD_BACKWARD,))
    during: list[int] = []
    before = torch.get_num_threads()
    settings = replace(QUICK, quick=False)
    comparisons = []
    for one in run_ops(settings, (1, 2), frozenset({"fused-op"}), lambda what: None):
        during.append(torch.get_num_threads())
        comparisons.append(one)
    assert torch.get_num_threads() == before
    assert [(one.batch, one.peers[STOCK].threads) for one in comparisons] == [(512, 1), (1024, 1), (1024, 2)]
    assert during == [1, 1, 2]
    assert [one.target for one in comparisons] == [
        1.0,
        2.5,
        1.0,
    ]  # with more threads, the target is to be no slower
    assert [one.peers[STOCK].peak_allocated is None for one in comparisons] == [False, False, True]
