"""Find the environment that a build is installed into, where the tool that builds hides it.

pip builds with the Python of that environment, whose ``sysconfig`` tells where its packages lie. uv and build (``python
-m build``) make a virtual environment for each build instead, and run its Python. What they leave of the other one:

- build: pyvenv.cfg tells the Python that build runs on, in its line ``command``;
- uv: PATH, where an activated environment comes right after the build's own; CONDA_PREFIX; and the folder ``.venv`` of
  the working folder or of one above it, in which uv looks (docs.astral.sh/uv/pip/environments). Options of uv that name
  another environment are seen in its command line, where the system shows that.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

# Options and settings of uv that name the environment.
UV_OPTIONS = re.compile(r"(--(python|system|target|prefix)(=.*)?|-[pt].*)")
UV_SETTINGS = ("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT")


def hiding_tool() -> str | None:
    """Return "uv" or "build" where one of them has made the environment that this Python runs in, else None."""
    prefix = Path(sys.prefix)
    if not (prefix / "pyvenv.cfg").is_file():
        return None
    if prefix.name.startswith("build-env-"):
        return "build"
    return "uv" if any(re.fullmatch(r"builds-v\d+", part) for part in prefix.parts) else None


def target_environment(environment: Mapping[str, str]) -> Path | None:
    """Return the environment that is installed into, as far as a tool that hides it lets one know; else None."""
    found = None
    if hiding_tool() == "build":
        found = _environment_of_build(environment)
    elif hiding_tool() == "uv" and not _uv_is_told(environment, _command_of_parent()):
        found = _environment_of_uv(environment)
    return found if found is not None and all(map(Path.is_dir, site_packages(found))) else None


def site_packages(environment: Path) -> list[Path]:
    """Return the folders of an environment's packages, for a Python of the version that runs this."""
    base = {"base": str(environment), "platbase": str(environment)}
    names = (sysconfig.get_path(name, "posix_prefix", vars=base) for name in ("purelib", "platlib"))
    return [Path(name) for name in dict.fromkeys(names)]


def _environment_of_build(environment: Mapping[str, str]) -> Path | None:
    text = Path(sys.prefix, "pyvenv.cfg").read_text(encoding="utf-8")
    command = re.search(r"^command\s*=\s*(.+?) -m venv ", text, re.MULTILINE)
    if command is not None:
        return Path(command.group(1)).parent.parent
    activated = environment.get("VIRTUAL_ENV")
    return Path(activated) if activated else None


def _environment_of_uv(environment: Mapping[str, str]) -> Path | None:
    own = Path(sys.prefix)
    folders = [Path(folder).parent for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    others = [folder for folder in folders if folder != own]
    if others and (others[0] / "pyvenv.cfg").is_file():
        return others[0]
    conda = environment.get("CONDA_PREFIX")
    if conda:
        return Path(conda)
    working = Path(environment.get("PWD") or Path.cwd())
    for folder in (working, *working.parents):
        if (folder / ".venv" / "pyvenv.cfg").is_file():
            return folder / ".venv"
    return None


def _uv_is_told(environment: Mapping[str, str], command: Sequence[str]) -> bool:
    """Tell whether uv was told by an option or a setting which environment to install into."""
    return any(environment.get(name) for name in UV_SETTINGS) or any(map(UV_OPTIONS.fullmatch, command))


def _command_of_parent() -> list[str]:
    """Return the command line of the process that started this one; empty where the system does not show it."""
    try:
        text = Path(f"/proc/{os.getppid()}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.split("\0")
