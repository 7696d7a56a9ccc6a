"""The suite ``train``: its peers train the same model, and one that does not is found out."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from namegen_bench.measuring.agreement import DisagreementError, check_losses
from namegen_bench.measuring.floor import Rates, Work
from namegen_bench.measuring.settings import FULL, QUICK
from namegen_bench.suites.train import jax_scan, modules, race, run_train, train_cases, train_suite
from namegen_bench.suites.train.plain_tensors import PlainTensorsPeer
from namegen_bench.suites.train.prepare import first_steps, sampler
from namegen_bench.suites.train.train_case import PeerUnavailableError, TrainCase, TrainData, build_data
from namegen_bench.suites.train.train_case_list import COMPILED_CASES
from namegen_bench.suites.train.train_peers import BUILDERS
from namegen_ext.data import load_words
from namegen_ext.engine import UnsupportedModelError

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
    "bigram": TrainCase(
        model="bigram", batch_norm=False, batch_size=16, steps=STEPS, timed_steps=STEPS, block_size=1
    ),
}
GPT = TrainCase(
    model="gpt",
    batch_norm=False,
    batch_size=8,
    steps=STEPS,
    timed_steps=STEPS,
    embedding_dim=16,
    block_size=8,
    num_layers=2,
    num_heads=2,
)
GPTS = {
    "sgd": GPT,
    "adamw": replace(GPT, is_adamw=True, learning_rate=0.002),
    "microgpt": replace(
        next(case for case in train_cases(quick=False) if case.name == "microgpt"),
        steps=STEPS,
        timed_steps=STEPS,
    ),
}


def examples(case: TrainCase) -> TrainData:
    return build_data(case, load_words("census").words[:500])


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> TrainCase:
    found: TrainCase = request.param
    return found


@pytest.fixture
def data(case: TrainCase) -> TrainData:
    return examples(case)


def check_peer(name: str, case: TrainCase, data: TrainData) -> None:
    reference = modules.stock_float64(case, data).run(0, STEPS)
    stock = modules.stock(case, data, 1).run(0, STEPS)
    peer = BUILDERS[name](case, data, 1)
    losses = peer.run(0, STEPS)
    assert losses.shape == (STEPS,)
    check_losses("here", reference, stock, {name: losses})
    # Steps run on from where they stopped: two calls are one long one.
    again = BUILDERS[name](case, data, 1)
    parts = torch.cat([again.run(0, STEPS // 2), again.run(STEPS // 2, STEPS - STEPS // 2)])
    check_losses("here", reference, stock, {name: parts})
    assert losses[-5:].mean() < losses[:5].mean()  # it learns


@pytest.mark.parametrize("name", ["fused-layers", "fused-step", "plain-tensors"])
def test_peers_train_alike(name: str, case: TrainCase, data: TrainData) -> None:
    check_peer(name, case, data)


def test_jax_trains_alike(case: TrainCase, data: TrainData) -> None:
    pytest.importorskip("jax", reason="JAX is not installed: its peer cannot be tested")
    check_peer("jax-scan", case, data)


def test_numpy_trains_the_bigram_alike() -> None:
    check_peer("numpy", CASES["bigram"], examples(CASES["bigram"]))
    with pytest.raises(PeerUnavailableError, match="written for the bigram alone"):
        BUILDERS["numpy"](CASES["plain"], examples(CASES["plain"]), 1)


def test_a_model_with_nothing_to_fuse_is_noted() -> None:
    case = CASES["bigram"]
    assert "finds nothing to fuse" in modules.fused_layers(case, examples(case), 1).note


@pytest.mark.parametrize("case", GPTS.values(), ids=GPTS)
@pytest.mark.parametrize("name", ["fused-layers", "fused-step", "jax-scan"])
def test_gpts_are_trained_alike(name: str, case: TrainCase) -> None:
    if name == "jax-scan":
        pytest.importorskip("jax", reason="JAX is not installed: its peer cannot be tested")
    check_peer(name, case, examples(case))


def test_a_gpt_has_layers_to_fuse_and_no_plain_tensors() -> None:
    data = examples(GPT)
    assert modules.fused_layers(GPT, data, 1).note == ""
    with pytest.raises(PeerUnavailableError, match="GPT"):
        BUILDERS["plain-tensors"](GPT, data, 1)


@pytest.mark.long
@pytest.mark.parametrize("name", ["torch.compile", "torch.compile-max-autotune"])
def test_torch_compile_trains_alike(name: str, case: TrainCase, data: TrainData) -> None:
    check_peer(name, case, data)


@pytest.mark.long
def test_torch_compile_trains_a_gpt_alike() -> None:
    check_peer("torch.compile", GPT, examples(GPT))


def test_without_jax_the_peer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else find_spec(name))
    with pytest.raises(PeerUnavailableError, match="JAX is not installed"):
        jax_scan.jax_scan(CASES["plain"], examples(CASES["plain"]), 1)


def test_a_jax_that_does_not_load_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "jax", None)  # import raises ImportError
    with pytest.raises(PeerUnavailableError, match="JAX does not work"):
        jax_scan.jax_scan(CASES["plain"], examples(CASES["plain"]), 1)


def test_the_wavenet_is_that_of_the_lecture() -> None:
    (large,) = [
        case for case in train_cases(quick=False) if case.model == "wavenet" and case.batch_size == 32
    ]
    assert sum(parameter.numel() for parameter in large.build_model(27).parameters()) == 76_579


def test_every_target_is_of_a_peer() -> None:
    for case in train_cases(quick=False):
        if case.model in ("bigram", "gpt"):  # no target is set for fused layers
            assert case.target is None
            assert set(case.step_targets) <= {"stock", "fused-layers", "jax-scan"}
            continue
        assert case.target is not None
        assert set(case.step_targets) == {"plain-tensors", "jax-scan"}
        assert set(case.step_targets) < set(BUILDERS)


def test_each_network_is_compiled() -> None:
    """In every case but the bigram's and two GPTs'; the slower mode where steps are short."""
    networks = [case for case in train_cases(quick=False) if case.model != "bigram"]
    networks = [case for case in networks if case.model != "gpt" or case.batch_size == 32]
    assert list(COMPILED_CASES["torch.compile"]) == networks
    short = [case for case in networks if case.batch_size == 32]
    assert list(COMPILED_CASES["torch.compile-max-autotune"]) == short
    assert [case.name for case in short] == ["mlp", "mlp with batch norm", "wavenet with batch norm", "gpt"]


def test_what_the_engine_does_not_cover_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise UnsupportedModelError("it has wings")

    monkeypatch.setattr(modules, "EngineSteps", refuse)
    with pytest.raises(PeerUnavailableError, match="it has wings"):
        modules.fused_step(CASES["plain"], examples(CASES["plain"]), 1)


RATES = Rates(2e9, {2**20: 1e9})


def run(case: TrainCase, names: tuple[str, ...], thread_counts: tuple[int, ...] = (1,)) -> race.Race:
    rates = dict.fromkeys(thread_counts, RATES)
    return race.run_race(case, examples(case), names, rates, QUICK, {}, "here", lambda what: None)


def test_a_race_with_one_and_two_threads() -> None:
    found = run(CASES["bigram"], ("stock", "fused-step", "numpy"), (1, 2))
    assert list(found.peers) == ["stock", "fused-step", "numpy"]
    every = [*found.peers.items(), *found.others]
    assert sorted((peer, one.threads) for peer, one in every) == [
        ("fused-step", 1),
        ("fused-step", 2),
        ("numpy", 1),  # which uses no second one
        ("stock", 1),
        ("stock", 2),
    ]
    for peer, one in every:
        assert one.timing.seconds.median >= found.peers[peer].timing.seconds.median
        assert one.compile_seconds is None
        assert one.rates is RATES


def test_the_losses_are_those_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["batch-norm"]
    found = run(case, ("stock", "plain-tensors"))
    expected = first_steps(modules.stock(case, examples(case), 1), case)
    assert found.peers["stock"].loss == float(expected[-1])  # the same computation in another process


def test_the_share_of_the_floor_is_work_at_the_machines_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "work_per_step", lambda case, data: Work(6e6, 2**19))
    found = run(CASES["bigram"], ("stock", "fused-step"))
    for one in found.peers.values():
        assert one.share_of_floor == pytest.approx(3e-3 / one.timing.seconds.median)
    assert "the floor is 3e+03 us with 1 thread: 6 million operations" in found.notes[-1]


def test_a_peer_that_cannot_be_had_is_noted() -> None:
    found = run(GPT, ("stock", "plain-tensors"))
    assert set(found.peers) == {"stock"}
    assert found.notes[0] == "here: plain-tensors left out: it is not written for a GPT"


def test_nothing_is_measured_before_the_losses_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[set[str]] = []

    def disagree(where: str, reference: torch.Tensor, stock: torch.Tensor, peers: dict[str, Any]) -> None:
        checked.append(set(peers))
        raise DisagreementError(f"{where}: no")

    monkeypatch.setattr(race, "check_losses", disagree)
    monkeypatch.setattr(race, "measure_workers", lambda *arguments: pytest.fail("measured"))
    with pytest.raises(DisagreementError, match="here: no"):
        run(CASES["bigram"], ("stock", "numpy"), (1, 2))
    assert checked == [{"stock at 2 threads", "numpy at 1 thread"}]


def test_the_unbiased_variance_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subtlest of mistakes: the lectures' batch norm divides by n - 1."""

    def normalise(self: PlainTensorsPeer, norm: Any, hpreact: torch.Tensor) -> torch.Tensor:
        mean, var = hpreact.mean(0, keepdim=True), hpreact.var(0, keepdim=True, unbiased=True)
        return norm.bngain * (hpreact - mean) / torch.sqrt(var + 1e-5) + norm.bnbias

    monkeypatch.setattr(PlainTensorsPeer, "_normalise", normalise)
    case = CASES["batch-norm"]
    data = examples(case)
    losses = {
        race.Entry(name, 1): first_steps(BUILDERS[name](case, data, 1), case)
        for name in ("stock", "plain-tensors")
    }
    with pytest.raises(DisagreementError, match="here: the losses of plain-tensors at 1 thread differ"):
        race._check(case, data, losses, "here")


