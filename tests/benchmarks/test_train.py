"""The suite ``train``: its peers train the same model, and one that does not is found out."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest
import torch

from namegen_ext.benchmarks.agreement import DisagreementError, check_losses
from namegen_ext.benchmarks.settings import QUICK
from namegen_ext.benchmarks.train import jax_scan, modules, run_train, suite, train_cases
from namegen_ext.benchmarks.train.case import PeerUnavailableError, TrainCase, TrainData
from namegen_ext.benchmarks.train.plain_tensors import PlainTensorsPeer
from namegen_ext.data import load_words
from namegen_ext.engine import UnsupportedModelError
from namegen_ext.training import Corpus

STEPS = 30


CASES = {
    "plain": TrainCase(batch_norm=False, batch_size=16, steps=STEPS, timed_steps=STEPS),
    "batch-norm": TrainCase(batch_norm=True, batch_size=16, steps=STEPS, timed_steps=STEPS),
    "wavenet": TrainCase(
        model="wavenet",
        batch_norm=True,
        batch_size=16,
        steps=STEPS,
        timed_steps=STEPS,
        embedding_dim=6,
        block_size=8,
        hidden_size=24,
    ),
    "wavenet-plain": TrainCase(
        model="wavenet",
        batch_norm=False,
        batch_size=16,
        steps=STEPS,
        timed_steps=STEPS,
        embedding_dim=6,
        block_size=4,
        hidden_size=24,
    ),
}


def examples(block_size: int) -> TrainData:
    corpus = Corpus.build(load_words("census").words[:500], block_size=block_size, split_seed=42)
    return TrainData(len(corpus.vocabulary), *corpus.train)


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> TrainCase:
    found: TrainCase = request.param
    return found


@pytest.fixture
def data(case: TrainCase) -> TrainData:
    return examples(case.block_size)


def check_peer(name: str, case: TrainCase, data: TrainData) -> None:
    reference = modules.stock_float64(case, data).run(0, STEPS)
    stock = modules.stock(case, data, 1).run(0, STEPS)
    peer = suite.PEERS[name](case, data, 1)
    losses = peer.run(0, STEPS)
    assert losses.shape == (STEPS,)
    check_losses("here", reference, stock, {name: losses})
    # Steps run on from where they stopped: two calls are one long one.
    again = suite.PEERS[name](case, data, 1)
    parts = torch.cat([again.run(0, STEPS // 2), again.run(STEPS // 2, STEPS - STEPS // 2)])
    check_losses("here", reference, stock, {name: parts})
    assert losses[-5:].mean() < losses[:5].mean()  # it learns


@pytest.mark.parametrize("name", ["fused-layers", "fused-step", "plain-tensors"])
def test_peers_train_alike(name: str, case: TrainCase, data: TrainData) -> None:
    check_peer(name, case, data)


def test_jax_trains_alike(case: TrainCase, data: TrainData) -> None:
    pytest.importorskip("jax", reason="JAX is not installed: its peer cannot be tested")
    check_peer("jax-scan", case, data)


@pytest.mark.long
def test_torch_compile_trains_alike(case: TrainCase, data: TrainData) -> None:
    check_peer("torch.compile", case, data)


def test_without_jax_the_peer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else find_spec(name))
    with pytest.raises(PeerUnavailableError, match="JAX is not installed"):
        jax_scan.jax_scan(CASES["plain"], examples(3), 1)


def test_a_jax_that_does_not_load_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "jax", None)  # import raises ImportError
    with pytest.raises(PeerUnavailableError, match="JAX does not work"):
        jax_scan.jax_scan(CASES["plain"], examples(3), 1)


def test_the_wavenet_is_that_of_the_lecture() -> None:
    (large,) = [
        case for case in train_cases(quick=False) if case.model == "wavenet" and case.batch_size == 32
    ]
    assert sum(parameter.numel() for parameter in large.build_model(27).parameters()) == 76_579


def test_every_target_is_of_a_peer() -> None:
    for case in train_cases(quick=False):
        assert case.target is not None
        assert set(case.step_targets) == {"plain-tensors", "jax-scan"}
        assert set(case.step_targets) < set(suite.PEERS)


def test_what_the_engine_does_not_cover_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise UnsupportedModelError("it has wings")

    monkeypatch.setattr(modules, "EngineSteps", refuse)
    with pytest.raises(PeerUnavailableError, match="it has wings"):
        modules.fused_step(CASES["plain"], examples(3), 1)


def test_a_peer_that_cannot_be_had_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*arguments: object) -> None:
        raise PeerUnavailableError("there is none here")

    monkeypatch.setitem(suite.PEERS, "jax-scan", unavailable)
    comparisons = list(run_train(QUICK, 1, frozenset({"jax-scan"}), lambda what: None))
    assert len(comparisons) == len(train_cases(quick=True))
    for comparison in comparisons:
        assert set(comparison.peers) == {"stock"}
        assert comparison.notes[0] == "jax-scan left out: there is none here"


def test_the_unbiased_variance_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subtlest of mistakes: the lectures' batch norm divides by n - 1."""

    def normalise(self: PlainTensorsPeer, norm: Any, hpreact: torch.Tensor) -> torch.Tensor:
        mean, var = hpreact.mean(0, keepdim=True), hpreact.var(0, keepdim=True, unbiased=True)
        return norm.bngain * (hpreact - mean) / torch.sqrt(var + 1e-5) + norm.bnbias

    monkeypatch.setattr(PlainTensorsPeer, "_normalise", normalise)
    with pytest.raises(
        DisagreementError, match=r"mlp with batch norm, .*: the losses of plain-tensors differ"
    ):
        list(run_train(QUICK, 1, frozenset({"plain-tensors"}), lambda what: None))


def test_the_share_of_the_floor_is_operations_at_the_machines_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "matmul_rate", lambda: 2e9)
    monkeypatch.setattr(suite, "operations_per_step", lambda weights, minibatches: 6e6)
    for comparison in run_train(QUICK, 1, frozenset({"fused-step"}), lambda what: None):
        for found in comparison.peers.values():
            assert found.share_of_floor == pytest.approx(3e-3 / found.timing.seconds.median)
        assert "the floor is 3,000.0 us, 6.00 million operations at the 2 GFLOP/s" in comparison.notes[-1]


def test_peers_run_different_minibatches_as_time_goes_on() -> None:
    seen: list[tuple[int, int]] = []

    class Peer:
        def run(self, start: int, count: int) -> torch.Tensor:
            seen.append((start, count))
            return torch.zeros(count)

    sample = suite._sampler(Peer(), 3, 4)
    sample(2)
    sample(1)
    assert seen == [(3, 4), (7, 4), (11, 4)]
