from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def names_file() -> Path:
    """The 32,033 names of the makemore project, which are no part of this one."""
    path = Path(os.environ.get("NAMEGEN_NAMES", ROOT.parent / "shared" / "data" / "names.txt"))
    if not path.is_file():
        pytest.skip(f"{path} is absent: give the path of makemore's names.txt in NAMEGEN_NAMES")
    return path
