"""The PEP 517 build backend. It is setuptools' own, and asks for torch only where the target environment has none.

A torch in ``build-system.requires`` would be downloaded for every build, and often would not be the one that is
imported afterwards, whose binary interface the operators must match. NAMEGEN_TORCH=0 and 1 ask for none.

Where a tool hides the target environment, nobody can tell whether it has a torch. The build then ends with a sentence
that helps, because it would bring the newest torch in the place of one that is there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from build_error import BuildError
from find_environment import hiding_tool, target_environment
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


ROOT = Path(__file__).resolve().parents[2]


def _check_writable() -> None:
    """Refuse a folder that cannot be written to. setuptools would do so itself, with a file's name and no advice."""
    if not os.access(ROOT, os.W_OK):
        raise BuildError(
            f"the folder of its sources, {ROOT}, cannot be written to, and a build keeps its work there",
            "copy the folder to where you may write, and install from there",
        )


def _torch_if_missing() -> list[str]:
    if not brings_torch(os.environ) or find_torch() is not None:
        return []
    tool = hiding_tool()
    if tool is not None and target_environment(os.environ) is None:
        raise BuildError(
            f"{tool} builds in an environment of its own and does not tell which one is installed into, so the torch "
            "there is not known, and the newest one would take its place",
            "activate the environment, or install torch, setuptools, cmake, ninja and nanobind into it and build with "
            f"{'--no-build-isolation' if tool == 'uv' else '--no-isolation'}; "
            "NAMEGEN_TORCH=0 builds what needs no torch",
        )
    return ["torch>=" + ".".join(map(str, OLDEST_TORCH))]


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return what building a wheel needs beyond ``build-system.requires``."""
    _check_writable()
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_torch_if_missing()]


def get_requires_for_build_editable(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return what an editable installation needs beyond ``build-system.requires``."""
    _check_writable()
    return [*build_meta.get_requires_for_build_editable(config_settings), *_torch_if_missing()]
