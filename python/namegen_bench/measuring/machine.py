"""The machine and the versions that something was measured with."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import namegen_ext

# The list of versions names these packages where they are installed.
_PEER_PACKAGES = ("numpy", "jax")


@dataclass(frozen=True)
class Machine:
    """The circumstances of a run of the benchmarks.

    Attributes:
        cpu: the CPU's model, as the system reports it.
        cpus: number of CPUs that the process may run on.
        threads: number of threads in a suite that does not choose the best number.
        isa: the instruction set of the CPU kernels in use.
        versions: the versions of the packages involved, as text.
        commit: the commit of the checkout that the package was imported from, with "-dirty" added where files were
            changed; empty where it was not imported from a checkout.
        date: when the run began, ISO 8601 with the time zone.
        gpu: the model of the CUDA device; empty where there is none.

    """

    cpu: str
    cpus: int
    threads: int
    isa: str
    versions: str
    commit: str
    date: str
    gpu: str = ""

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''} of {self.cpus} CPUs"
        commit = f"commit {self.commit}, " if self.commit else ""
        gpu = f", {self.gpu}" if self.gpu else ""
        return f"{self.cpu}{gpu}, {threads}, kernels for {self.isa}; {self.versions}; {commit}{self.date}"


def this_machine(threads: int) -> Machine:
    """Describe the machine that this runs on.

    Args:
        threads: number of threads in a suite that does not choose the best number.

    Raises:
        RuntimeError: NAMEGEN_CPU_ISA asks for an instruction set that this machine or build does not have.

    """
    import torch  # imported here, because the number of CPUs is asked for before torch is needed

    info = namegen_ext.build_info()
    versions = [f"namegen_ext {info['version']}", f"torch {torch.__version__}", f"Python {info['python']}"]
    versions += [f"{name} {version}" for name in _PEER_PACKAGES if (version := _installed(name))]
    if torch.cuda.is_available():
        versions.append(f"CUDA {torch.version.cuda}")
    return Machine(
        cpu=_cpu_model(),
        cpus=available_cpus(),
        threads=threads,
        isa=info["cpu_isa"],
        versions=", ".join(versions),
        commit=_commit(),
        date=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
    )


def available_cpus() -> int:
    """Count the CPUs that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux has it
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    # The package may lie in somebody else's checkout, in a virtual environment there say. Then git does not track it.
    package = Path(namegen_ext.__file__).parent
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return ""
    return _git(package, "describe", "--always", "--dirty", "--exclude=*") or ""


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), *arguments]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.strip()
