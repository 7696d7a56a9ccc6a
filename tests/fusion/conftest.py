"""What the tests of fusing share: a recorder of the fused operators that ran, and the reference model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import namegen_ext


class _Recorder(TorchDispatchMode):
    """Notes the name of every forward operator of namegen_ext that reaches a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        namespace, name = func._schema.name.split("::")
        if namespace == "namegen_ext" and "backward" not in name:
            self.names.append(name.removesuffix("_forward"))
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="session")
def fused_calls() -> Callable[..., list[str]]:
    """Call a model and return the names of the fused operators that ran, in order."""

    def call(model: nn.Module, *inputs: Tensor) -> list[str]:
        recorder = _Recorder()
        with recorder:
            model(*inputs)
        return recorder.names

    return call


@pytest.fixture
def make_mlp() -> Callable[..., nn.Sequential]:
    """Build the reference model in small: (B, 3) tokens to (B, 27) logits. A seed gives the same bits."""

    def make(seed: int = 1, **kwargs: Any) -> nn.Sequential:
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Embedding(27, 10, **kwargs),
            nn.Flatten(),
            nn.Linear(30, 24, **kwargs),
            nn.BatchNorm1d(24, **kwargs),
            nn.Tanh(),
            nn.Linear(24, 27, **kwargs),
        )

    return make


@pytest.fixture
def tokens() -> Tensor:
    """Draw a batch of contexts, (32, 3)."""
    return torch.randint(0, 27, (32, 3), generator=torch.Generator().manual_seed(7))


@pytest.fixture
def stock(make_mlp: Callable[..., nn.Sequential]) -> nn.Sequential:
    """Build the reference model as it stands without fusing."""
    return make_mlp()


@pytest.fixture
def model(make_mlp: Callable[..., nn.Sequential]) -> nn.Sequential:
    """Build the same model, fused."""
    fused = make_mlp()
    namegen_ext.fuse(fused)
    return fused
