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

_MOMENTUM, _EPS = 0.1, 1e-5  # those of nn.BatchNorm1d


class JaxScanPeer:
    """Trains the MLP written as a function of a dict of arrays."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        jax: Any = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        self.jnp = jnp
        weights = {
            key: jnp.array(w.numpy()) for key, w in case.build_model(data.vocab_size).state_dict().items()
        }
        hidden, output = ("2", "5") if case.batch_norm else ("2", "4")
        params = {
            "C": weights["net.0.weight"],  # (V, E)
            "W1": weights[f"net.{hidden}.weight"].T,  # (block * E, H)
            "b1": weights[f"net.{hidden}.bias"],  # (H,)
            "W2": weights[f"net.{output}.weight"].T,  # (H, V)
            "b2": weights[f"net.{output}.bias"],  # (V,)
        }
        running = {}
        if case.batch_norm:
            params |= {"gain": weights["net.3.weight"], "shift": weights["net.3.bias"]}  # (H,), (H,)
            running = {
                "mean": weights["net.3.running_mean"],
                "var": weights["net.3.running_var"],
            }  # (H,), (H,)
        self.state = (params, running)
        tokens = jnp.array(data.tokens.numpy(), dtype=jnp.int32)  # (n, block)
        targets = jnp.array(data.targets.numpy(), dtype=jnp.int32)  # (n,)
        self.indices = case.build_indices(len(data.targets))

        def step(state: Any, ix: Any) -> Any:
            params, running = state
            (loss, running), grads = jax.value_and_grad(_loss, has_aux=True)(
                params, running, tokens[ix], targets[ix]
            )
            params = jax.tree.map(lambda p, g: p - case.learning_rate * g, params, grads)
            return (params, running), loss

        self.scan = jax.jit(lambda state, indices: jax.lax.scan(step, state, indices), donate_argnums=0)

    def run(self, start: int, count: int) -> Tensor:
        """Run steps; see TrainPeer. Compiles anew for each ``count``."""
        drawn = self.indices.steps(start, start + count).to(torch.int32)  # (count, B)
        self.state, losses = self.scan(self.state, self.jnp.asarray(drawn.numpy()))
        return torch.tensor(losses.tolist())  # (count,)


def _loss(params: Any, running: Any, tokens: Any, targets: Any) -> Any:
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    embedded = params["C"][tokens].reshape(tokens.shape[0], -1)  # (B, block * E)
    hidden = embedded @ params["W1"] + params["b1"]  # (B, H)
    if running:
        n = hidden.shape[0]
        mean, var = hidden.mean(0), hidden.var(0)  # (H,), (H,)
        hidden = (hidden - mean) / jnp.sqrt(var + _EPS) * params["gain"] + params["shift"]  # (B, H)
        running = {
            "mean": (1 - _MOMENTUM) * running["mean"] + _MOMENTUM * mean,
            "var": (1 - _MOMENTUM) * running["var"] + _MOMENTUM * var * (n / (n - 1)),
        }
    logits = jnp.tanh(hidden) @ params["W2"] + params["b2"]  # (B, V)
    logprobs = jax.nn.log_softmax(logits)  # (B, V)
    return -jnp.take_along_axis(logprobs, targets[:, None], axis=1).mean(), running


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
