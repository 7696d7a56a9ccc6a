"""Character-level name generators with fused C++/CUDA kernels.

Importing the package imports neither torch nor numpy; torch comes with the first name that needs it.

The operators are registered under ``torch.ops.namegen_ext``: by ``import namegen_ext`` where torch is loaded already,
else by ``import namegen_ext.ops``.
"""

import contextlib
import importlib
import sys
from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports
from namegen_ext._version import __version__

if TYPE_CHECKING:
    from namegen_ext._native.build_info import build_info
    from namegen_ext.fit_names import fit
    from namegen_ext.fusion.fuse import fuse, unfuse
    from namegen_ext.fusion.fusion_report import FusionReport, Site
    from namegen_ext.generator import Generator, load
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext._native.build_info": ("build_info",),
            "namegen_ext.fusion.fuse": ("fuse", "unfuse"),
            "namegen_ext.fusion.fusion_report": ("FusionReport", "Site"),
            "namegen_ext.fit_names": ("fit",),
            "namegen_ext.generator": ("Generator", "load"),
        },
        subpackages=(
            "cli",
            "data",
            "diagnostics",
            "engine",
            "exporting",
            "fitting",
            "fusion",
            "models",
            "nn",
            "ops",
            "options",
            "plotting",
            "reproduction",
            "runs",
            "sampling",
            "scoring",
            "steering",
            "training",
        ),
    )

__all__ = ["FusionReport", "Generator", "Site", "__version__", "build_info", "fit", "fuse", "load", "unfuse"]

if sys.modules.get("torch") is not None:
    # Where they cannot be loaded, whatever needs them says why.
    with contextlib.suppress(ImportError):
        importlib.import_module("namegen_ext._native.operators")
