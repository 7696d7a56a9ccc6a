"""Training with torch.nn modules: stock layers, fused layers, and the native step engine.

All of them run in the package's own loop, ``namegen_ext.training``, with its optimizer. Through autograd, the
examples of many steps are gathered together, gradients are set to None, and SGD is one fused call.
"""

from __future__ import annotations

from torch import Tensor, nn

from namegen_bench.suites.train.train_case import PeerUnavailableError, TrainCase, TrainData
from namegen_ext.engine import UnsupportedModelError
from namegen_ext.fusion import fuse
from namegen_ext.training import build_optimizer
from namegen_ext.training.engine_steps import EngineSteps
from namegen_ext.training.steps import AutogradSteps, StepRunner


class ModulePeer:
    """Trains a module.

    Args:
        case: what is trained.
        data: the examples.
        model: called as ``model(tokens, targets)``.
        backend: what runs the steps: autograd, or the native engine.
        note: what is to be said about it beside its time.

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
        optimizer = build_optimizer("sgd", model.parameters(), learning_rate=case.learning_rate)
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
    """Train the stock layers in float64, as the measure of the others' losses."""
    return ModulePeer(case, data, case.build_model(data.vocab_size).double())


def fused_layers(case: TrainCase, data: TrainData, threads: int) -> ModulePeer:
    """Train the same layers after ``namegen_ext.fuse``: what its user gets, where it fuses nothing too."""
    model = case.build_model(data.vocab_size)
    report = fuse(model)
    note = "" if report.fused else "fuse() finds nothing to fuse in this model: these are the stock layers"
    return ModulePeer(case, data, model, note=note)


def fused_step(case: TrainCase, data: TrainData, threads: int) -> ModulePeer:
    """Train the stock layers in the native engine, all steps of a call in one."""
    try:
        return ModulePeer(case, data, case.build_model(data.vocab_size), EngineSteps)
    except UnsupportedModelError as error:
        raise PeerUnavailableError(str(error)) from None
