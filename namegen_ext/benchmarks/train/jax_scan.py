"""Training in JAX: one jitted ``lax.scan`` over all the steps of a call.

In its favour: examples are 32-bit and lie on the device, the weights are donated, so that they are updated in
place, and the losses are fetched once a call. With one thread, XLA's own thread pool is off.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

import torch
from torch import Tensor

from namegen_ext.benchmarks.train.case import PeerUnavailableError, TrainCase, TrainData
from namegen_ext.benchmarks.train.weights import initial_weights

_MOMENTUM, _EPS = 0.1, 1e-5  # those of nn.BatchNorm1d


class JaxScanPeer:
    """Trains the MLP or the WaveNet, written as a function of nested dicts of arrays."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        jax: Any = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        self.jnp = jnp
        weights = initial_weights(case, data.vocab_size)
        groups = tuple(level.group for level in weights.levels)

        def arrays(**tensors: Tensor | None) -> dict[str, Any]:
            return {name: jnp.array(t.numpy()) for name, t in tensors.items() if t is not None}

        params = {
            "levels": [
                arrays(W=level.weight, b=level.bias) for level in weights.levels
            ],  # (group * inputs, H), (H,)
            **arrays(C=weights.embedding, W2=weights.output_weight, b2=weights.output_bias),
        }
        running: list[dict[str, Any]] = []
        for level, own in zip(weights.levels, params["levels"], strict=True):
            bn = level.batch_norm
            running.append(
                {} if bn is None else arrays(mean=bn.running_mean, var=bn.running_var)
            )  # (H,) each
            if bn is not None:
                own |= arrays(gain=bn.gain, shift=bn.shift)  # (H,) each
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
        """Run steps; see TrainPeer. Compiles anew for each ``count``."""
        drawn = self.indices.steps(start, start + count).to(torch.int32)  # (count, B)
        self.state, losses = self.scan(self.state, self.jnp.asarray(drawn.numpy()))
        return torch.tensor(losses.tolist())  # (count,)


def _loss(params: Any, running: Any, groups: tuple[int, ...], tokens: Any, targets: Any) -> Any:
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    x = params["C"][tokens]  # (B, T, E)
    new_running = []
    for level, statistics, group in zip(params["levels"], running, groups, strict=True):
        if x.ndim == 3:
            x = x.reshape(x.shape[0], x.shape[1] // group, -1)  # (B, T / group, group * C)
            x = x[:, 0] if x.shape[1] == 1 else x
        hidden = x @ level["W"]  # (B, T, H) or (B, H)
        if "b" in level:
            hidden = hidden + level["b"]
        if statistics:
            axes = tuple(range(hidden.ndim - 1))
            n = hidden.size // hidden.shape[-1]
            mean, var = hidden.mean(axes), hidden.var(axes)  # (H,), (H,)
            hidden = (hidden - mean) / jnp.sqrt(var + _EPS) * level["gain"] + level["shift"]
            statistics = {
                "mean": (1 - _MOMENTUM) * statistics["mean"] + _MOMENTUM * mean,
                "var": (1 - _MOMENTUM) * statistics["var"] + _MOMENTUM * var * (n / (n - 1)),
            }
        new_running.append(statistics)
        x = jnp.tanh(hidden)
    logits = x @ params["W2"] + params["b2"]  # (B, V)
    logprobs = jax.nn.log_softmax(logits)  # (B, V)
    return -jnp.take_along_axis(logprobs, targets[:, None], axis=1).mean(), new_running


def jax_scan(case: TrainCase, data: TrainData, threads: int) -> JaxScanPeer:
    """Train in JAX.

    Raises:
        PeerUnavailableError: JAX is not installed, or does not work.

    """
    if importlib.util.find_spec("jax") is None:
        raise PeerUnavailableError("JAX is not installed")
    if "jax" not in sys.modules:  # read once, when JAX starts
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        if threads == 1:
            flags = os.environ.get("XLA_FLAGS", "")
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    try:
        return JaxScanPeer(case, data)
    except (ImportError, RuntimeError) as error:
        raise PeerUnavailableError(f"JAX does not work: {error}") from None
