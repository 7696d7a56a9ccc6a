"""The examples run, each in a process of its own, as a reader runs them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FILES = [*sorted(EXAMPLES.glob("*.py")), EXAMPLES / "naive_to_fast" / "run.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    if path.name == "run.py" and shutil.which("c++") is None:
        pytest.skip("there is no C++ compiler named c++")
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert list(tmp_path.iterdir()) == []


def test_the_examples_are_listed() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    missing = [
        path for path in EXAMPLES.iterdir() if f"]({path.name})" not in page and path.name != "README.md"
    ]
    assert [path for path in missing if path.name != "__pycache__"] == []
