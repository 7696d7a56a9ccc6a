"""Which way a model's training steps are run: stock layers, fused layers, or whole native steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from namegen_ext.fusion import fuse, unfuse
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
        raise BackendError(f"got 'step', but {_why_no_step_engine()}")
    # "auto" would take the step engine first; with none in this version, fused layers are the fastest.
    report = fuse(model)
    if report.fused:
        return Backend(FUSED_LAYERS, f"fused layers: {report}")
    unfuse(model)
    reason = "; ".join(f"{site.name}: {site.reason}" for site in report) or "it has no layers that can be"
    if fused == "layers":
        raise BackendError(f"got 'layers', but no layer of the model can be fused: {reason}")
    return Backend(STOCK, f"no layer of the model can be fused, it runs on the stock ones: {reason}")


def _why_no_step_engine() -> str:
    return "the native step engine is not part of this version"


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
