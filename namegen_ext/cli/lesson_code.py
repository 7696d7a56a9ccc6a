"""Takes a lesson apart: the code of its start, and its steps, each with the functions that it is the first to use.

``lessons NAME`` shows a step's code above what it prints, and docs/notebooks has a cell for each. Both come from the
one script in python/lessons.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path


@dataclass(frozen=True)
class LessonStep:
    """A piece of a lesson's ``main``.

    Attributes:
        definitions: the source of the functions that it is the first to use, those that they call included.
        code: its own statements.

    """

    definitions: str
    code: str


@dataclass(frozen=True)
class LessonCode:
    """A lesson's source in pieces.

    Attributes:
        path: the script.
        title: the first line of its docstring.
        start: the imports and constants.
        steps: what ``main`` does, in order.
        exercises: questions with their answers.

    """

    path: Path
    title: str
    start: str
    steps: tuple[LessonStep, ...]
    exercises: tuple[tuple[str, str], ...]


def read_lesson(path: Path) -> LessonCode:
    """Read a lesson's script.

    Args:
        path: a script with a docstring, functions, among them ``main`` without arguments, and a list ``EXERCISES`` of
            pairs (question, answer).

    Raises:
        OSError: it cannot be read.

    """
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    tree = ast.parse(text)
    functions: dict[str, ast.stmt] = {
        node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    main = functions.pop("main")
    assert isinstance(main, ast.FunctionDef)
    exercises: tuple[tuple[str, str], ...] = ()
    start: list[ast.stmt] = []
    for node in tree.body[1:]:  # behind the docstring
        if _assigned_name(node) == "EXERCISES":
            assert isinstance(node, ast.Assign)
            exercises = tuple(ast.literal_eval(node.value))
        elif isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)):
            start.append(node)
    shown: set[str] = set()
    steps = []
    for group in _groups(main.body[1:], functions, lines):
        needed = _needed(group, functions) - shown
        shown |= needed
        definitions = [_source(node, lines) for name, node in functions.items() if name in needed]
        steps.append(LessonStep("\n\n\n".join(definitions), _dedented(group, lines)))
    title = (ast.get_docstring(tree) or path.stem).splitlines()[0]
    return LessonCode(path, title, _joined(start, lines), tuple(steps), exercises)


def _assigned_name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def _groups(body: list[ast.stmt], functions: dict[str, ast.stmt], lines: list[str]) -> list[list[ast.stmt]]:
    """Cut ``main`` behind each blank line, and behind each call of a function of the lesson."""
    groups: list[list[ast.stmt]] = [[]]
    for node in body:
        above = lines[_first_line(node) - 2]
        if groups[-1] and (not above.strip() or _calls(groups[-1][-1], functions)):
            groups.append([])
        groups[-1].append(node)
    return groups


def _calls(node: ast.stmt, functions: dict[str, ast.stmt]) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id in functions
    )


def _needed(group: list[ast.stmt], functions: dict[str, ast.stmt]) -> set[str]:
    """Return the names of the functions that statements use, directly or by those they call."""
    needed: set[str] = set()
    waiting: list[ast.stmt] = list(group)
    while waiting:
        for node in ast.walk(waiting.pop()):
            if isinstance(node, ast.Name) and node.id in functions and node.id not in needed:
                needed.add(node.id)
                waiting.append(functions[node.id])
    return needed


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _source(node: ast.stmt, lines: list[str]) -> str:
    return "\n".join(lines[_first_line(node) - 1 : node.end_lineno])


def _dedented(group: list[ast.stmt], lines: list[str]) -> str:
    whole = lines[_first_line(group[0]) - 1 : group[-1].end_lineno]
    return "\n".join(line[4:] for line in whole)


def _joined(nodes: list[ast.stmt], lines: list[str]) -> str:
    """Join top-level statements, with the comments above them and the blank lines between them."""
    text: list[str] = []
    for node in nodes:
        first = _first_line(node) - 1
        comments = len(list(takewhile(lambda line: line.startswith("#"), reversed(lines[:first]))))
        first -= comments
        if text and not lines[first - 1].strip():
            text.append("")
        text += lines[first : node.end_lineno]
    return "\n".join(text)
