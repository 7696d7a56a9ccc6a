"""Decide whether CUDA kernels are compiled, by which nvcc and for which architectures."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from find_torch import Torch

# What is compiled for where neither TORCH_CUDA_ARCH_LIST nor a GPU says what is wanted. One that the nvcc does not know
# is left out.
DEFAULT_ARCHITECTURES = ("8.0", "8.6", "8.9", "9.0", "10.0", "12.0")
# The A100's. Older GPUs lack something that the kernels use: cooperative launches or bfloat16 conversions.
OLDEST_ARCHITECTURE = (8, 0)


class CudaError(Exception):
    """CUDA kernels were asked for and cannot be had, or a setting is wrong; the message says which."""


@dataclass(frozen=True)
class Cuda:
    """What is compiled.

    Attributes:
        nvcc: the compiler; None for no CUDA kernels.
        architectures: as in TORCH_CUDA_ARCH_LIST: "9.0", "9.0+PTX".
        note: why there are no CUDA kernels; empty where there are.

    """

    nvcc: Path | None
    architectures: tuple[str, ...]
    note: str

    @property
    def cmake_architectures(self) -> str:
        """The architectures as CMake writes them: 80-real;90-real;90-virtual."""
        names = []
        for architecture in self.architectures:
            number, _, ptx = architecture.partition("+")
            compact = number.replace(".", "")
            names += [f"{compact}-real", *([f"{compact}-virtual"] if ptx else [])]
        return ";".join(names)


def choose_cuda(torch: Torch, environment: Mapping[str, str]) -> Cuda:
    """Decide what is compiled, by the torch that it is compiled against, the machine, and the environment's settings.

    NAMEGEN_CUDA: "0" for no CUDA kernels; "1" for CUDA kernels or an error; "auto", or nothing, for CUDA kernels
    where they can be had. FORCE_CUDA=1 means the same as NAMEGEN_CUDA=1. TORCH_CUDA_ARCH_LIST: the architectures.

    Raises:
        CudaError: they were asked for and cannot be had, or a setting is wrong.

    """
    wanted = environment.get("NAMEGEN_CUDA", "") or "auto"
    if wanted not in ("auto", "0", "1"):
        raise CudaError(f"NAMEGEN_CUDA is {wanted!r}, expected auto, 0 or 1")
    if wanted == "0":
        return Cuda(None, (), "the build was told so (NAMEGEN_CUDA=0)")
    found = _find(torch, environment)
    if found.nvcc is None and wanted == "1":
        raise CudaError(f"NAMEGEN_CUDA=1 asks for CUDA kernels, but {found.note}")
    if found.nvcc is None and environment.get("FORCE_CUDA") == "1":
        raise CudaError(f"FORCE_CUDA=1 asks for CUDA kernels, but {found.note}")
    return found


def _find(torch: Torch, environment: Mapping[str, str]) -> Cuda:
    if torch.cuda is None:
        return Cuda(None, (), f"torch {torch.version} is built without CUDA")
    nvcc = find_nvcc(environment)
    if nvcc is None:
        return Cuda(
            None, (), f"no nvcc was found when it was built (torch {torch.version} has CUDA {torch.cuda})"
        )
    version = nvcc_version(nvcc)
    if version.partition(".")[0] != torch.cuda.partition(".")[0]:
        return Cuda(None, (), f"nvcc is of CUDA {version}, torch {torch.version} of CUDA {torch.cuda}")
    return Cuda(nvcc, choose_architectures(known_architectures(nvcc), environment), "")


def find_nvcc(environment: Mapping[str, str]) -> Path | None:
    """Find nvcc where CUDA_HOME or CUDA_PATH point, on the PATH, or in the usual folder."""
    for name in ("CUDA_HOME", "CUDA_PATH"):
        folder = environment.get(name)
        if folder and Path(folder, "bin", "nvcc").is_file():
            return Path(folder, "bin", "nvcc")
    on_path = shutil.which("nvcc", path=environment.get("PATH"))
    if on_path is not None:
        return Path(on_path)
    usual = Path("/usr/local/cuda/bin/nvcc")
    return usual if usual.is_file() else None


def nvcc_version(nvcc: Path) -> str:
    """Return the release of an nvcc: "13.0".

    Raises:
        CudaError: it does not say.

    """
    text = _output([str(nvcc), "--version"]) or ""
    match = re.search(r"release (\d+\.\d+)", text)
    if match is None:
        raise CudaError(f"{nvcc} --version does not tell its version")
    return match.group(1)


def known_architectures(nvcc: Path) -> tuple[str, ...]:
    """Return the architectures that an nvcc compiles for: ("8.0", ...), in ascending order."""
    numbers = re.findall(r"^compute_(\d+)(\d)$", _output([str(nvcc), "--list-gpu-arch"]) or "", re.MULTILINE)
    return tuple(f"{major}.{minor}" for major, minor in sorted((int(a), int(b)) for a, b in numbers))


def visible_architectures() -> tuple[str, ...]:
    """Return the architectures of this machine's GPUs, as the driver's own tool tells them."""
    tool = shutil.which("nvidia-smi")
    text = _output([tool, "--query-gpu=compute_cap", "--format=csv,noheader"]) if tool else None
    found = re.findall(r"^\s*(\d+\.\d)\s*$", text or "", re.MULTILINE)
    return tuple(dict.fromkeys(sorted(found, key=_number)))


def choose_architectures(known: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Choose what to compile for: what TORCH_CUDA_ARCH_LIST says, else the visible GPUs, else the usual list.

    The usual list ends with PTX of its last architecture, which newer GPUs can run.

    Args:
        known: what the nvcc compiles for.
        environment: may hold TORCH_CUDA_ARCH_LIST, such as "8.0;9.0+PTX".

    Raises:
        CudaError: the list is wrong, or names an architecture that the nvcc does not know or that is too old.

    """
    listed = environment.get("TORCH_CUDA_ARCH_LIST", "").replace(";", " ").replace(",", " ").split()
    for entry in listed:
        match = re.fullmatch(r"(\d+\.\d)[af]?(\+PTX)?", entry)
        if match is None:
            raise CudaError(f"TORCH_CUDA_ARCH_LIST: got {entry!r}, expected numbers such as 8.0;9.0+PTX")
        if match.group(1) not in known or _number(match.group(1)) < OLDEST_ARCHITECTURE:
            usable = [name for name in known if _number(name) >= OLDEST_ARCHITECTURE]
            raise CudaError(
                f"TORCH_CUDA_ARCH_LIST: {entry} is not among those that can be had: {', '.join(usable)}"
            )
    if listed:
        return tuple(dict.fromkeys(listed))
    visible = [name for name in visible_architectures() if _number(name) >= OLDEST_ARCHITECTURE]
    if visible and all(name in known for name in visible):
        return tuple(visible)
    usual = [name for name in DEFAULT_ARCHITECTURES if name in known]
    if not usual:
        raise CudaError(f"the nvcc compiles for none of {', '.join(DEFAULT_ARCHITECTURES)}")
    return (*usual[:-1], f"{usual[-1]}+PTX")


def _number(architecture: str) -> tuple[int, int]:
    major, minor = architecture.split(".")
    return int(major), int(minor)


def _output(command: list[str]) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
