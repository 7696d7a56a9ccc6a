"""What the build notes beside the compiled modules, in _build.json: for messages where one of them does not load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NOTE = Path(__file__).parents[1] / "_build.json"
REBUILD = "pip install --force-reinstall --no-deps namegen_ext (in a checkout: pip install -e .)"


def read_note() -> dict[str, Any]:
    """Return what the build noted: "torch", the version that ``_C`` is compiled against, or None where it built none.

    Empty where there is no note, or one that cannot be read.
    """
    try:
        note = json.loads(NOTE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
