"""Training with torch.nn modules: stock layers, fused layers, and the native step engine.

All of them run in the steps of ``namegen_ext.training``, with its optimizer. The steps through autograd gather the
examples of many steps together, set gradients to None, and make the SGD update in one fused call.
"""

from __future__ import annotations

from torch import Tensor, nn

from namegen_bench.suites.train.train_case import PeerUnavailableError, TrainCase, TrainData
from namegen_ext.engine import UnsupportedModelError
from namegen_ext.fusion import fuse
from namegen_ext.training.engine_steps import EngineSteps
from namegen_ext.training.steps import AutogradSteps, StepRunner


class ModulePeer:
    """Trains a module.

    Args:
        case: what is trained.
        data: the examples.
        model: called as ``model(tokens, targets)``.
        backend: the class that runs the steps, through autograd or in the native engine.
        note: a sentence to show with the peer's time; empty for none.

    """

    def __init__(
        self,
        case: TrainCase,
        data: TrainData,
        model: nn.Module,
        backend: type[AutogradSteps | EngineSteps] = AutogradSteps,
        note: str = "",
    ) -> None:
        self.note = note
        optimizer = case.build_optimizer(model.parameters())
        self.steps: StepRunner = backend(model, optimizer, data.tokens, data.targets)
        self.indices = case.build_indices(len(data.targets))
        self.learning_rate = case.learning_rate

    def run(self, start: int, count: int) -> Tensor:
        """Run steps; see TrainPeer."""
        return self.steps.run(self.indices.steps(start, start + count), [self.learning_rate] * count)


def stock(case: TrainCase, data: TrainData, threads: int) -> ModulePeer:
    """Train the stock layers."""
    return ModulePeer(case, data, case.build_model(data.vocab_size))


def stock_float64(case: TrainCase, data: TrainData) -> ModulePeer:
    """Train the stock layers in float64. The losses of all other peers are compared with theirs."""
    return ModulePeer(case, data, case.build_model(data.vocab_size).double())


def fused_layers(case: TrainCase, data: TrainData, threads: int) -> ModulePeer:
    """Train the same layers after ``namegen_ext.fuse``, as its user would, even where it fuses nothing."""
    model = case.build_model(data.vocab_size)
    report = fuse(model)
    note = "" if report.fused else "fuse() finds nothing to fuse in this model: these are the stock layers"
    return ModulePeer(case, data, model, note=note)


def fused_step(case: TrainCase, data: TrainData, threads: int) -> ModulePeer:
    """Train the stock layers in the native engine. All steps of a call run in one call of the engine."""
    try:
        return ModulePeer(case, data, case.build_model(data.vocab_size), EngineSteps)
    except UnsupportedModelError as error:
        raise PeerUnavailableError(str(error)) from None
