"""Writes a model as one file that others can run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from namegen_ext.exporting.document import Exported, as_json, make_document
from namegen_ext.exporting.export_errors import ExportError
from namegen_ext.runs.files import write_bytes

if TYPE_CHECKING:
    from torch import nn

# What a model can be exported to, and the file that it is written to where none is named.
FILE_NAMES = {
    "html": "names.html",
    "js": "names.mjs",
    "json": "names.json",
    "onnx": "names.onnx",
    "pt2": "names.pt2",
}
# These are made of the module, through torch; the others of arrays, without it.
OF_MODULES = ("onnx", "pt2")


# What each ending of a file stands for.
_ENDINGS = {
    ".html": "html",
    ".htm": "html",
    ".mjs": "js",
    ".js": "js",
    ".json": "json",
    ".onnx": "onnx",
    ".pt2": "pt2",
}


def target_of(path: Path, to: str | None) -> str:
    """Return what a file is to hold: what was asked for, else what its ending stands for.

    Raises:
        ExportError: there is no such format, or the ending stands for none.

    """
    expected = ", ".join(FILE_NAMES)
    if to is None and path.suffix not in _ENDINGS:
        raise ExportError(f"to must be one of {expected} for a file of another ending, but got {str(path)!r}")
    target = _ENDINGS[path.suffix] if to is None else to
    if target not in FILE_NAMES:
        raise ExportError(f"to must be one of {expected}, but got {to!r}")
    return target


def export_document(exported: Exported, path: Path, to: str) -> list[Path]:
    """Write a model as a page, a module or a document.

    Args:
        exported: the model.
        path: the file.
        to: "html", "js" or "json".

    Returns:
        The files written: the types of a module stand beside it.

    Raises:
        ExportError: the model is larger than the format is meant for, or its numbers are not finite.
        RunError: a file cannot be written.

    """
    document = make_document(exported)
    files: dict[Path, str] = {}
    if to == "json":
        files[path] = as_json(document) + "\n"
    elif to == "js":
        from namegen_ext.exporting.web_bundle import module_text, types_path, types_text

        files[path] = module_text(document)
        files[types_path(path)] = types_text()
    else:
        from namegen_ext.exporting.web_page import page_text

        files[path] = page_text(document)
    for file, text in files.items():
        write_bytes(file, text.encode("utf-8"))
    return list(files)


def export_module(model: nn.Module, path: Path, to: str) -> list[Path]:
    """Write a network as other programs run it: from the symbols of contexts to the logits of the next symbol.

    Args:
        model: of stock or of fused layers; it stays as it is.
        path: the file.
        to: "onnx" or "pt2".

    Raises:
        ExportError: the model is no network, or what writes the file is not installed.
        RunError: the file cannot be written.

    """
    make: Callable[[nn.Module], bytes]
    if to == "onnx":
        from namegen_ext.exporting.onnx_file import onnx_bytes as make
    else:
        from namegen_ext.exporting.pt2_file import pt2_bytes as make
    write_bytes(path, make(model))
    return [path]
