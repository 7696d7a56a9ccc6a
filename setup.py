"""Packaging: what is compiled stands in CMakeLists.txt, what is fixed stands in pyproject.toml."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_namespace_packages, find_packages, setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "python" / "build_support"))

from cmake_build import CMakeBuild  # noqa: E402
from find_torch import OLDEST_TORCH, find_torch, wants_torch  # noqa: E402

WITH_OPERATORS = wants_torch(os.environ)
# From this Python on, what needs no torch uses only what is stable: one binary serves every later version with a GIL.
HAS_STABLE_ABI = sys.version_info >= (3, 12) and not sysconfig.get_config_var("Py_GIL_DISABLED")


def version() -> str:
    """Return the package's version, from the one file where it stands.

    NAMEGEN_TAG_TORCH=1, which the release sets, adds the torch that the operators are compiled against: wheels for
    several versions of torch, and one without operators, need names of their own.
    """
    values: dict[str, str] = {}
    exec((ROOT / "namegen_ext" / "_version.py").read_text(encoding="utf-8"), values)
    torch = find_torch() if WITH_OPERATORS and os.environ.get("NAMEGEN_TAG_TORCH") == "1" else None
    return values["__version__"] + ("+torch{}.{}".format(*torch.release[:2]) if torch is not None else "")


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
        # Folders of files without Python, such as the exported page, are packages to setuptools.
        *find_namespace_packages(include=["namegen_ext", "namegen_ext.*"], exclude=["*.__pycache__"]),
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
