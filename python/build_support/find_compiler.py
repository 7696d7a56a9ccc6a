"""Find what compiles, and how it is told what to compile for; say plainly what is missing."""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping

from build_error import BuildError

OLDEST_CMAKE = (3, 20)
# The names that CMake tries where CXX names none.
COMPILERS = ("c++", "g++", "clang++")
# macOS for Apple silicon begins with version 11.
OLDEST_MACOS = (11, 0)


def find_compiler(environment: Mapping[str, str]) -> str:
    """Return the C++ compiler that CMake will take: what CXX names, else the first that is there.

    Raises:
        BuildError: there is none.

    """
    wanted = environment.get("CXX", "").strip()
    if wanted:
        program = shlex.split(wanted)[0]
        if shutil.which(program) is None:
            raise BuildError(
                f"the C++ compiler that CXX names, {program}, was not found", "correct CXX, or unset it"
            )
        return program
    for program in COMPILERS:
        if shutil.which(program) is not None:
            return program
    how = {"darwin": "xcode-select --install"}.get(
        sys.platform, "apt-get install g++, dnf install gcc-c++ or the like of your system"
    )
    raise BuildError(
        "no C++ compiler was found",
        f"install g++ 12 or newer, or clang 16 or newer: {how}; or name one in CXX",
    )


def check_cmake(cmake: str) -> None:
    """Refuse a CMake that is too old for CMakeLists.txt.

    Raises:
        BuildError: it is, or it does not tell its version.

    """
    wanted = ".".join(map(str, OLDEST_CMAKE))
    try:
        text = subprocess.run(
            [cmake, "--version"], capture_output=True, text=True, check=False, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{cmake} does not run ({error})", f"pip install 'cmake>={wanted}'") from error
    match = re.search(r"cmake version (\d+)\.(\d+)", text)
    if match is None or (int(match.group(1)), int(match.group(2))) < OLDEST_CMAKE:
        version = "of an unknown version" if match is None else ".".join(match.groups())
        raise BuildError(
            f"the cmake at {cmake} is {version}, and {wanted} or newer is needed",
            f"pip install 'cmake>={wanted}', or build without --no-build-isolation",
        )


def macos_settings(environment: Mapping[str, str]) -> list[str]:
    """Return what CMake is told on macOS: the architecture, by ARCHFLAGS or this machine's, and the oldest macOS.

    Raises:
        BuildError: several architectures are asked for.

    """
    if sys.platform != "darwin":
        return []
    asked = dict.fromkeys(re.findall(r"-arch\s+(\S+)", environment.get("ARCHFLAGS", "")))
    if len(asked) > 1:
        raise BuildError(
            f"ARCHFLAGS asks for {' and '.join(asked)}",
            "build for one architecture at a time: ARCHFLAGS='-arch arm64'",
        )
    architecture = next(iter(asked), platform.machine())
    told = (
        environment.get("MACOSX_DEPLOYMENT_TARGET")
        or sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET")
        or ""
    )
    numbers = tuple(int(number) for number in re.findall(r"\d+", str(told))[:2])
    target = ".".join(map(str, max(numbers, OLDEST_MACOS)))
    return [f"-DCMAKE_OSX_ARCHITECTURES={architecture}", f"-DCMAKE_OSX_DEPLOYMENT_TARGET={target}"]
