"""The drawings of docs/architecture.md are those of the code: its imports and its includes.

``python tests/test_architecture_drawing.py`` writes them anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = {"namegen_bench": "python/namegen_bench", "namegen_lessons": "python/lessons"}
PACKAGES |= {"namegen_reference": "python/namegen_reference"}
# Modules of the package that only start something; they share a box.
COMMANDS = {"__main__", "bench", "export", "lessons", "plot", "reproduce", "sample", "score", "train"}
INCLUDE = re.compile(r'^#include "([^"]+)/[^"/]+"', re.MULTILINE)

Graph = Mapping[str, set[str]]


def python_rooms() -> Graph:
    """Which room of the Python packages imports which."""
    graph: dict[str, set[str]] = {}
    folders = {"namegen_ext": ROOT / "namegen_ext"} | {name: ROOT / path for name, path in PACKAGES.items()}
    for package, folder in folders.items():
        for path in sorted(folder.rglob("*.py")):
            own = _room(package, path.relative_to(folder).with_suffix("").parts)
            others = {_room_of_module(name) for name in _imported(path)}
            if own is not None:
                graph.setdefault(own, set()).update(others - {own, None})  # type: ignore[arg-type]
    return graph


def _imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{name.name}" for name in node.names]
    return names


def _room_of_module(name: str) -> str | None:
    package, *parts = name.split(".")
    return _room(package, tuple(parts)) if package == "namegen_ext" or package in PACKAGES else None


def _room(package: str, parts: tuple[str, ...]) -> str | None:
    if package != "namegen_ext":
        return package
    first = parts[0] if parts else "__init__"
    if first in ("_version", "_lazy"):  # everything stands on them
        return None
    if first in COMMANDS:
        return "commands"
    folder = ROOT / "namegen_ext"
    is_room = (folder / first).is_dir() or (folder / f"{first}.py").is_file() or first in ("_C", "_core")
    return first if is_room and first != "__init__" else "namegen_ext"


def native_rooms() -> Graph:
    """Which folder of the C++ includes which; a folder cpu or cuda counts to the one that it stands in."""
    graph: dict[str, set[str]] = {}
    for half in ("core", "torch"):
        folder = ROOT / "csrc" / half
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".h", ".cpp", ".cu", ".cuh"):
                own = _native_room(half, str(path.parent.relative_to(folder)))
                others = {
                    _native_room("core" if (ROOT / "csrc" / "core" / name).is_dir() else half, name)
                    for name in INCLUDE.findall(path.read_text(encoding="utf-8"))
                    if any((ROOT / "csrc" / some / name).is_dir() for some in ("core", "torch"))
                }
                graph.setdefault(own, set()).update(others - {own})
    return graph


def _native_room(half: str, folder: str) -> str:
    parts = [part for part in folder.split("/") if part not in ("cpu", "cuda", ".")]
    return "/".join(["csrc", half, *parts])


def without_detours(graph: Graph) -> Graph:
    """Leave out each arrow whose end can be reached by other arrows."""

    def reached(room: str) -> set[str]:
        found: set[str] = set()
        waiting = list(graph.get(room, ()))
        while waiting:
            other = waiting.pop()
            if other not in found:
                found.add(other)
                waiting += graph.get(other, ())
        return found

    return {
        room: {
            other
            for other in others
            if not any(other in reached(between) for between in others - {other, room})
        }
        for room, others in graph.items()
    }


def drawing(graph: Graph) -> str:
    """Write a graph for Mermaid, which the pages of documentation and code hosts show as a picture."""
    rooms = sorted({*graph, *(other for others in graph.values() for other in others)})
    number = {room: f"room{index}" for index, room in enumerate(rooms)}
    boxes = [f'  {number[room]}["{room}"]' for room in rooms]
    reduced = without_detours(graph)
    arrows = [
        f"  {number[room]} --> {number[other]}" for room in sorted(reduced) for other in sorted(reduced[room])
    ]
    return "\n".join(["```mermaid", "flowchart TD", *boxes, *arrows, "```"])


def with_drawings(page: str) -> str:
    """Put the drawings in the places of the page that are marked for them."""
    for mark, graph in (("python", python_rooms()), ("native", native_rooms())):
        begin, end = f"<!-- begin {mark} -->\n", f"\n<!-- end {mark} -->"
        before, rest = page.split(begin)
        page = before + begin + drawing(graph) + end + rest.split(end)[1]
    return page


def test_the_drawings_are_those_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_drawings(page), "python tests/test_architecture_drawing.py draws them anew"


def test_the_imports_go_one_way() -> None:
    assert_no_circle(python_rooms())


def test_the_includes_of_the_native_code_go_one_way() -> None:
    assert_no_circle(native_rooms())


def assert_no_circle(graph: Graph) -> None:
    placed: set[str] = {other for others in graph.values() for other in others} - graph.keys()
    waiting = set(graph)
    while waiting:
        ready = {room for room in waiting if graph[room] <= placed}
        assert ready, f"these know each other in a circle: {sorted(waiting)}"
        placed |= ready
        waiting -= ready


def test_an_arrow_that_others_stand_for_is_left_out() -> None:
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": {"c"}}
    assert without_detours(graph) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": {"c"}}


if __name__ == "__main__":
    PAGE.write_text(with_drawings(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
