"""Character-level name generators with fused C++/CUDA kernels.

Importing the package imports neither torch nor numpy. The operators are registered under ``torch.ops.namegen_ext`` by
``import namegen_ext`` where torch is imported already, else by ``import namegen_ext.ops``.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import TYPE_CHECKING, Any

from namegen_ext._native.build_info import build_info
from namegen_ext._version import __version__

if TYPE_CHECKING:
    from namegen_ext.fusion.fuse import fuse, unfuse
    from namegen_ext.fusion.report import FusionReport, Site
    from namegen_ext.generator import Generator, fit, load

# Resolved at first use, so that `import namegen_ext` costs little more than `import torch`.
_LAZY = {
    "fuse": "namegen_ext.fusion",
    "unfuse": "namegen_ext.fusion",
    "FusionReport": "namegen_ext.fusion",
    "Site": "namegen_ext.fusion",
    "fit": "namegen_ext.generator",
    "Generator": "namegen_ext.generator",
    "load": "namegen_ext.generator",
}
_LAZY_MODULES = ("data", "fusion", "models", "nn", "ops", "sampling", "training")

__all__ = ["FusionReport", "Generator", "Site", "__version__", "build_info", "fit", "fuse", "load", "unfuse"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _LAZY_MODULES:
        return importlib.import_module(f"namegen_ext.{name}")
    raise AttributeError(f"module 'namegen_ext' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, *_LAZY_MODULES])


if sys.modules.get("torch") is not None:
    # Where they cannot be loaded, what needs them says why.
    with contextlib.suppress(ImportError):
        importlib.import_module("namegen_ext._native.operators")
