"""One ES module of the files in web/, which import each other, and of the model that it draws from.

Each file stands for itself and is tested as it is. In the bundle they follow on each other, without the lines that
import and without the word "export", so that no tool has to be run. Names at the top of a file are therefore used once
among all files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from namegen_ext._version import __version__
from namegen_ext.exporting.document import as_json

# In the order in which they need each other.
LIBRARY = (
    "philox.mjs",
    "tensors.mjs",
    "context.mjs",
    "products.mjs",
    "network.mjs",
    "counts.mjs",
    "gpt.mjs",
    "mixture.mjs",
    "models.mjs",
    "uniforms.mjs",
    "categories.mjs",
    "rows.mjs",
    "folding.mjs",
    "options.mjs",
    "generator.mjs",
)

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def web_text(name: str) -> str:
    """Return a file of web/."""
    return files("namegen_ext.exporting").joinpath("web").joinpath(name).read_text(encoding="utf-8")


def bundled(names: Sequence[str]) -> str:
    """Join modules to one text without imports and exports."""
    parts = [f"// ---- {name}\n{_EXPORT.sub('', _IMPORT.sub('', web_text(name)))}" for name in names]
    return "\n".join(parts)


def module_text(document: Mapping[str, Any]) -> str:
    """Return the module with a model in it."""
    about = document["about"]
    comment = _one_line(f"{about['model']} on {about['data']}, by namegen_ext {__version__}")
    # A string that JSON.parse reads is loaded faster than an object literal of the same size.
    embedded = json.dumps(as_json(document))
    return (
        f"// A generator of names: {comment}.\n"
        '// import { Generator } from "./names.mjs"; const g = await Generator.load(); g.sample(20);\n\n'
        f"{bundled(LIBRARY)}\n"
        f"embedModel(() => JSON.parse({embedded}));\n\n"
        "export { Generator, NamesNotFoundError };\nexport default Generator;\n"
    )


def types_text() -> str:
    """Return the module's types, for TypeScript."""
    return web_text("names.d.mts")


def types_path(path: Path) -> Path:
    """Return where TypeScript looks for the types of a module: names.d.mts beside names.mjs."""
    suffix = path.suffix if path.suffix in (".mjs", ".js") else ".mjs"
    return path.with_name(path.name.removesuffix(path.suffix) + (".d.mts" if suffix == ".mjs" else ".d.ts"))


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
