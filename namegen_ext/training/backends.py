"""Chooses how a model's training steps are run: by stock layers, fused layers, or whole native steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from namegen_ext.engine import StepEngine, UnsupportedModelError
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.training.distributed_steps import DistributedSteps
from namegen_ext.training.engine_steps import EngineSteps
from namegen_ext.training.process_group import SINGLE, ProcessGroup
from namegen_ext.training.steps import AutogradSteps, StepRunner
from namegen_ext.training.training_errors import BackendError
from namegen_ext.training.weight_average import WeightAverage
from namegen_ext.training.whole_set_steps import WholeSetSteps

if TYPE_CHECKING:
    from namegen_ext.fusion import FusionReport

STOCK, FUSED_LAYERS, FUSED_STEP = "stock", "fused-layers", "fused-step"

_TOLD_SITES = 3  # more places of a deep model have the same reasons


@dataclass(frozen=True)
class Backend:
    """The backend that was chosen.

    Attributes:
        name: "stock", "fused-layers" or "fused-step", as in summary.json.
        note: what there is to say about it, in one or more lines; empty for nothing.

    Example:
        >>> Backend("fused-step").note
        ''

    """

    name: str
    note: str = ""


def choose_backend(
    fused: str | None, model: nn.Module, optimizer: torch.optim.Optimizer, group: ProcessGroup = SINGLE
) -> Backend:
    """Choose a backend. Where it is fused layers, fuse those of the model, in place.

    Args:
        fused: None or "off" for the stock layers, "layers" or "step" for these and nothing else, "auto" for the
            fastest that can be had: whole native steps where the engine covers model and optimizer, else
            fused layers, else the stock ones.
        model: on the device that it will be trained on.
        optimizer: of its parameters.
        group: this process among those that train together.

    Raises:
        BackendError: "layers" or "step" cannot be had; the message says why.
        ValueError: ``fused`` is something else.

    Example:
        >>> from namegen_ext.models import MLP
        >>> model = MLP(27)
        >>> choose_backend("auto", model, torch.optim.SGD(model.parameters(), lr=0.1)).name
        'fused-step'

    """
    if fused is None or fused == "off":
        return Backend(STOCK)
    if fused not in FUSED_CHOICES:
        raise ValueError(f"fused must be None or one of {', '.join(FUSED_CHOICES)}, but got {fused!r}")
    note = ""
    if fused != "layers":
        reason = _why_no_step_engine(model, optimizer, group)
        if reason is None:
            return Backend(FUSED_STEP)
        if fused == "step":
            raise BackendError(f"got 'step', but {reason}")
        note = f"{reason}\n"
    try:
        from namegen_ext.fusion import fuse, unfuse
    except ImportError as error:  # the operators do not fit this torch
        if fused == "layers":
            raise BackendError(f"got 'layers', but {error}") from None
        return Backend(STOCK, f"{note}the model runs on the stock layers: {error}")
    report = fuse(model)
    if report.fused:
        return Backend(FUSED_LAYERS, f"{note}fused layers: {report}")
    unfuse(model)
    reasons = _reasons(report)
    if fused == "layers":
        raise BackendError(f"got 'layers', but no layer of the model can be fused: {reasons}")
    return Backend(STOCK, f"{note}no layer of the model can be fused, it runs on the stock ones: {reasons}")


def build_steps(
    backend: Backend,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    targets: Tensor,
    group: ProcessGroup = SINGLE,
    clip_grad_norm: float = 0.0,
    average: WeightAverage | None = None,
    *,
    full_batch: bool = False,
) -> StepRunner:
    """Make what runs the steps of a backend.

    Args:
        backend: as :func:`choose_backend` chose it for this model and optimizer.
        model: called as ``model(tokens, targets)``.
        optimizer: of its parameters.
        tokens: int64 (n, block_size), on the model's device.
        targets: int64 (n,), on the model's device.
        group: this process among those that train together.
        clip_grad_norm: the most that the global norm of the gradients may be; 0 for any.
        average: of the model's weights, which takes up each update; None for none.
        full_batch: whether every step takes all examples.

    """
    if group.size > 1:
        return DistributedSteps(model, optimizer, tokens, targets, group, clip_grad_norm, average)
    if backend.name == FUSED_STEP:
        return EngineSteps(model, optimizer, tokens, targets, clip_grad_norm, average)
    steps = WholeSetSteps if full_batch and WholeSetSteps.serves(model) else AutogradSteps
    return steps(model, optimizer, tokens, targets, clip_grad_norm, average)


def _reasons(report: FusionReport) -> str:
    """Name the first places that cannot be fused, with the reason of each, and how many more there are."""
    told = [f"{site.name}: {site.reason}" for site in report.skipped]
    if not told:
        return "it has no layers that can be"
    more = f"; and so on for {len(told) - _TOLD_SITES} more" if len(told) > _TOLD_SITES else ""
    return "; ".join(told[:_TOLD_SITES]) + more


def _why_no_step_engine(
    model: nn.Module, optimizer: torch.optim.Optimizer, group: ProcessGroup
) -> str | None:
    if group.size > 1:
        return f"the step engine runs in one process, and there are {group.size}"
    try:
        StepEngine(model, optimizer)
    except UnsupportedModelError as error:
        return str(error)
    return None


def choose_device(name: str) -> torch.device:
    """Turn "cpu", "cuda" or "auto" (CUDA where there is a device, else the CPU) into a device.

    Raises:
        BackendError: "cuda" was asked for and cannot be had; the message says why.
        ValueError: ``name`` is something else.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')

    """
    if name not in ("cpu", "cuda", "auto"):
        raise ValueError(f"device must be one of cpu, cuda, auto, but got {name!r}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        reason = "no CUDA device was found" if torch.version.cuda else "this torch is built without CUDA"
        raise BackendError(f"got 'cuda', but {reason} (torch {torch.__version__})")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
