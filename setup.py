"""Packaging: what is compiled stands in CMakeLists.txt, what is fixed stands in pyproject.toml."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "python" / "build_support"))

from cmake_build import CMakeBuild  # noqa: E402
from find_torch import OLDEST_TORCH, find_torch, wants_torch  # noqa: E402

WITH_OPERATORS = wants_torch(os.environ)
# From this Python on, what needs no torch uses only what is stable: one binary of it serves every later version.
HAS_STABLE_ABI = sys.version_info >= (3, 12)


def version() -> str:
    """Return the package's version, from the one file where it stands."""
    values: dict[str, str] = {}
    exec((ROOT / "namegen_ext" / "_version.py").read_text(encoding="utf-8"), values)
    return values["__version__"]


def torch_requirement() -> list[str]:
    """Return the torch that the operators work with: the minor version they are compiled against. None without them."""
    if not WITH_OPERATORS:
        return []
    torch = find_torch()
    if torch is None:
        return ["torch>=" + ".".join(map(str, OLDEST_TORCH))]
    return ["torch=={}.{}.*".format(*torch.release[:2])]


def extensions() -> list[Extension]:
    """Return the modules to compile; CMakeLists.txt lists their sources."""
    core = Extension("namegen_ext._core", sources=[], py_limited_api=HAS_STABLE_ABI)
    return [core, Extension("namegen_ext._C", sources=[])] if WITH_OPERATORS else [core]


setup(
    version=version(),
    # numpy is what safetensors.torch saves through; it does not ask for it by itself.
    install_requires=[
        *torch_requirement(),
        "safetensors>=0.4.3",
        "numpy>=1.26",
        "rich>=13",
        "rapidfuzz>=3.9",
        "greenery>=4.2",
    ],
    # The plain-Python references and the lessons live apart from the package, under names of their own.
    packages=[
        *find_packages(include=["namegen_ext", "namegen_ext.*"]),
        *find_packages("python", include=["namegen_reference", "namegen_reference.*"]),
        *find_packages("python", include=["namegen_bench", "namegen_bench.*"]),
        "namegen_lessons",
    ],
    package_dir={
        "namegen_bench": "python/namegen_bench",
        "namegen_lessons": "python/lessons",
        "namegen_reference": "python/namegen_reference",
    },
    package_data={
        "namegen_ext": ["py.typed", "_build.json"],
        "namegen_ext.data": ["files/*"],
        "namegen_ext.exporting": ["web/*", "model.schema.json"],
    },
    ext_modules=extensions(),
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if HAS_STABLE_ABI and not WITH_OPERATORS else {},
    cmdclass={"build_ext": CMakeBuild},
    zip_safe=False,
)
