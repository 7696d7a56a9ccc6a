"""Loads ``namegen_ext._core``, the native part that needs no torch."""

from __future__ import annotations

import platform
from types import ModuleType
from typing import Any

from namegen_ext._native.note import read_note, rebuild_command


def _load() -> ModuleType:
    try:
        import namegen_ext._core as _core
    except ImportError as error:
        if read_note() is None:
            raise ImportError(
                f"namegen_ext's compiled module _core is missing: build it with {rebuild_command()}"
            ) from error
        raise ImportError(
            f"namegen_ext's compiled module _core does not load on Python {platform.python_version()} ({error}): "
            f"rebuild it with {rebuild_command()}"
        ) from error
    return _core


_core: Any = _load()
