"""The states of torch's global generators, which dropout draws from."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


def generator_states() -> dict[str, Tensor]:
    """Return the state of each device's global generator: "cpu", and "cuda:0" and so on: uint8 (n,)."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"cuda:{index}"] = state
    return states


@contextmanager
def own_generators(seed: int, states: Mapping[str, Tensor] | None = None) -> Iterator[None]:
    """Make what is drawn inside the context depend on a seed alone, and then restore the caller's generators.

    Args:
        seed: any integer.
        states: as :func:`generator_states` gave them, to go on from there. A device that is not among them, as
            where a run is resumed on another one, begins from the seed.

    Raises:
        RuntimeError: a state is not one.

    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        # The seed is hashed with a text, so that these numbers are independent of others that are drawn from the seed.
        torch.manual_seed(random.Random(f"training {seed}").getrandbits(63))
        for name, state in (states or {}).items():
            if name == "cpu":
                torch.set_rng_state(state)
            elif torch.cuda.is_available() and int(name.removeprefix("cuda:")) < torch.cuda.device_count():
                torch.cuda.set_rng_state(state, name)
        yield
