"""Exports that are imported when they are first asked for.

A package that exports lazily can be imported without torch, and so can those of its modules that need no torch. Its
``__init__`` tells type checkers what it exports, and Python where to find it::

    if TYPE_CHECKING:
        from namegen_ext.models.mlp import MLP
    else:
        __getattr__, __dir__ = lazy_exports(__name__, {"namegen_ext.models.mlp": ("MLP",)})

Source: PEP 562, "Module __getattr__ and __dir__".
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any


def lazy_exports(
    package: str, exports: Mapping[str, Sequence[str]], subpackages: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        exports: the names to export, by the module that defines them.
        subpackages: what is imported when ``package.NAME`` is first asked for, without an import statement.

    Returns:
        The two functions. The first one raises AttributeError for every other name, as a module does.

    """

    origins = {name: module for module, names in exports.items() for name in names}

    def get_attribute(name: str) -> Any:
        if name in origins:
            value = getattr(importlib.import_module(origins[name]), name)
        elif name in subpackages:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)  # the next time, Python finds it by itself
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *origins, *subpackages})

    return get_attribute, list_names
