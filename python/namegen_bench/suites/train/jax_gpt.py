"""Training a GPT in JAX: one jitted ``lax.scan`` over all the steps of a call, with AdamW in it.

Written as jax_scan.py is. All positions of a minibatch are computed, as in torch. The layers of a GPT have the same
shapes, but the loop over them is written out: a scan over the layers was no faster (lecture GPT, batch 32).
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from namegen_bench.suites.train.train_case import TrainCase, TrainData
from namegen_ext.data import IGNORED
from namegen_ext.models import GPT
from namegen_ext.models.gpt_block import NORM_EPS

Params = dict[str, Any]  # arrays by the names that torch has for them


class JaxGptPeer:
    """Trains a GPT, written as a function of a dict of arrays."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        jax: Any = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        self.jnp = jnp
        model = case.build_model(data.vocab_size)
        assert isinstance(model, GPT)
        params = {name: jnp.array(tensor.detach().numpy()) for name, tensor in model.named_parameters()}
        zeros = {name: jnp.zeros_like(array) for name, array in params.items()}
        self.state = (params, zeros, {name: jnp.zeros_like(array) for name, array in params.items()}, 0)
        tokens = jnp.array(data.tokens.numpy(), dtype=jnp.int32)  # (n, block)
        targets = jnp.array(data.targets.numpy(), dtype=jnp.int32)  # (n, block)
        self.indices = case.build_indices(len(data.targets))
        config, adamw, rate = model.config, case.adamw, case.learning_rate

        def step(state: Any, ix: Any) -> Any:
            params, means, squares, updates = state
            loss, grads = jax.value_and_grad(_loss)(params, config, tokens[ix], targets[ix])
            if not case.is_adamw:
                return (jax.tree.map(lambda p, g: p - rate * g, params, grads), means, squares, updates), loss
            updates = updates + 1
            means = jax.tree.map(lambda m, g: adamw.beta1 * m + (1 - adamw.beta1) * g, means, grads)
            squares = jax.tree.map(lambda v, g: adamw.beta2 * v + (1 - adamw.beta2) * g * g, squares, grads)
            by_mean, by_square = 1 - adamw.beta1**updates, 1 - adamw.beta2**updates

            def moved(p: Any, m: Any, v: Any) -> Any:
                return p * (1 - rate * adamw.weight_decay) - rate / by_mean * m / (
                    jnp.sqrt(v / by_square) + 1e-8
                )

            return (jax.tree.map(moved, params, means, squares), means, squares, updates), loss

        self.scan = jax.jit(lambda state, indices: jax.lax.scan(step, state, indices), donate_argnums=0)

    def run(self, start: int, count: int) -> Tensor:
        """Run steps; see TrainPeer. JAX compiles again for each new ``count``."""
        drawn = self.indices.steps(start, start + count).to(torch.int32)  # (count, B)
        self.state, losses = self.scan(self.state, self.jnp.asarray(drawn.numpy()))
        return torch.tensor(losses.tolist())  # (count,)


def _norm(params: Params, name: str, x: Any, kind: str) -> Any:
    jnp: Any = importlib.import_module("jax.numpy")
    centred = x - x.mean(-1, keepdims=True) if kind == "layer" else x
    scaled = centred / jnp.sqrt((centred * centred).mean(-1, keepdims=True) + NORM_EPS)
    if kind == "layer":
        scaled = scaled * params[f"{name}.weight"]
    return scaled + params[f"{name}.bias"] if f"{name}.bias" in params else scaled


def _linear(params: Params, name: str, x: Any) -> Any:
    product = x @ params[f"{name}.weight"].T
    return product + params[f"{name}.bias"] if f"{name}.bias" in params else product


def _activation(name: str, x: Any) -> Any:
    jax: Any = importlib.import_module("jax")
    return jax.nn.relu(x) if name == "relu" else jax.nn.gelu(x, approximate=name == "gelu-tanh")


def _attention(params: Params, name: str, x: Any, heads: int) -> Any:
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    batch, length, width = x.shape
    size = width // heads
    projections = _linear(params, f"{name}.projections.0", x).reshape(batch, length, 3, heads, size)
    query, key, value = (projections[:, :, i].transpose(0, 2, 1, 3) for i in range(3))  # (B, heads, T, size)
    scores = query @ key.transpose(0, 1, 3, 2) / size**0.5  # (B, heads, T, T)
    causal = jnp.tril(jnp.ones((length, length), dtype=bool))
    mixed = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf)) @ value  # (B, heads, T, size)
    return _linear(params, f"{name}.output.0", mixed.transpose(0, 2, 1, 3).reshape(batch, length, width))


def _loss(params: Params, config: dict[str, Any], tokens: Any, targets: Any) -> Any:
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    x = (
        params["token_embedding.weight"][tokens] + params["position_embedding.weight"][: tokens.shape[1]]
    )  # (B, T, E)
    kind = config["norm"]
    if config["embedding_norm"]:
        x = _norm(params, "embedding_norm", x, kind)
    for layer in range(config["num_layers"]):
        name = f"blocks.{layer}"
        normed = _norm(params, f"{name}.norm_1", x, kind)
        x = x + _attention(params, f"{name}.attention", normed, config["num_heads"])
        hidden = _linear(params, f"{name}.network.0", _norm(params, f"{name}.norm_2", x, kind))
        x = x + _linear(params, f"{name}.network.2", _activation(config["activation"], hidden))
    if config["final_norm"]:
        x = _norm(params, "norm", x, kind)
    head = params[
        "head.weight" if "head.weight" in params else "token_embedding.weight"
    ]  # tied, where it is not there
    logprobs = jax.nn.log_softmax(x @ head.T)  # (B, T, V)
    counted = targets != IGNORED
    wanted = jnp.where(counted, targets, 0)
    nll = -jnp.take_along_axis(logprobs, wanted[..., None], axis=-1)[..., 0]  # (B, T)
    return (nll * counted).sum() / counted.sum()
