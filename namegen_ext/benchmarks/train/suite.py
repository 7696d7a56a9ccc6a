"""The cases of the suite, and how one is measured."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from namegen_ext.benchmarks.agreement import check_losses
from namegen_ext.benchmarks.comparison import FUSED_STEP, STOCK, Comparison, Measured, describe_sizes
from namegen_ext.benchmarks.matmul_rate import matmul_rate
from namegen_ext.benchmarks.settings import Settings
from namegen_ext.benchmarks.timing import Sampler, Timing, measure
from namegen_ext.benchmarks.train import modules
from namegen_ext.benchmarks.train.case import PeerUnavailableError, TrainCase, TrainData, TrainPeer
from namegen_ext.benchmarks.train.jax_scan import jax_scan
from namegen_ext.benchmarks.train.operations import operations_per_step
from namegen_ext.benchmarks.train.plain_tensors import plain_tensors
from namegen_ext.benchmarks.train.weights import read_weights
from namegen_ext.data import load_words
from namegen_ext.training import Corpus

FUSED_LAYERS, COMPILED, JAX = "fused-layers", "torch.compile", "jax-scan"
PLAIN_TENSORS = "plain-tensors"
PEERS: dict[str, Callable[[TrainCase, TrainData, int], TrainPeer]] = {
    STOCK: modules.stock,
    FUSED_LAYERS: modules.fused_layers,
    FUSED_STEP: modules.fused_step,
    PLAIN_TENSORS: plain_tensors,
    COMPILED: modules.compiled,
    JAX: jax_scan,
}
_COMPILING = (COMPILED, JAX)


def _mlp(
    batch_size: int,
    steps: int,
    timed_steps: int,
    target: float,
    plain: float,
    jax: float,
    *,
    batch_norm: bool,
) -> TrainCase:
    """The MLP of 11,897 parameters, or 12,297 with batch norm."""
    return TrainCase(
        batch_norm=batch_norm,
        batch_size=batch_size,
        steps=steps,
        timed_steps=timed_steps,
        target=target,
        step_targets={PLAIN_TENSORS: plain, JAX: jax},
    )


def _wavenet(
    batch_size: int, steps: int, timed_steps: int, target: float, plain: float, jax: float
) -> TrainCase:
    """The WaveNet of 76,579 parameters."""
    return TrainCase(
        model="wavenet",
        batch_norm=True,
        batch_size=batch_size,
        steps=steps,
        timed_steps=timed_steps,
        target=target,
        step_targets={PLAIN_TENSORS: plain, JAX: jax},
        embedding_dim=24,
        block_size=8,
        hidden_size=128,
    )


_CASES = (
    _mlp(32, 200, 1000, target=1.0, plain=14, jax=2.7, batch_norm=False),
    _mlp(1024, 20, 100, target=1.0, plain=4, jax=1.8, batch_norm=False),
    _mlp(32, 200, 1000, target=1.4, plain=20, jax=2.7, batch_norm=True),
    _mlp(1024, 20, 100, target=1.0, plain=5, jax=1.8, batch_norm=True),
    _wavenet(32, 40, 200, target=1.6, plain=5.5, jax=1.8),
    _wavenet(1024, 4, 10, target=1.8, plain=3.3, jax=1.8),
)
_QUICK_CASES = tuple(replace(_CASES[number], steps=20, timed_steps=20) for number in (0, 2, 4))
# A round of all peers takes up to a second: more time than an operator's, for as many rounds.
_BUDGETS = 2.5
_COUNTED_STEPS = 20  # their symbols are counted, for the mean
_SPLIT_SEED = 42


def train_cases(quick: bool) -> tuple[TrainCase, ...]:
    """Return the cases."""
    return _QUICK_CASES if quick else _CASES


def run_train(
    settings: Settings, threads: int, only_peers: frozenset[str] | None, tell: Callable[[str], None]
) -> Iterator[Comparison]:
    """Measure each case.

    Args:
        settings: how long and how often.
        threads: number of threads that torch is set to.
        only_peers: the peers to measure, beside stock; None for all, less those that compile when quick.
        tell: is told what is being measured.

    Raises:
        DisagreementError: a peer's losses are not those of the stock layers.

    """
    words = load_words("census").words
    settings = replace(settings, budget_seconds=_BUDGETS * settings.budget_seconds)
    for case in train_cases(settings.quick):
        tell(f"{case.name}, batch {case.batch_size:,}")
        corpus = Corpus.build(words, block_size=case.block_size, split_seed=_SPLIT_SEED)
        data = TrainData(len(corpus.vocabulary), *corpus.train)
        yield _compare(case, data, settings, threads, only_peers, tell)


def _compare(
    case: TrainCase,
    data: TrainData,
    settings: Settings,
    threads: int,
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Comparison:
    where = f"{case.name}, batch {case.batch_size:,}"
    peers: dict[str, TrainPeer] = {}
    losses: dict[str, Tensor] = {}
    compile_seconds: dict[str, float] = {}
    notes = []
    for name in PEERS:
        if name != STOCK and only_peers is not None and name not in only_peers:
            continue
        if settings.quick and only_peers is None and name in _COMPILING:
            notes.append(f"{name} left out of a quick run: it takes long to compile")
            continue
        tell(f"{where}, first steps of {name}")
        began = time.perf_counter()
        try:
            peers[name], losses[name] = _first_steps(name, case, data, threads)
        except PeerUnavailableError as error:
            notes.append(f"{name} left out: {error}")
            continue
        if name in _COMPILING:
            compile_seconds[name] = time.perf_counter() - began
    _check(case, data, losses, where)

    operations, rate = _operations(case, data), matmul_rate()  # now, as a machine's clock changes
    floor = operations / rate
    notes.append(
        f"{where}: the floor is {floor * 1e6:,.1f} us, {operations / 1e6:,.2f} million operations at the "
        f"{rate / 1e9:,.0f} GFLOP/s of a float32 matrix product in torch, {threads} thread{'s' * (threads > 1)}"
    )
    tell(where)
    timings = measure(
        {name: _sampler(peer, case.steps, case.timed_steps) for name, peer in peers.items()}, settings
    )
    return Comparison(
        suite="train",
        case=case.name,
        mode="step",
        sizes=describe_sizes(case.sizes(data.vocab_size)),
        batch=case.batch_size,
        peers={
            name: Measured(
                timing=_per_step(timing, case.timed_steps),
                compile_seconds=compile_seconds.get(name),
                loss=float(losses[name][-1]),
                share_of_floor=floor / (timing.seconds.median / case.timed_steps),
            )
            for name, timing in timings.items()
        },
        target=None if settings.quick else case.target,
        step_targets={} if settings.quick else case.step_targets,
        notes=tuple(notes),
    )


def _first_steps(name: str, case: TrainCase, data: TrainData, threads: int) -> tuple[TrainPeer, Tensor]:
    """Build a peer and run the steps that are checked; for one that compiles, this is when it does."""
    if name != COMPILED:
        peer = PEERS[name](case, data, threads)
        return peer, peer.run(0, case.steps)
    try:
        # A user compiles for the first time once: what an earlier run left on the disk is not used.
        config: Any = torch.compiler.config
        with config.patch(force_disable_caches=True), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*force disabled by torch.compiler.config")
            peer = PEERS[name](case, data, threads)
            return peer, peer.run(0, case.steps)
    except Exception as error:  # whatever the compiler stumbles over, such as a missing C++ compiler
        lines = str(error).strip().splitlines() or [""]
        raise PeerUnavailableError(f"{type(error).__name__}: {lines[0]}") from None


def _check(case: TrainCase, data: TrainData, losses: dict[str, Tensor], where: str) -> None:
    reference = modules.stock_float64(case, data).run(0, case.steps)  # (steps,)
    others = {name: found for name, found in losses.items() if name != STOCK}
    check_losses(where, reference, losses[STOCK], others)


def _operations(case: TrainCase, data: TrainData) -> float:
    minibatches = case.build_indices(len(data.targets)).steps(0, min(case.steps, _COUNTED_STEPS))  # (K, B)
    return operations_per_step(
        read_weights(case.build_model(data.vocab_size)), list(data.tokens[minibatches])
    )


def _sampler(peer: TrainPeer, next_step: int, steps: int) -> Sampler:
    """One call is so many steps, from ``next_step`` on; each call goes on where the one before stopped."""

    def sample(calls: int) -> None:
        nonlocal next_step
        for _ in range(calls):
            peer.run(next_step, steps)
            next_step += steps

    return sample


def _per_step(timing: Timing, steps: int) -> Timing:
    return Timing(tuple(seconds / steps for seconds in timing.samples), timing.calls * steps)
