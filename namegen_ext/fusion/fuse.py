"""fuse and unfuse: switch the plain nn.Sequential containers of a model to fused operators and back."""

from __future__ import annotations

from torch import nn

from namegen_ext.fusion.describe import describe
from namegen_ext.fusion.report import FusionReport
from namegen_ext.fusion.sequential import FusedSequential


def fuse(model: nn.Module) -> FusionReport:
    """Let a model run neighbouring layers as fused operators, in place.

    Every container in the model, the model itself included, whose class is exactly nn.Sequential becomes a
    FusedSequential: its ``__class__`` is switched, and nothing else of the model changes. Results agree with
    the stock layers to rounding. Fusing twice is fusing once. ``unfuse`` is the inverse; use it before
    exporting a model to a format that has only PyTorch's own operators, such as ONNX.

    Layers with hooks, an embedding with padding_idx or max_norm, subclasses of the layers, parametrised
    layers, and so on, run as before, and so do layers that a hand-written forward calls. What applies is
    looked up on each call, so that the report describes the model as it stands now; it may be changed freely
    afterwards.

    Args:
        model: any module.

    Returns:
        The report: each site fused, or skipped and why.

    Raises:
        TypeError: ``model`` is not an nn.Module.

    """
    _check_is_module(model)
    for module in model.modules():
        if type(module) is nn.Sequential:
            module.__class__ = FusedSequential
    return describe(model)


def unfuse(model: nn.Module) -> None:
    """Undo ``fuse``, in place: every FusedSequential of the model becomes an nn.Sequential again.

    Args:
        model: any module; one that was not fused stays as it is.

    Raises:
        TypeError: ``model`` is not an nn.Module.

    """
    _check_is_module(model)
    for module in model.modules():
        if type(module) is FusedSequential:
            module.__class__ = nn.Sequential  # type: ignore[assignment]


def _check_is_module(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, but got {type(model).__name__}")
