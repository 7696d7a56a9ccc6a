"""Pieces of work whose results are compared to the bit: operators, fused layers, engines and samplers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

import namegen_ext
from namegen_ext.engine import StepEngine
from namegen_ext.models import MLP, WaveNet

Result = TypeVar("Result")
V = 27


def parameters(model: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in model.state_dict().values()]


def op_calls(seed: int = 0, repeat: int = 5) -> list[Tensor]:
    """Both operators forward and backward, at a size that is split between threads."""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(V, (8192, 3), generator=g)
    table, weight = torch.randn(V, 10, generator=g), torch.randn(100, 30, generator=g)
    results: list[Tensor] = []
    for _ in range(repeat):
        leaves = [table.clone().requires_grad_(), weight.clone().requires_grad_()]
        mean, var = torch.zeros(100), torch.ones(100)
        hidden = namegen_ext.ops.embedding_concat_linear(tokens, *leaves)
        y = namegen_ext.ops.batch_norm(hidden, mean, var, None, None, True, 0.1, 1e-5, "tanh")
        results = [y.detach(), mean, var, *torch.autograd.grad(y, leaves, torch.ones_like(y))]
    return results


def layer_training(seed: int = 0, steps: int = 30) -> list[Tensor]:
    """A fused model of its own, trained through autograd."""
    model, tokens, targets = make_model("mlp", seed)
    assert namegen_ext.fuse(model).fused
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(steps):
        rows = slice(step * 8 % 256, step * 8 % 256 + 32)
        optimizer.zero_grad()
        output = model(tokens[rows])
        logits = output[0] if isinstance(output, tuple) else output
        nn.functional.cross_entropy(logits, targets[rows]).backward()
        optimizer.step()
    return parameters(model)


def make_model(kind: str, seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A model with batch norm and examples for it, the same for the same seed."""
    g = torch.Generator().manual_seed(seed)
    model: nn.Module = MLP(V, generator=g) if kind == "mlp" else WaveNet(V, generator=g)
    block_size: Any = model.block_size
    return model, torch.randint(V, (300, block_size), generator=g), torch.randint(V, (300,), generator=g)


def engine_training(seed: int = 0, kind: str = "mlp", calls: int = 3) -> list[Tensor]:
    """A model of its own in an engine of its own: minibatches of four chunks, which threads share."""
    model, tokens, targets = make_model(kind, seed)
    engine = StepEngine(model, torch.optim.AdamW(model.parameters(), 0.01))
    g = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(calls):
        losses.append(engine.run(tokens, targets, torch.randint(300, (2, 600), generator=g), [0.01, 0.01]))
    return [*losses, engine.logits(tokens), *parameters(model)]


def at_once(calls: list[Callable[[], Result]], timeout: float = 120) -> list[Result]:
    """The results of calls that are started together, each on a thread of its own."""
    results: list[Any] = [TimeoutError("a thread did not end")] * len(calls)
    together = threading.Barrier(len(calls))

    def run(number: int) -> None:
        together.wait(timeout)
        try:
            results[number] = calls[number]()
        except BaseException as error:  # handed to the thread that compares
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def same_bits(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(
        x.numpy().tobytes() == y.numpy().tobytes() for x, y in zip(a, b, strict=True)
    )
