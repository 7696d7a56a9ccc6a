"""The graph of a computation as a picture, drawn by Graphviz."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from namegen_reference.micrograd.value import Value

TEXT_FORMATS = ("dot", "gv")
PICTURE_FORMATS = ("pdf", "png", "svg")


class DrawingError(RuntimeError):
    """The picture cannot be drawn; the message says why."""


def to_dot(result: Value) -> str:
    """Return the graph that ends in ``result``, in Graphviz's language.

    Each value is a box with its label, number and gradient. Each operation is an ellipse. Arrows go from left to right.
    """
    lines = ["digraph {", "  rankdir=LR;", "  node [fontname=monospace];"]
    names = {value: f"v{number}" for number, value in enumerate(result.graph())}
    for value, name in names.items():
        text = f"data {value.data:.4f}\\ngrad {value.grad:.4f}"
        if value.label:
            escaped = value.label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            text = f"{escaped}\\n{text}"
        lines.append(f'  {name} [shape=box, label="{text}"];')
        if value.operation:
            lines.append(f'  {name}_op [label="{value.operation}"];')
            lines.append(f"  {name}_op -> {name};")
            lines.extend(f"  {names[operand]} -> {name}_op;" for operand in value.operands)
    return "\n".join([*lines, "}"]) + "\n"


def draw(result: Value, path: str | Path) -> None:
    """Draw the graph that ends in ``result``.

    Args:
        result: the last value.
        path: the file. With .dot or .gv it is written in Graphviz's language; .svg, .png and .pdf need Graphviz.

    Raises:
        ValueError: the path has another ending.
        DrawingError: Graphviz is not installed, or it failed.
        OSError: the file cannot be written.

    """
    path = Path(path)
    ending = path.suffix.lower().removeprefix(".")
    if ending not in TEXT_FORMATS + PICTURE_FORMATS:
        endings = ", .".join(TEXT_FORMATS + PICTURE_FORMATS)
        raise ValueError(f"path must end in one of .{endings}, but got {str(path)!r}")
    content = to_dot(result).encode("utf-8")
    if ending in PICTURE_FORMATS:
        content = _render(content, ending)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _render(text: bytes, picture_format: str) -> bytes:
    dot = shutil.which("dot")
    if dot is None:
        raise DrawingError("Graphviz is not installed (no program 'dot'): take a path that ends in .dot")
    done = subprocess.run([dot, f"-T{picture_format}"], input=text, capture_output=True, check=False)
    if done.returncode != 0:
        raise DrawingError(f"dot failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
