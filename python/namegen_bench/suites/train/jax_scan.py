"""Training in JAX: one jitted ``lax.scan`` over all the steps of a call.

It is written to be fast: examples are 32-bit and lie on the device, the weights are donated, so that they are updated
in place, and the losses are fetched once per call. With one thread, XLA's own thread pool is off, and the process of
the benchmark is kept on one CPU.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

import torch
from torch import Tensor

from namegen_bench.suites.train.jax_gpt import JaxGptPeer
from namegen_bench.suites.train.train_case import PeerUnavailableError, TrainCase, TrainData
from namegen_bench.suites.train.weights import LevelWeights, read_weights

_MOMENTUM, _EPS = 0.1, 1e-5  # the defaults of nn.BatchNorm1d


class JaxScanPeer:
    """Trains the model, written as a function of a dict of arrays."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        jax: Any = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        self.jnp = jnp
        weights = read_weights(case.build_model(data.vocab_size))
        groups = tuple(level.group for level in weights.levels)
        params = {
            "C": jnp.array(weights.embedding.numpy()),  # (V, E)
            "levels": [
                {name: jnp.array(tensor.numpy()) for name, tensor in _tensors(level).items()}
                for level in weights.levels
            ],
        }
        if weights.output_weight is not None and weights.output_bias is not None:  # a bigram has neither
            params["W2"] = jnp.array(weights.output_weight.numpy())  # (H, V)
            params["b2"] = jnp.array(weights.output_bias.numpy())  # (V,)
        running = [
            {"mean": jnp.zeros_like(level["gain"]), "var": jnp.ones_like(level["gain"])}  # (H,), (H,)
            for level in params["levels"]
            if "gain" in level
        ]
        self.state = (params, running)
        tokens = jnp.array(data.tokens.numpy(), dtype=jnp.int32)  # (n, block)
        targets = jnp.array(data.targets.numpy(), dtype=jnp.int32)  # (n,)
        self.indices = case.build_indices(len(data.targets))

        def step(state: Any, ix: Any) -> Any:
            params, running = state
            (loss, running), grads = jax.value_and_grad(_loss, has_aux=True)(
                params, running, groups, tokens[ix], targets[ix]
            )
            params = jax.tree.map(lambda p, g: p - case.learning_rate * g, params, grads)
            return (params, running), loss

        self.scan = jax.jit(lambda state, indices: jax.lax.scan(step, state, indices), donate_argnums=0)

    def run(self, start: int, count: int) -> Tensor:
        """Run steps; see TrainPeer. JAX compiles again for each new ``count``."""
        drawn = self.indices.steps(start, start + count).to(torch.int32)  # (count, B)
        self.state, losses = self.scan(self.state, self.jnp.asarray(drawn.numpy()))
        return torch.tensor(losses.tolist())  # (count,)


def _tensors(level: LevelWeights) -> dict[str, Tensor]:
    named = {"W": level.weight, "b": level.bias, "gain": level.gain, "shift": level.shift}
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def _loss(params: Any, running: Any, groups: tuple[int, ...], tokens: Any, targets: Any) -> Any:
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    hidden = params["C"][tokens]  # (B, T, C), with T = block and C = E at first
    new_running: list[Any] = []
    for level, group in zip(params["levels"], groups, strict=True):
        batch_size, length, channels = hidden.shape
        # One row for each position that is left, so that this is a plain matrix product.
        rows = hidden.reshape(batch_size * (length // group), group * channels) @ level["W"]  # (N, H)
        if "b" in level:
            rows = rows + level["b"]
        if "gain" in level:
            rows, statistics = _normalise(rows, level, running[len(new_running)])
            new_running.append(statistics)
        hidden = jnp.tanh(rows).reshape(batch_size, length // group, -1)  # (B, T / group, H)
    logits = hidden.reshape(tokens.shape[0], -1)  # (B, H), or (B, V) of a bigram
    if "W2" in params:
        logits = logits @ params["W2"] + params["b2"]  # (B, V)
    logprobs = jax.nn.log_softmax(logits)  # (B, V)
    return -jnp.take_along_axis(logprobs, targets[:, None], axis=1).mean(), new_running


def _normalise(rows: Any, level: Any, running: Any) -> tuple[Any, Any]:
    jnp: Any = importlib.import_module("jax.numpy")
    n = rows.shape[0]
    mean, var = rows.mean(0), rows.var(0)  # (H,), (H,)
    normalised = (rows - mean) / jnp.sqrt(var + _EPS) * level["gain"] + level["shift"]  # (N, H)
    return normalised, {
        "mean": (1 - _MOMENTUM) * running["mean"] + _MOMENTUM * mean,
        "var": (1 - _MOMENTUM) * running["var"] + _MOMENTUM * var * (n / (n - 1)),
    }


def load_jax(threads: int) -> None:
    """Import JAX for the CPU, with one thread or with all.

    Args:
        threads: 1 for one thread; any other number leaves JAX its own pool of threads.

    Raises:
        PeerUnavailableError: JAX is not installed, or cannot be imported.

    """
    if importlib.util.find_spec("jax") is None:
        raise PeerUnavailableError("JAX is not installed")
    if "jax" not in sys.modules:  # JAX reads these variables once, when it starts
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        if threads == 1:
            flags = os.environ.get("XLA_FLAGS", "")
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    try:
        importlib.import_module("jax.numpy")
    except (ImportError, RuntimeError) as error:
        raise PeerUnavailableError(f"JAX does not work: {error}") from None


def jax_scan(case: TrainCase, data: TrainData, threads: int) -> JaxScanPeer | JaxGptPeer:
    """Train in JAX.

    Raises:
        PeerUnavailableError: JAX is not installed, or does not work, or the model is not written for it.

    """
    load_jax(threads)
    try:
        return JaxGptPeer(case, data) if case.model == "gpt" else JaxScanPeer(case, data)
    except (ImportError, RuntimeError) as error:
        if isinstance(error, PeerUnavailableError):
            raise
        raise PeerUnavailableError(f"JAX does not work: {error}") from None
