"""Finds the lessons, installed or in a checkout."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = "namegen_lessons"  # python/lessons in a checkout


def find_lessons() -> ModuleType:
    """Return the package of the lessons: the installed one, else that of the checkout around this file."""
    if PACKAGE in sys.modules:
        return sys.modules[PACKAGE]
    if importlib.util.find_spec(PACKAGE) is not None:
        return importlib.import_module(PACKAGE)
    # In a checkout that is not installed, the folder has another name. namegen_reference stands beside it.
    folder = Path(__file__).resolve().parents[2] / "python" / "lessons"
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if not folder.is_dir() or spec is None or spec.loader is None:
        raise ModuleNotFoundError(
            f"the lessons are neither installed nor in {folder}: install the package again"
        )
    if importlib.util.find_spec("namegen_reference") is None:
        sys.path.append(str(folder.parent))
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package
