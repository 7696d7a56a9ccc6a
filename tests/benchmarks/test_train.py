"""The suite ``train``: its peers train the same model, and one that does not is found out."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch

from namegen_ext.benchmarks.agreement import DisagreementError, check_losses
from namegen_ext.benchmarks.settings import QUICK
from namegen_ext.benchmarks.train import jax_scan, modules, run_train, suite, train_cases
from namegen_ext.benchmarks.train.case import PeerUnavailableError, TrainCase, TrainData
from namegen_ext.benchmarks.train.plain_tensors import PlainTensorsPeer
from namegen_ext.benchmarks.train.weights import BatchNormWeights
from namegen_ext.data import load_words
from namegen_ext.training import Corpus

STEPS = 30


@pytest.fixture
def data(case: TrainCase) -> TrainData:
    return data_of(case)


def data_of(case: TrainCase) -> TrainData:
    corpus = Corpus.build(load_words("census").words[:500], block_size=case.block_size, split_seed=42)
    return TrainData(len(corpus.vocabulary), *corpus.train)


@pytest.fixture(params=["mlp", "mlp-batch-norm", "wavenet"])
def case(request: pytest.FixtureRequest) -> TrainCase:
    if request.param == "wavenet":
        return TrainCase(
            batch_norm=True,
            batch_size=16,
            steps=STEPS,
            timed_steps=STEPS,
            factors=(3, 2),
            block_size=6,
            hidden_size=20,
        )
    return TrainCase(
        batch_norm=request.param == "mlp-batch-norm", batch_size=16, steps=STEPS, timed_steps=STEPS
    )


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
    case = TrainCase(batch_norm=False, batch_size=16, steps=STEPS, timed_steps=STEPS)
    with pytest.raises(PeerUnavailableError, match="JAX is not installed"):
        jax_scan.jax_scan(case, data_of(case), 1)


def test_a_jax_that_does_not_load_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "jax", None)  # import raises ImportError
    case = TrainCase(batch_norm=False, batch_size=16, steps=STEPS, timed_steps=STEPS)
    with pytest.raises(PeerUnavailableError, match="JAX does not work"):
        jax_scan.jax_scan(case, data_of(case), 1)


def test_a_peer_that_cannot_be_had_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*arguments: object) -> None:
        raise PeerUnavailableError("there is none here")

    monkeypatch.setitem(suite.PEERS, "jax-scan", unavailable)
    comparisons = list(run_train(QUICK, 1, frozenset({"jax-scan"}), lambda what: None))
    assert len(comparisons) == len(train_cases(quick=True))
    for comparison in comparisons:
        assert set(comparison.peers) == {"stock"}
        assert comparison.notes == ("jax-scan left out: there is none here",)


def test_the_unbiased_variance_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subtlest of mistakes: the lectures' batch norm divides by n - 1."""

    def normalise(self: PlainTensorsPeer, bn: BatchNormWeights, hpreact: torch.Tensor) -> torch.Tensor:
        mean, var = hpreact.mean(0, keepdim=True), hpreact.var(0, keepdim=True, unbiased=True)
        return bn.gain * (hpreact - mean) / torch.sqrt(var + 1e-5) + bn.shift

    monkeypatch.setattr(PlainTensorsPeer, "_normalise", normalise)
    with pytest.raises(
        DisagreementError, match=r"mlp with batch norm, .*: the losses of plain-tensors differ"
    ):
        list(run_train(QUICK, 1, frozenset({"plain-tensors"}), lambda what: None))


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
