"""What happens in a worker's process before the first sample: a peer is built, and makes the steps that are checked."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from namegen_bench.measuring.memory import own_memory
from namegen_bench.measuring.timing import Sampler
from namegen_bench.measuring.workers import PeerUnavailableError, Prepare, Prepared
from namegen_bench.names import JAX
from namegen_bench.suites.train.jax_scan import load_jax
from namegen_bench.suites.train.train_case import TrainCase, TrainData, TrainPeer
from namegen_bench.suites.train.train_peers import BUILDERS, SLOW_TO_COMPILE


@dataclass(frozen=True)
class FirstSteps:
    """What a peer's first steps came to.

    Attributes:
        losses: in nats, one for each step.
        seconds: how long it took to build the peer and to run them.
        note: what is to be said about the peer; or empty.

    """

    losses: tuple[float, ...]
    seconds: float
    note: str


def preparation(name: str, case: TrainCase, data: TrainData) -> Prepare:
    """Return what builds a peer in another process: see :class:`namegen_bench.measuring.workers.Worker`."""
    # As arrays, which are copied to the process: a tensor would be shared with it.
    return partial(_prepare, name, case, data.vocab_size, data.tokens.numpy(), data.targets.numpy())


def _prepare(
    name: str, case: TrainCase, vocab_size: int, tokens: NDArray[Any], targets: NDArray[Any], threads: int
) -> Prepared:
    data = TrainData(vocab_size, torch.from_numpy(tokens), torch.from_numpy(targets))
    if name == JAX:
        if threads == 1:
            # XLA's flag for one thread leaves it 1.8 CPUs at batch 1,024; its pools have a thread for each CPU allowed.
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        load_jax(threads)
    before = own_memory()
    began = time.perf_counter()
    try:
        peer = BUILDERS[name](case, data, threads)
        losses = first_steps(peer, case)  # for a peer that compiles, this is when it does
    except Exception as error:  # whatever the compiler stumbles over, such as a missing C++ compiler
        if name not in SLOW_TO_COMPILE or isinstance(error, PeerUnavailableError):
            raise
        lines = str(error).strip().splitlines() or [""]
        raise PeerUnavailableError(f"{type(error).__name__}: {lines[0]}") from None
    seconds = time.perf_counter() - began
    result = FirstSteps(tuple(losses.tolist()), seconds, getattr(peer, "note", ""))
    return Prepared(result, sampler(peer, case.steps, case.timed_steps), before)


def first_steps(peer: TrainPeer, case: TrainCase) -> Tensor:
    """Run the steps that are checked, as many in a call as will be in one of a sample: (steps,) losses."""
    starts = range(0, case.steps, case.timed_steps)
    return torch.cat([peer.run(start, min(case.timed_steps, case.steps - start)) for start in starts])


def sampler(peer: TrainPeer, next_step: int, steps: int) -> Sampler:
    """One call is so many steps, from ``next_step`` on; each call goes on where the one before stopped."""

    def sample(calls: int) -> None:
        nonlocal next_step
        for _ in range(calls):
            peer.run(next_step, steps)
            next_step += steps

    return sample
