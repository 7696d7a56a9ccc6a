"""The arrows between the rooms: which folder's code may import which, read from the import statements themselves.

An arrow that the table lacks fails, and so does one that no import needs any more. All imports count, those within
functions and those for type checkers too: what a room knows by name, it depends on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The packages that are installed, and where they stand.
PACKAGES = {
    "namegen_ext": ROOT / "namegen_ext",
    "namegen_bench": ROOT / "python" / "namegen_bench",
    "namegen_lessons": ROOT / "python" / "lessons",
    "namegen_reference": ROOT / "python" / "namegen_reference",
}

# From the bottom to the top: each room imports rooms above it in this table alone, so no arrows go in a circle. A room
# of namegen_ext is a folder, or a module at the package's top; the other packages are one room each.
MAY_IMPORT: dict[str, set[str]] = {
    # What everything may stand on.
    "_version": set(),
    "_lazy": set(),
    "_C": set(),
    "_core": set(),
    "_native": {"_version", "_C", "_core"},
    # Words, operators, modules, models.
    "data": {"_lazy"},
    "ops": {"_native"},
    "nn": {"_lazy", "_native", "ops"},
    "fusion": {"ops", "nn"},
    "models": {"_lazy", "_native", "data", "nn"},
    "engine": {"_native", "data", "nn", "models"},
    "steering": {"_lazy", "data"},
    "sampling": {"_lazy", "_native", "data", "nn", "models", "steering"},
    "scoring": {"_lazy", "_native", "data", "models", "steering", "sampling"},
    # What can be asked for, what a run leaves behind, training.
    "options": {"data", "nn", "models"},
    "runs": {"_version", "data", "models", "options"},
    "training": {"_lazy", "data", "nn", "fusion", "models", "engine", "sampling", "options", "runs"},
    "fitting": {"data", "models", "engine", "options", "runs", "training"},
    # What is made of runs.
    "diagnostics": {"_lazy", "data", "fusion", "models", "runs"},
    "plotting": {"_version", "_lazy", "diagnostics"},
    "reproduction": {"_lazy", "data", "models", "options", "runs", "training", "fitting"},
    "mix": {"data", "steering", "sampling", "scoring"},
    "exporting": {"_version", "data", "models", "sampling", "runs", "fusion"},
    "generator": {
        "mix",
        "data",
        "exporting",
        "models",
        "steering",
        "sampling",
        "scoring",
        "runs",
        "training",
    },
    "fit_names": {"data", "models", "options", "runs", "training", "fitting", "generator"},
    "__init__": {"_version", "_lazy", "_native", "fusion", "fit_names", "generator"},
    # The packages beside this one.
    "namegen_reference": set(),
    "namegen_lessons": {"data", "engine", "ops", "models", "plotting", "namegen_reference"},
    # The commands.
    "cli": {
        "_version",
        "data",
        "fitting",
        "nn",
        "models",
        "steering",
        "sampling",
        "scoring",
        "options",
        "runs",
        "training",
        "diagnostics",
        "plotting",
        "reproduction",
        "exporting",
        "generator",
    },
    "__main__": {"__init__", "cli"},
    "train": {"cli"},
    "sample": {"options", "cli"},
    "export": {"options", "cli"},
    "score": {"cli"},
    "plot": {"options", "runs", "diagnostics", "cli"},
    "reproduce": {"data", "options", "reproduction", "cli"},
    "lessons": {"options", "cli"},
    "namegen_bench": {
        "__init__",
        "_native",
        "data",
        "ops",
        "nn",
        "fusion",
        "models",
        "engine",
        "steering",
        "sampling",
        "options",
        "training",
        "plotting",
        "runs",
        "exporting",
        "fit_names",
        "cli",
    },
    "bench": {"cli", "namegen_bench"},
}


def files_of(package: str) -> Iterator[tuple[str, Path]]:
    """Each file of a package, with the room that it belongs to."""
    folder = PACKAGES[package]
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        yield (inside.parts[0] if len(inside.parts) > 1 else path.stem), path


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The dotted name of every module that is imported, and of every name that is taken from one; with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used: they hide the room"
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


def room_of(module: str) -> str | None:
    """The room that a dotted name belongs to; None for what is no part of this project."""
    package, *parts = module.split(".")
    if package not in PACKAGES:
        return None
    if package != "namegen_ext":
        return package
    folder = PACKAGES[package]
    is_room = bool(parts) and ((folder / parts[0]).is_dir() or (folder / f"{parts[0]}.py").is_file())
    return parts[0] if is_room or parts[:1] in (["_C"], ["_core"]) else "__init__"


def arrows() -> dict[tuple[str, str], list[str]]:
    """Every arrow from one room to another, with the places where it stands."""
    found: dict[tuple[str, str], list[str]] = {}
    for package in PACKAGES:
        for folder, path in files_of(package):
            room = folder if package == "namegen_ext" else package
            for module, line in imported(ast.parse(path.read_text(encoding="utf-8"))):
                other = room_of(module)
                if other is not None and other != room:
                    place = f"{path.relative_to(ROOT)}:{line} imports {module}"
                    found.setdefault((room, other), []).append(place)
    return found


ARROWS = arrows()


def test_every_room_stands_in_the_table() -> None:
    rooms = (
        {room for room, _ in files_of("namegen_ext")} | {"_C", "_core"} | PACKAGES.keys() - {"namegen_ext"}
    )
    assert rooms == MAY_IMPORT.keys()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_it_may_and_needs_what_it_may(room: str) -> None:
    found = {other: places for (own, other), places in ARROWS.items() if own == room}
    forbidden = {other: places for other, places in found.items() if other not in MAY_IMPORT[room]}
    assert forbidden == {}, f"{room} may not import these"
    assert MAY_IMPORT[room] - found.keys() == set(), (
        f"{room} imports these no more: take them out of the table"
    )


def test_the_arrows_go_one_way() -> None:
    order = list(MAY_IMPORT)
    for room, others in MAY_IMPORT.items():
        upwards = {other for other in others if order.index(other) >= order.index(room)}
        assert upwards == set(), f"{room} imports what stands at its height or over it in the table"


@pytest.mark.parametrize(
    ("room", "others"),
    [("measuring", ("suites", "reporting")), ("suites", ("reporting",)), ("reporting", ("suites",))],
)
def test_the_rooms_of_the_benchmark(room: str, others: Iterable[str]) -> None:
    """How to measure is independent of what is measured, and that of what is made of it."""
    forbidden = tuple(f"namegen_bench.{other}" for other in others)
    paths = sorted((PACKAGES["namegen_bench"] / room).rglob("*.py"))
    assert paths
    for path in paths:
        for module, line in imported(ast.parse(path.read_text(encoding="utf-8"))):
            assert not module.startswith(forbidden), f"{path.relative_to(ROOT)}:{line} imports {module}"


def imported_at_once(path: Path) -> Iterator[str]:
    """What importing a file imports: its import statements outside of functions and of what is for type checkers."""
    waiting: list[ast.stmt] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (name for name, _ in imported(ast.Module([node], [])))
        else:
            waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def loaded_by(module: str) -> dict[str, str]:
    """All modules that are loaded with one, each with the module that loads it."""
    loaders = {module: ""}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = file_of(name)
        if (
            path is None or name == "namegen_ext"
        ):  # what the package itself loads, tests/test_package.py knows
            continue
        for other in imported_at_once(path):
            # Importing a.b.c imports a and a.b before; and what is taken from a module may be a module itself.
            parts = other.split(".")
            for depth in range(1, len(parts) + 1):
                part = ".".join(parts[:depth])
                is_loaded = depth == 1 or part.split(".")[0] not in PACKAGES or file_of(part) is not None
                if is_loaded and part not in loaders:
                    loaders[part] = name
                    waiting.append(part)
    return loaders


def file_of(module: str) -> Path | None:
    """The file of a module of this project; None for all others."""
    package, *parts = module.split(".")
    if package not in PACKAGES:
        return None
    path = PACKAGES[package].joinpath(*parts)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


# What --help and a wrong flag wait for.
@pytest.mark.parametrize(
    "module",
    [
        "namegen_bench.bench_command",
        *(
            f"namegen_ext.{name}"
            for name in ("cli.main", "train", "sample", "score", "export", "plot", "lessons", "reproduce")
        ),
    ],
)
@pytest.mark.parametrize("library", ["torch", "jax", "matplotlib", "numpy"])
def test_what_is_loaded_before_anything_is_measured(module: str, library: str) -> None:
    loaders = loaded_by(module)
    assert len(loaders) > 3, "nothing was followed"
    chain = [library]
    while chain[-1] in loaders and loaders[chain[-1]]:
        chain.append(loaders[chain[-1]])
    assert chain == [library], " <- ".join(chain)
