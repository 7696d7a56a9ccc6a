"""Runs ``lessons``: lists them, or runs those that were asked for, each step's code above what it prints."""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from namegen_ext.cli.command import CommandError, ended_by_interrupts
from namegen_ext.cli.exit_status import OK
from namegen_ext.cli.find_lessons import PACKAGE, find_lessons
from namegen_ext.cli.lesson_code import LessonCode, read_lesson


def run(options: argparse.Namespace) -> int:
    """List the lessons where none is named, else run the named ones in their order.

    Raises:
        CommandError: a figure cannot be written.

    """
    lessons: dict[str, str] = find_lessons().LESSONS
    if not options.names:
        list_lessons(lessons, options.prog)
    else:
        with ended_by_interrupts(options.prog):
            import torch  # noqa: F401  # for the lessons
        from namegen_ext.plotting import lesson_figure

        lesson_figure.folder = None if options.out is None else Path(options.out)
    for name in list(lessons) if "all" in options.names else options.names:
        run_lesson(name, with_code=options.code)
    return OK


def list_lessons(lessons: dict[str, str], prog: str) -> None:
    """Print the lessons in the order in which to take them."""
    width = max(map(len, lessons))
    for number, (name, summary) in enumerate(lessons.items(), start=1):
        print(f"{number:2}  {name:<{width}}  {summary}")
    print(f"\n{prog} NAME ... runs them, {prog} all every one")


def run_lesson(name: str, *, with_code: bool) -> None:
    """Run a lesson under its title, on one thread: the tensors are small.

    Raises:
        CommandError: a figure cannot be written.

    """
    import torch

    find_lessons()
    lesson = importlib.import_module(f"{PACKAGE}.{name}")
    code = read_lesson(Path(lesson.__file__ or ""))
    print(f"{code.title}\n{'=' * len(code.title)}\n\nsource: {code.path}\n")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if with_code:
            _run_steps(code, lesson)
        else:
            lesson.main()
    except OSError as error:
        if error.filename is None:  # standard output
            raise
        raise CommandError(f"{error.filename}: {error.strerror}; name a folder by --out DIR") from None
    finally:
        torch.set_num_threads(threads)
    _show_exercises(code)


def _run_steps(code: LessonCode, lesson: ModuleType) -> None:
    """Run ``main`` piece by piece: the code of a step, then what it prints."""
    namespace: dict[str, Any] = dict(vars(lesson))
    _show_code(code.start)
    for step in code.steps:
        _show_code("\n\n\n".join(filter(None, [step.definitions, step.code])))
        exec(compile(step.code, str(code.path), "exec"), namespace)
    print()


def _show_code(text: str) -> None:
    """Print code: in colours on a terminal, else with a bar before each line."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.syntax import Syntax

        Console().print(Syntax(text, "python", background_color="default", word_wrap=True))
    else:
        print(textwrap.indent(text, "| ", lambda line: True))
    print()


def _show_exercises(code: LessonCode) -> None:
    print("\nExercises")
    for number, (question, _) in enumerate(code.exercises, start=1):
        print(_wrapped(f"{number}. {question}"))
    print("\nAnswers")
    for number, (_, answer) in enumerate(code.exercises, start=1):
        print(_wrapped(f"{number}. {answer}"))
    print()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, width=100, initial_indent="   ", subsequent_indent="      ")