def test_checked_steps_are_run_in_calls_of_the_timed_size() -> None:
    seen: list[tuple[int, int]] = []

    class Peer:
        def run(self, start: int, count: int) -> torch.Tensor:
            seen.append((start, count))
            return torch.zeros(count)

    losses = first_steps(Peer(), replace(CASES["plain"], steps=10, timed_steps=4))
    assert seen == [(0, 4), (4, 4), (8, 2)]
    assert losses.shape == (10,)
    seen.clear()
    sample = sampler(Peer(), 3, 4)
    sample(2)
    sample(1)
    assert seen == [(3, 4), (7, 4), (11, 4)]


def test_a_quick_run_has_every_model_and_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    raced: list[tuple[str, tuple[str, ...]]] = []

    def pretend(case: TrainCase, data: TrainData, names: list[str], *rest: object) -> race.Race:
        raced.append((case.model, tuple(names)))
        return race.Race({}, (), ())

    monkeypatch.setattr(train_suite, "run_race", pretend)
    monkeypatch.setattr(train_suite, "measure_rates", lambda threads: RATES)
    list(run_train(QUICK, (1,), None, lambda what: None))
    modules_alone = ("stock", "fused-layers", "fused-step", "plain-tensors")
    assert raced == [
        ("bigram", (*modules_alone, "numpy")),
        *((model, modules_alone) for model in ("mlp", "mlp", "wavenet", "gpt")),
    ]
    raced.clear()
    for comparison in run_train(FULL, (1, 2), None, lambda what: None):
        compiled = {"torch.compile", "torch.compile-max-autotune"} & set(raced[-1][1])
        noted = {note.split(": ")[1].split(" ")[0] for note in comparison.notes}
        assert compiled | noted == {"torch.compile", "torch.compile-max-autotune"}
        assert compiled.isdisjoint(noted)
    assert len(raced) == len(train_cases(quick=False))
