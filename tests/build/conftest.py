"""Makes python/build_support importable, as the build backend's path does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python" / "build_support"))


@pytest.fixture
def fake_torch() -> Callable[..., Path]:
    """Make a folder look as if a torch were installed in it."""

    def make(
        site_packages: Path, version: str = "2.13.0+cpu", cuda: str | None = None, headers: bool = True
    ) -> Path:
        package = site_packages / "torch"
        (package / "utils").mkdir(parents=True)
        (package / "version.py").write_text(
            f"from typing import Optional\n__all__ = ['__version__', 'cuda']\n__version__ = {version!r}\n"
            f"debug = False\ncuda: Optional[str] = {cuda!r}\nhip: Optional[str] = None\n",
            encoding="utf-8",
        )
        (package / "utils" / "cpp_extension.py").write_text("flags = ['-std=c++20']\n", encoding="utf-8")
        if headers:
            (package / "include").mkdir()
        return package

    return make
