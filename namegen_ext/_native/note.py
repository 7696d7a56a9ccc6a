"""What the build notes beside the compiled modules, in _build.json: for messages where one of them does not load."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

NOTE = Path(__file__).parents[1] / "_build.json"
REBUILD = "pip install --force-reinstall --no-deps namegen_ext (in a checkout: pip install -e .)"


@dataclass(frozen=True)
class BuildNote:
    """What was built.

    Attributes:
        torch: the version that the operators are compiled against; None where they were not built.
        has_operators: whether they were built.

    """

    torch: str | None
    has_operators: bool


def read_note() -> BuildNote | None:
    """Read the note; None where there is none that can be read."""
    try:
        note = json.loads(NOTE.read_text(encoding="utf-8"))
        torch, modules = note["torch"], note["modules"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(torch, str | None) or not isinstance(modules, list):
        return None
    return BuildNote(torch, "_C" in modules)
