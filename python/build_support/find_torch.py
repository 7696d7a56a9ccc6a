"""Find the torch to compile against: the one that will be imported, without importing it.

pip builds in an isolated environment. Its ``sys.path`` hides what is installed, but ``sysconfig`` still tells where the
packages of the target environment lie. So the target environment is searched first, and the build's own path after it.
"""

from __future__ import annotations

import re
import site
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
    """Return the folders that a torch may lie in, those of the target environment first."""
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if _sees_base_environment():
        base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
        folders += [sysconfig.get_path("purelib", vars=base), site.getusersitepackages()]
    return [Path(folder) for folder in dict.fromkeys([*folders, *sys.path]) if folder]


def _sees_base_environment() -> bool:
    """Tell whether imports also reach beyond a virtual environment."""
    if sys.prefix == sys.base_prefix:
        return True
    config = Path(sys.prefix, "pyvenv.cfg")
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    return (
        re.search(r"^include-system-site-packages\s*=\s*true", text, re.IGNORECASE | re.MULTILINE) is not None
    )


def find_torch() -> Torch | None:
    """Return the torch that will be imported, or None where there is none."""
    for folder in candidate_folders():
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
    """Print what was found; ``--cmake`` prints it for CMake."""
    torch = find_torch()
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
    print(cmake_text(torch) if "--cmake" in arguments else f"torch {torch.version} in {torch.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
