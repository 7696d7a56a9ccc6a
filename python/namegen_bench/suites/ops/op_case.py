"""What the benchmarks of all operators have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from namegen_bench.measuring.floor import Work
from namegen_bench.names import FUSED_LAYERS, FUSED_OP, OPS, SUITE_PEERS
from namegen_ext.fusion import fuse

# Inference: in evaluation mode, without a graph. Forward: in training mode, with a graph that is thrown away.
# Forward+backward: in training mode, with the backward pass.
INFERENCE, FORWARD, FORWARD_BACKWARD = "inference", "forward", "forward+backward"
MODES = (INFERENCE, FORWARD, FORWARD_BACKWARD)

FLOAT_BYTES, TOKEN_BYTES = 4, 8


@dataclass
class OpPeer:
    """One way to compute an operator, with parameters and an input of its own.

    Attributes:
        call: takes the input and returns the output.
        input: the input.
        leaves: the tensors that get a gradient, by name.
        states: other tensors that a call changes, by name.
        output_gradient: the gradient that the backward pass starts from, of the output's shape.

    """

    call: Callable[[Tensor], Tensor]
    input: Tensor
    leaves: dict[str, Tensor]
    states: dict[str, Tensor]
    output_gradient: Tensor

    def inference(self, times: int) -> None:
        """Compute the output without a graph."""
        call, input = self.call, self.input
        with torch.no_grad():
            for _ in range(times):
                call(input)

    def forward(self, times: int) -> None:
        """Compute the output and the graph for a backward pass."""
        call, input = self.call, self.input
        for _ in range(times):
            call(input)

    def forward_backward(self, times: int) -> None:
        """Compute the output and new gradients each time, as after optimizer.zero_grad()."""
        call, input, output_gradient = self.call, self.input, self.output_gradient
        leaves = tuple(self.leaves.values())
        for _ in range(times):
            for leaf in leaves:
                leaf.grad = None
            call(input).backward(output_gradient)

    def results(self, mode: str) -> dict[str, Tensor]:
        """Compute once, and return all tensors that were computed, by name."""
        with torch.set_grad_enabled(mode != INFERENCE):
            output = self.call(self.input)
        results = {"output": output.detach()}
        if mode == FORWARD_BACKWARD:
            output.backward(self.output_gradient)
            results |= {f"gradient of {name}": _gradient(leaf) for name, leaf in self.leaves.items()}
        return results | self.states


@dataclass(frozen=True)
class OpCase(ABC):
    """An operator at given sizes. A case can be sent to another process.

    Attributes:
        batches: the batch sizes to measure at.
        targets: the speedup of forward+backward that should be reached, as pairs of batch and speedup; it is 1 for
            other batches.

    """

    operator: ClassVar[str]
    batches: tuple[int, ...]
    targets: tuple[tuple[int, float], ...]

    @property
    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """The sizes other than the batch."""

    @abstractmethod
    def stock_module(self) -> nn.Sequential:
        """Build the stock layers, the same on each call."""

    @abstractmethod
    def make_input(self, batch: int) -> Tensor:
        """Make the input, the same on each call."""

    @abstractmethod
    def operator_call(self, module: nn.Sequential) -> Callable[[Tensor], Tensor]:
        """Return a function of the input that calls the operator with the module's tensors."""

    @abstractmethod
    def terms(self, batch: int) -> dict[str, int]:
        """Return how many terms an element of each result sums up, by the names in OpPeer.results."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """The last dimension of the output."""

    @abstractmethod
    def work(self, mode: str, batch: int) -> Work:
        """Count the least work of a call. Functions such as tanh do not count as operations."""

    def modes(self, batch: int) -> tuple[str, ...]:
        """Return the modes that make sense for a batch."""
        return MODES

    def target(self, mode: str, batch: int) -> float:
        """Return the speedup over the stock layers that should be reached."""
        return dict(self.targets).get(batch, 1.0) if mode == FORWARD_BACKWARD else 1.0

    def with_batches(self, batches: tuple[int, ...]) -> OpCase:
        """Return the same case at other batches."""
        return replace(self, batches=batches)

    def peer(
        self,
        name: str,
        batch: int,
        mode: str,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> OpPeer:
        """Build a peer. All peers of a case start from the same numbers.

        Args:
            name: a peer of the suite ops.
            batch: number of examples.
            mode: one of MODES.
            dtype: the dtype of the parameters, and of the input where it is floating-point.
            device: the device of all tensors.

        Raises:
            ValueError: there is no such peer.

        """
        if name not in SUITE_PEERS[OPS]:
            raise ValueError(f"name must be one of {', '.join(SUITE_PEERS[OPS])}, but got {name!r}")
        module = self.stock_module().to(device, dtype).train(mode != INFERENCE)
        input = self.make_input(batch).to(device)
        if input.is_floating_point():
            input = input.to(dtype).requires_grad_()
        leaves: dict[str, Tensor] = dict(module.named_parameters())
        if input.requires_grad:
            leaves["input"] = input
        call: Callable[[Tensor], Tensor] = module
        if name == FUSED_OP:
            call = self.operator_call(module)
        elif name == FUSED_LAYERS:
            report = fuse(module)
            assert [site.fused for site in report] == [True], str(report)
        generator = torch.Generator().manual_seed(2)
        output_gradient = torch.randn(batch, self.output_size, generator=generator)  # (B, H)
        output_gradient = output_gradient.to(device, dtype)
        states = {key: state for key, state in module.named_buffers() if state.is_floating_point()}
        return OpPeer(call, input, leaves, states, output_gradient)


def training_call(case: OpCase, peer: str, batch: int) -> Callable[[], object]:
    """Prepare one forward+backward call of a peer, for :func:`namegen_bench.measuring.memory.peak_memory`."""
    prepared = case.peer(peer, batch, FORWARD_BACKWARD)
    return lambda: prepared.forward_backward(1)


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad
