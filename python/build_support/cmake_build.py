"""The setuptools command that compiles the package's modules by CMake and Ninja."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from build_error import BuildError
from find_compiler import check_cmake, find_compiler, macos_settings
from find_cuda import Cuda, CudaError, choose_cuda
from find_torch import Torch, find_torch
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parents[2]
# A job is started only where there is so much memory for it. Measured: 1.0 GB to compile the largest translation unit
# (gcc 12, torch 2.13).
GIGABYTES_PER_JOB = 1.5
NOTE = "_build.json"
# What a whole build takes, without the operators and with them. docs/portability.md tells how it was measured.
PROCESSOR_SECONDS = (120, 160)


class CMakeBuild(build_ext):
    """Configures and builds in a folder of ``build``. It stays, so that a later build compiles only what changed."""

    def build_extensions(self) -> None:
        """Compile all extensions at once to where setuptools expects them, and note beside them what was built."""
        targets = {extension.name.rpartition(".")[2]: extension for extension in self.extensions}
        torch = _torch_to_build_against() if "_C" in targets else None
        folder = (
            ROOT
            / "build"
            / f"{sysconfig.get_config_var('SOABI')}-{f'torch{torch.version}' if torch else 'core'}"
        )
        cmake, ninja = _tool("cmake"), _tool("ninja")
        check_cmake(cmake)
        _say_what_will_be_done(sorted(targets), torch, find_compiler(os.environ), _jobs())
        _run(
            [
                cmake,
                *("-S", str(ROOT), "-B", str(folder), "-G", "Ninja"),
                f"-DCMAKE_MAKE_PROGRAM={ninja}",  # pip's isolated one moves from build to build
                f"-DPython_EXECUTABLE={sys.executable}",
                f"-Dnanobind_DIR={_nanobind_to_build_with()}",
                "-DNAMEGEN_EXTENSION=ON",
                "-DNAMEGEN_TESTS=OFF",
                "-DCMAKE_BUILD_TYPE=Release",
                *macos_settings(os.environ),
                *_torch_settings(torch),
            ],
            "CMake could not configure the build",
            "install g++ 12 or newer, or clang 16 or newer, name it in CXX where another compiler comes first, and "
            "install the headers of Python (the package python3-dev or python3-devel); the error above says which "
            "is missing",
        )
        _run(
            [cmake, "--build", str(folder), "--target", *targets, "--parallel", str(_jobs())],
            "the compiler failed",
            "read its first error above; where it was killed, memory ran out: set MAX_JOBS=1",
        )
        for extension in self.extensions:
            target = Path(self.get_ext_fullpath(extension.name)).resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / target.name, target)
            _write_note(target.with_name(NOTE), torch)

    def copy_extensions_to_source(self) -> None:
        """Copy the extensions, and the note with them, beside the sources: what an editable installation imports."""
        super().copy_extensions_to_source()
        for extension in self.extensions:
            package = extension.name.split(".")[:-1]
            shutil.copy2(Path(self.build_lib, *package, NOTE), ROOT.joinpath(*package, NOTE))


def _say_what_will_be_done(targets: list[str], torch: Torch | None, compiler: str, jobs: int) -> None:
    """Say what is compiled, by what and for how long, before the long wait. pip shows it with ``-v``."""
    against = "without torch" if torch is None else f"against torch {torch.version} in {torch.folder}"
    minutes = math.ceil(PROCESSOR_SECONDS[torch is not None] / jobs / 60)
    print(
        f"namegen_ext: compiling {' and '.join(targets)} by {compiler}, {against}, {jobs} at a time (MAX_JOBS): about "
        f"{minutes} minute{'' if minutes == 1 else 's'}; later builds compile only what changed",
        flush=True,
    )


def _torch_to_build_against() -> Torch:
    torch = find_torch()
    if torch is None:
        raise BuildError(
            "no torch was found",
            "pip install torch, build without --no-build-isolation, or set NAMEGEN_TORCH=0 for what needs no torch",
        )
    return torch


def _torch_settings(torch: Torch | None) -> list[str]:
    """Return what CMake is told of torch and of CUDA."""
    if torch is None:
        return ["-DNAMEGEN_TORCH=OFF"]
    cuda = _cuda(torch)
    return [
        "-DNAMEGEN_TORCH=ON",
        f"-DNAMEGEN_TORCH_FOLDER={torch.folder.parent}",
        f"-DNAMEGEN_CUDA_ARCHITECTURES={cuda.cmake_architectures}",
        f"-DNAMEGEN_CUDA_NOTE={cuda.note}",
        *([f"-DCMAKE_CUDA_COMPILER={cuda.nvcc}"] if cuda.nvcc else []),
    ]


def _nanobind_to_build_with(builds: Path = ROOT / "build") -> Path:
    """Copy nanobind into ``build``, and return where CMake finds it there.

    In pip's isolated builds it lies in another folder each time, and would be compiled again each time. Where none is
    installed, the copy of an earlier build is taken.
    """
    try:
        import nanobind
    except ImportError:
        copies = sorted(builds.glob("nanobind-*/cmake"))
        if not copies:
            raise BuildError(
                "nanobind was not found", "pip install nanobind, or build without --no-build-isolation"
            ) from None
        return copies[-1]
    source = Path(nanobind.__file__).parent
    copy = builds / f"nanobind-{nanobind.__version__}"
    if not copy.is_dir():
        builds.mkdir(exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=builds))
        for part in ("cmake", "ext", "include", "src"):
            shutil.copytree(source / part, unfinished / part)
        os.replace(unfinished, copy)
    return copy / "cmake"


def _cuda(torch: Torch) -> Cuda:
    """Decide about CUDA kernels, and say what was decided where the torch has CUDA."""
    try:
        cuda = choose_cuda(torch, os.environ)
    except CudaError as error:
        raise BuildError(
            str(error), "correct the setting, or set NAMEGEN_CUDA=0 to build the CPU kernels alone"
        ) from error
    if cuda.nvcc is not None:
        print(f"namegen_ext: CUDA kernels for {', '.join(cuda.architectures)} by {cuda.nvcc}", flush=True)
    elif torch.cuda is not None:
        print(
            f"namegen_ext: CPU kernels only: {cuda.note}; models on CUDA devices run on PyTorch's own layers",
            flush=True,
        )
    return cuda


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise BuildError(
            f"{name} was not found", f"pip install {name}, or build without --no-build-isolation"
        )
    return path


def _run(command: list[str], problem: str, remedy: str) -> None:
    print(" ".join(command), flush=True)
    if subprocess.run(command, check=False).returncode != 0:
        raise BuildError(problem, remedy)


def _jobs() -> int:
    """Return how many translation units to compile at a time: MAX_JOBS, else as many as cores and memory allow."""
    wanted = os.environ.get("MAX_JOBS", "")
    if wanted:
        if not wanted.isdigit() or int(wanted) < 1:
            raise BuildError(f"MAX_JOBS is {wanted!r}", "set it to a whole number from 1 on, or unset it")
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError):
        return cores
    return max(1, min(cores, int(free / GIGABYTES_PER_JOB)))


def _write_note(path: Path, torch: Torch | None) -> None:
    """Write what was built, for the messages where a module does not load."""
    note = {
        "modules": ["_core"] if torch is None else ["_core", "_C"],
        "torch": None if torch is None else torch.version,
        "python": sysconfig.get_config_var("SOABI"),
    }
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(note) + "\n", encoding="utf-8")
    os.replace(beside, path)
