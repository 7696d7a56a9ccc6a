"""A torch that changed after the build is told in one sentence, when the operators are imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import namegen_ext
from namegen_ext import _extension


@pytest.mark.parametrize("built", ["2.12.1", "2.12.1+cu130", "1.0"])
def test_another_torch(built: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_extension, "_built_against", lambda: built)
    with pytest.raises(ImportError) as raised:
        _extension._load()
    message = str(raised.value)
    assert f"compiled against torch {built}" in message
    assert f"torch {torch.__version__} is installed" in message
    assert "pip install" in message
    assert "\n" not in message


def test_the_local_part_of_the_version_may_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_extension, "_built_against", lambda: torch.__version__.partition("+")[0] + "+other")
    assert _extension._load() is _extension._C


def copied_package(folder: Path, note: str | None, with_extension: bool) -> Path:
    """The package's Python files, with the given _build.json, and perhaps a file for the extension."""
    package = folder / "namegen_ext"
    source = Path(namegen_ext.__file__).parent
    shutil.copytree(
        source, package, ignore=shutil.ignore_patterns("*.so", "_build.json", "__pycache__", "files")
    )
    if note is not None:
        (package / "_build.json").write_text(note, encoding="utf-8")
    if with_extension:
        (package / "_C.py").write_text(
            "raise ImportError('undefined symbol: _ZN2at5emptyE')\n", encoding="utf-8"
        )
    return package


def last_line_of_import(folder: Path) -> str:
    # An editable installation would lend its own extension to a package that has none.
    program = (
        "import sys; sys.path.insert(0, '.'); "
        "sys.meta_path = [f for f in sys.meta_path if 'Editable' not in getattr(f, '__name__', '')]; "
        "import namegen_ext; import namegen_ext.ops"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


def test_import_of_a_package_built_for_another_torch(tmp_path: Path) -> None:
    copied_package(tmp_path, '{"torch": "2.10.0"}', with_extension=True)
    line = last_line_of_import(tmp_path)
    assert line.startswith("ImportError: namegen_ext was compiled against torch 2.10.0, but torch ")


def test_import_of_a_package_that_was_not_built(tmp_path: Path) -> None:
    copied_package(tmp_path, None, with_extension=False)
    assert "compiled extension is missing: build it with pip install" in last_line_of_import(tmp_path)


def test_import_of_an_extension_that_does_not_load(tmp_path: Path) -> None:
    copied_package(tmp_path, f'{{"torch": "{torch.__version__}"}}', with_extension=True)
    line = last_line_of_import(tmp_path)
    assert "does not load with torch" in line
    assert "undefined symbol" in line
    assert "rebuild it with pip install" in line


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", "null", '"text"'])
def test_a_damaged_note_is_no_reason_to_fail(
    note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_build.json").write_text(note, encoding="utf-8")
    monkeypatch.setattr(_extension, "__file__", str(tmp_path / "_extension.py"))
    assert _extension._built_against() is None
