"""The build's note, _build.json. Error messages quote it where a compiled module does not load."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTE = Path(__file__).parents[1] / "_build.json"


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


def rebuild_command() -> str:
    """Return the command that builds the package again, as far as pip has noted what it was installed from.

    ``--no-cache-dir``, since pip would install the wheel again that it made of a source archive before.
    """
    import shlex

    always = "pip install --no-cache-dir --force-reinstall --no-deps"
    source, editable = _installed_from()
    if source is None or source.suffix == ".whl":
        return f"{always} . (in a checkout of its sources; a wheel serves one version of torch)"
    return f"{always} {'-e ' if editable else ''}{shlex.quote(str(source))}"


def _installed_from() -> tuple[Path | None, bool]:
    """Return what the package was installed from, if it is still there, and whether it is editable."""
    # Imported here, since these take longer than the rest of the package and only messages ask for them.
    from importlib import metadata
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        # direct_url.json: packaging.python.org/en/latest/specifications/direct-url. In a checkout Python also finds the
        # notes of setuptools, which have no such file.
        found = metadata.distributions(name="namegen_ext")
        text = next((t for t in (one.read_text("direct_url.json") for one in found) if t), "{}")
        facts: dict[str, Any] = json.loads(text)
        url = urlsplit(str(facts.get("url", "")))
        editable = bool(facts.get("dir_info", {}).get("editable", False))
    except (OSError, ValueError, AttributeError):
        return None, False
    source = Path(url2pathname(url.path)) if url.scheme == "file" else None
    return (source if source is not None and source.exists() else None), editable
