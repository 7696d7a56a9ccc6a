"""What the tests of the modules share: a recorder of the fused operators that ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


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
    """Call a module and return the names of the fused operators that ran, in order."""

    def call(module: nn.Module, *inputs: Tensor) -> list[str]:
        recorder = _Recorder()
        with recorder:
            module(*inputs)
        return recorder.names

    return call
