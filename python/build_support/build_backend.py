"""The PEP 517 build backend. It is setuptools' own, and asks for torch only where the target environment has none.

A torch in ``build-system.requires`` would be downloaded for every build, and often would not be the one that is
imported afterwards, whose binary interface the operators must match. NAMEGEN_TORCH=0 and 1 ask for none.
"""

from __future__ import annotations

import os
from typing import Any

from find_torch import OLDEST_TORCH, brings_torch, find_torch
from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def _torch_if_missing() -> list[str]:
    if not brings_torch(os.environ) or find_torch() is not None:
        return []
    return ["torch>=" + ".".join(map(str, OLDEST_TORCH))]


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return what building a wheel needs beyond ``build-system.requires``."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_torch_if_missing()]


def get_requires_for_build_editable(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return what an editable installation needs beyond ``build-system.requires``."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_torch_if_missing()]
