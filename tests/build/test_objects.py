"""What the compiled objects of one instruction set export: nothing that the linker could share with another.

A function template or inline function that isn't in the instruction set's own namespace becomes a weak
symbol; of equal weak symbols the linker keeps one, and where that is the copy compiled for AVX-512 it crashes
every other CPU.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# V and W: weak objects and functions; u: unique globals, which behave as weak ones do.
WEAK = {"V", "W", "u"}


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_no_weak_symbols_outside_the_instruction_sets_namespace(isa: str) -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm (binutils) is not installed")
    # The targets that cmake/InstructionSets.cmake makes: namegen_cpu_kernels_avx2, namegen_training_avx2 ...
    targets = ROOT.glob(f"build/*/CMakeFiles/namegen_*_{isa}.dir")
    objects = [path for target in targets for path in target.rglob("*.o")]
    if not objects:
        pytest.skip(
            f"there are no object files of {isa} under build/: this is no checkout that was built in place"
        )
    done = subprocess.run(
        [
            nm,
            "--defined-only",
            "--demangle",
            "--print-file-name",
            *(str(o.relative_to(ROOT)) for o in objects),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    own = f"namegen::cpu::{isa}::"
    # "file.o:0000000000000000 W name"
    symbols = [
        tuple(line.split(":", 1)[1].split(maxsplit=2)[1:]) for line in done.stdout.splitlines() if line
    ]
    assert any(kind in WEAK and own in name for kind, name in symbols), (
        "no template of the kernels: wrong files?"
    )
    # These symbols hold no instructions: tables of virtual functions, type information, and the name of the function
    # that unwinds exceptions.
    data = ("vtable for", "typeinfo for", "typeinfo name for", "DW.ref.__gxx_personality")
    # Some versions of nm cannot demangle lambdas within lambdas, and show the name as it stands in the file.
    mangled_own = re.compile(rf"_Z+NK?7namegen3cpu{len(isa)}{isa}")
    foreign = [
        name
        for kind, name in symbols
        if kind in WEAK and own not in name and not name.startswith(data) and not mangled_own.match(name)
    ]
    assert not foreign, f"weak symbols outside {own} {foreign[:5]}"
