"""Which way a model's training steps are run: stock layers, fused layers, or whole native steps."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import torch
from torch import nn

from namegen_ext.training.errors import BackendError

STOCK, FUSED_LAYERS, FUSED_STEP = "stock", "fused-layers", "fused-step"
FUSED_CHOICES = ("auto", "layers", "step")


@dataclass(frozen=True)
class Backend:
    """The way that was chosen.

    Attributes:
        name: "stock", "fused-layers" or "fused-step", as in summary.json.
        note: what to tell about it, one or more lines; empty for nothing.

    """

    name: str
    note: str = ""


def choose_backend(fused: str | None, model: nn.Module) -> Backend:
    """Choose a backend, and fuse the model's layers, in place, where that is it.

    Args:
        fused: None for the stock layers, "layers" or "step" for these and nothing else, "auto" for the
            fastest that can be had.
        model: on the device that it will be trained on.

    Raises:
        BackendError: "layers" or "step" cannot be had; the message says why.
        ValueError: ``fused`` is something else.

    """
    if fused is None:
        return Backend(STOCK)
    if fused not in FUSED_CHOICES:
        raise ValueError(f"fused must be None or one of {', '.join(FUSED_CHOICES)}, but got {fused!r}")
    if fused == "step":
        raise BackendError(why_no_step_engine())
    reason, report = _fuse_layers(model)
    if reason is None:
        return Backend(FUSED_LAYERS, f"fused layers: {report}")
    if fused == "layers":
        raise BackendError(f"no layer can be fused: {reason}")
    return Backend(STOCK, f"no layer can be fused, the stock layers are used: {reason}")


def why_no_step_engine() -> str:
    """Why the native step engine cannot be had, in words."""
    return "the native step engine is not part of this version"


def _fuse_layers(model: nn.Module) -> tuple[str | None, str]:
    """Fuse the model; return why nothing was fused (None where something was), and the report."""
    fusion = import_module("namegen_ext.fusion")
    report = fusion.fuse(model)
    if report.fused:
        return None, str(report)
    fusion.unfuse(model)
    return str(report), ""


def choose_device(name: str) -> torch.device:
    """Turn "cpu", "cuda" or "auto" (CUDA where there is a device, else the CPU) into a device.

    Raises:
        BackendError: "cuda" was asked for and cannot be had; the message says why.
        ValueError: ``name`` is something else.

    """
    if name not in ("cpu", "cuda", "auto"):
        raise ValueError(f"device must be one of cpu, cuda, auto, but got {name!r}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        reason = "no CUDA device was found" if torch.version.cuda else "this torch is built without CUDA"
        raise BackendError(f"got 'cuda', but {reason} (torch {torch.__version__})")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
