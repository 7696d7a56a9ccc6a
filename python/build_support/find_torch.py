"""Find the torch to compile against: the one that will be imported, without importing it.

The first torch on ``sys.path`` is the one that will be imported, if nothing is isolated. pip builds in an isolated
environment, whose ``sys.path`` hides what is installed, but ``sysconfig`` still tells where the packages of the target
environment lie: these are searched first, in the order in which they are imported from, and the build's own path after
them. Of uv and build find_environment.py knows. A PYTHONPATH cannot be seen in pip's isolation, which has its own.
"""

from __future__ import annotations

import argparse
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from find_environment import hiding_tool, site_packages, target_environment

OLDEST_TORCH = (2, 10)
TORCH_SETTING = "NAMEGEN_TORCH"


@dataclass(frozen=True)
class Torch:
    """An installed torch.

    Attributes:
        folder: the package's.
        version: with its local part, as "2.13.0+cpu".
        cxx_standard: what its headers ask for, as 20.
        cuda: the version of CUDA that it is built with; None for none.

    """

    folder: Path
    version: str
    cxx_standard: int
    cuda: str | None

    @property
    def release(self) -> tuple[int, ...]:
        """The version without its local part, as numbers."""
        match = re.match(r"\d+(\.\d+)*", self.version)
        return tuple(int(part) for part in match.group().split(".")) if match else (0,)


def wants_torch(environment: Mapping[str, str]) -> bool:
    """Tell whether the operators are built, by the environment's NAMEGEN_TORCH.

    "0": only what needs no torch is built. "1": the operators too, against a torch that is installed, or an error.
    "auto", or nothing: the same, and where no torch is installed pip brings one.

    Raises:
        SystemExit: the setting is another.

    """
    wanted = environment.get(TORCH_SETTING, "") or "auto"
    if wanted not in ("auto", "0", "1"):
        raise SystemExit(f"{TORCH_SETTING} is {wanted!r}, expected auto, 0 or 1")
    return wanted != "0"


def brings_torch(environment: Mapping[str, str]) -> bool:
    """Tell whether a torch that is missing is asked for, by the environment's NAMEGEN_TORCH."""
    return wants_torch(environment) and environment.get(TORCH_SETTING) != "1"


def candidate_folders() -> list[Path]:
    """Return the folders that a torch may lie in, in the order in which the target environment imports."""
    visible = [Path(folder) for folder in sys.path if folder]
    if hiding_tool() is not None:
        target = target_environment(os.environ)
        hidden = [] if target is None else site_packages(target)
    elif Path(sysconfig.get_path("purelib")) in visible:
        hidden = []  # nothing is isolated
    else:
        hidden = _folders_that_pip_hides()
    return list(dict.fromkeys([*hidden, *visible]))


def _folders_that_pip_hides() -> list[Path]:
    """Return the target environment's folders that pip's isolation takes from ``sys.path``, in the order of site."""
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if sys.prefix == sys.base_prefix:
        folders = [site.getusersitepackages(), *own]
    elif _sees_base_environment():
        base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
        folders = [*own, site.getusersitepackages(), sysconfig.get_path("purelib", vars=base)]
    else:
        folders = own
    return [Path(folder) for folder in folders if folder]


def _sees_base_environment() -> bool:
    """Tell whether imports reach beyond this virtual environment."""
    config = Path(sys.prefix, "pyvenv.cfg")
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    return (
        re.search(r"^include-system-site-packages\s*=\s*true", text, re.IGNORECASE | re.MULTILINE) is not None
    )


def find_torch() -> Torch | None:
    """Return the torch that will be imported, or None where there is none."""
    return find_in(candidate_folders())


def find_in(folders: Iterable[Path]) -> Torch | None:
    """Return the torch of the first of these folders that has one, or None."""
    for folder in folders:
        package = folder / "torch"
        version_file = package / "version.py"
        if not version_file.is_file() or not (package / "include").is_dir():
            continue
        text = version_file.read_text(encoding="utf-8")
        version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
        cuda = re.search(r"^cuda\s*(?::[^=]*)?=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
        if version is not None:
            return Torch(package, version.group(1), _cxx_standard(package), cuda.group(1) if cuda else None)
    return None


def _cxx_standard(package: Path) -> int:
    """Return the C++ standard that torch compiles extensions with, or 17 where it does not say."""
    source = package / "utils" / "cpp_extension.py"
    text = source.read_text(encoding="utf-8") if source.is_file() else ""
    return max([17, *(int(number) for number in re.findall(r"-std=c\+\+(\d\d)", text))])


def cmake_text(torch: Torch) -> str:
    """Return what CMake needs to know, as CMake's own ``set`` lines."""
    include = torch.folder / "include"
    values = {
        "NAMEGEN_TORCH_DIR": str(torch.folder),
        "NAMEGEN_TORCH_VERSION": torch.version,
        "NAMEGEN_TORCH_CXX_STANDARD": str(torch.cxx_standard),
        "NAMEGEN_TORCH_INCLUDE_DIRS": f"{include};{include / 'torch' / 'csrc' / 'api' / 'include'}",
    }
    return "".join(f"set({name} [==[{value}]==])\n" for name, value in values.items())


def main(arguments: list[str]) -> int:
    """Print what was found; ``--cmake`` prints it for CMake, and ``--in FOLDER`` looks into that folder alone."""
    parser = argparse.ArgumentParser(description="Find the torch to compile against.")
    parser.add_argument("--cmake", action="store_true", help="print it as CMake's own lines")
    parser.add_argument("--in", dest="folder", type=Path, help="the folder that holds the package torch")
    options = parser.parse_args(arguments)
    torch = find_torch() if options.folder is None else find_in([options.folder])
    if torch is None:
        print(
            "no torch was found for "
            + sys.executable
            + ": install it (pip install torch), or build with pip's "
            "isolation, which brings one along (pip install . without --no-build-isolation)",
            file=sys.stderr,
        )
        return 1
    if torch.release < OLDEST_TORCH:
        wanted = ".".join(map(str, OLDEST_TORCH))
        print(
            f"torch {torch.version} in {torch.folder} is too old: {wanted} or newer is needed",
            file=sys.stderr,
        )
        return 1
    print(cmake_text(torch) if options.cmake else f"torch {torch.version} in {torch.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
