"""The compiled modules as files: where they look for libraries, and that no path of the build is in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

from namegen_ext._native import core, operators

MODULES = [core._core, operators._C]
ids = [module.__name__ for module in MODULES]


def dynamic_section(path: str) -> str:
    readelf = shutil.which("readelf")
    if readelf is None or sys.platform != "linux":
        pytest.skip("readelf (binutils) is not installed, or this is no Linux")
    return subprocess.run([readelf, "-d", path], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_no_path_of_the_build_is_searched_for_libraries(module) -> None:
    """A wheel is installed elsewhere: a folder of the machine that built it may be anybody's there."""
    paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic_section(module.__file__))
    assert paths == (["$ORIGIN/../torch/lib"] if module is operators._C else [])


@pytest.mark.parametrize("module", MODULES, ids=ids)
def test_no_openmp_of_its_own_is_loaded(module) -> None:
    """Another runtime than torch's would start threads of its own beside torch's."""
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic_section(module.__file__))
    assert "libc.so.6" in needed, needed
    assert not [name for name in needed if "omp" in name]
    assert any("torch" in name for name in needed) == (module is operators._C)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL: nothing can be told of it"
)
def test_a_python_without_gil_goes_on_without_one() -> None:
    program = (
        "import sys, torch; before = sys._is_gil_enabled()\n"
        "from namegen_ext._native import core, operators\nprint(before, sys._is_gil_enabled())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"], done.stderr
