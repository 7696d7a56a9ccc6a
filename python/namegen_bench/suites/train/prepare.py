"""What a worker does before the first sample: it builds a peer, and runs the steps whose losses are checked."""

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
    """The result of a peer's first steps.

    Attributes:
        losses: the loss of each step in nats.
        seconds: how long it took to build the peer and to run the steps.
        note: a sentence to show about the peer; empty for none.

    """

    losses: tuple[float, ...]
    seconds: float
    note: str


def preparation(name: str, case: TrainCase, data: TrainData) -> Prepare:
    """Return a function that builds a peer in another process; see :class:`namegen_bench.measuring.workers.Worker`."""
    # The data is sent as arrays, which are copied to the process. A tensor would be shared with it.
    return partial(_prepare, name, case, data.vocab_size, data.tokens.numpy(), data.targets.numpy())


def _prepare(
    name: str, case: TrainCase, vocab_size: int, tokens: NDArray[Any], targets: NDArray[Any], threads: int
) -> Prepared:
    data = TrainData(vocab_size, torch.from_numpy(tokens), torch.from_numpy(targets))
    if name == JAX:
        if threads == 1:
            # XLA's flag for one thread is not enough: with it, XLA still uses 1.8 CPUs at batch 1,024. Its pools have a
            # thread for each CPU that the process may run on.
            _bind_to_one_cpu()
        load_jax(threads)
    before = own_memory()
    began = time.perf_counter()
    try:
        peer = BUILDERS[name](case, data, threads)
        losses = first_steps(peer, case)  # for a peer that compiles, this is when it does
    except Exception as error:  # the compiler may fail in any way, for want of a C++ compiler say
        if name not in SLOW_TO_COMPILE or isinstance(error, PeerUnavailableError):
            raise
        lines = str(error).strip().splitlines() or [""]
        raise PeerUnavailableError(f"{type(error).__name__}: {lines[0]}") from None
    seconds = time.perf_counter() - began
    result = FirstSteps(tuple(losses.tolist()), seconds, getattr(peer, "note", ""))
    return Prepared(result, sampler(peer, case.steps, case.timed_steps), before)


def first_steps(peer: TrainPeer, case: TrainCase) -> Tensor:
    """Run the steps whose losses are checked, in calls as long as a timed call; return the losses (steps,)."""
    starts = range(0, case.steps, case.timed_steps)
    return torch.cat([peer.run(start, min(case.timed_steps, case.steps - start)) for start in starts])


def sampler(peer: TrainPeer, next_step: int, steps: int) -> Sampler:
    """Return a sampler whose calls each run ``steps`` steps. Each call goes on where the one before stopped."""

    def sample(calls: int) -> None:
        nonlocal next_step
        for _ in range(calls):
            peer.run(next_step, steps)
            next_step += steps

    return sample


def _bind_to_one_cpu() -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise PeerUnavailableError("JAX on one thread: this system cannot bind a process to one CPU")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
