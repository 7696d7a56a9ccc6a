"""Compile CUDA sources and judge the assembler's report: ``python python/check_cuda_kernels.py --help``.

Prints registers, spills, stack and shared memory by kernel. Exit status 1 where a kernel spills registers or has a
stack frame in local memory, or where a file does not compile.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kernel:
    """What ptxas reports of one kernel for one architecture; bytes, and registers a thread."""

    name: str
    architecture: str
    registers: int
    stack: int
    spill_stores: int
    spill_loads: int

    @property
    def is_clean(self) -> bool:
        """Whether all its values live in registers."""
        return self.stack == self.spill_stores == self.spill_loads == 0


_ENTRY = re.compile(r"Compiling entry function '(?P<name>[^']+)' for '(?P<architecture>[^']+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")


def parse_report(text: str) -> list[Kernel]:
    """Read what ``-Xptxas -v`` printed.

    Raises:
        ValueError: the report of a kernel is incomplete.

    """
    kernels = []
    for part in re.split(r"(?=Compiling entry function)", text)[1:]:
        entry, frame, registers = _ENTRY.search(part), _FRAME.search(part), _REGISTERS.search(part)
        if entry is None or frame is None or registers is None:
            raise ValueError(f"ptxas's report of a kernel is incomplete: {part.strip()!r}")
        stack, stores, loads = map(int, frame.groups())
        kernels.append(
            Kernel(entry["name"], entry["architecture"], int(registers.group(1)), stack, stores, loads)
        )
    return kernels


def short_names(names: Sequence[str]) -> list[str]:
    """Turn the assembler's names into readable ones, where c++filt is there to do it."""
    tool = shutil.which("c++filt")
    if tool is None:
        return list(names)
    done = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True)
    return [re.sub(r"^void |\(.*$|namegen::cuda::|namegen::", "", line) for line in done.stdout.splitlines()]


def table(kernels: Sequence[Kernel]) -> str:
    """Write a line for each kernel: registers by architecture, and what was spilled."""
    architectures = list(dict.fromkeys(kernel.architecture for kernel in kernels))
    by_name: dict[str, dict[str, Kernel]] = {}
    for name, kernel in zip(short_names([kernel.name for kernel in kernels]), kernels, strict=True):
        by_name.setdefault(name, {})[kernel.architecture] = kernel
    width = max(len(name) for name in by_name)
    lines = [f"{'kernel':{width}}  " + "  ".join(f"{a:>6}" for a in architectures) + "  (registers)"]
    for name, found in sorted(by_name.items()):
        cells = "  ".join(f"{found[a].registers if a in found else '':>6}" for a in architectures)
        spilled = [
            f"{kernel.architecture}: stack {kernel.stack}, spill stores {kernel.spill_stores}, loads "
            f"{kernel.spill_loads} bytes"
            for kernel in found.values()
            if not kernel.is_clean
        ]
        lines.append(f"{name:{width}}  {cells}  {'; '.join(spilled)}".rstrip())
    return "\n".join(lines)


def compile_one(nvcc: str, include: Path, source: Path, architecture: str) -> str:
    """Compile a file for one architecture, and return the report.

    Raises:
        RuntimeError: it does not compile; the message is the compiler's.

    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            nvcc,
            "-std=c++17",
            "-O3",
            f"-arch={architecture}",
            "-cubin",
            "-Xptxas=-v",
            "-I",
            str(include),
        ]
        command += ["-Werror", "all-warnings", str(source), "-o", str(Path(folder, "kernel.cubin"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{source.name} for {architecture}:\n{done.stdout}{done.stderr}")
    return done.stderr + done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nvcc", default="nvcc", help="the compiler (default: %(default)s)")
    parser.add_argument("--include", type=Path, required=True, help="folder of the headers")
    parser.add_argument(
        "--architectures", nargs="+", required=True, metavar="sm_NN", help="what to compile for"
    )
    parser.add_argument("sources", nargs="+", type=Path, metavar="FILE.cu")
    options = parser.parse_args(arguments)

    jobs = int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)
    pairs = [(source, architecture) for source in options.sources for architecture in options.architectures]
    try:
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            reports = list(pool.map(lambda pair: compile_one(options.nvcc, options.include, *pair), pairs))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    kernels = []
    for (source, architecture), report in zip(pairs, reports, strict=True):
        found = parse_report(report)
        if not found:
            print(f"{source.name} for {architecture}: the report names no kernel", file=sys.stderr)
            return 1
        kernels += found
    print(table(kernels))
    spilling = [kernel for kernel in kernels if not kernel.is_clean]
    print(f"{len(kernels)} kernels for {', '.join(options.architectures)}: {len(spilling)} use local memory")
    return 1 if spilling else 0


if __name__ == "__main__":
    sys.exit(main())
