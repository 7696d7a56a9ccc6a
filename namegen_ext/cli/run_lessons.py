"""Runs ``lessons``: lists them, or runs those that were asked for."""

from __future__ import annotations

import argparse
import importlib

from namegen_ext.cli.command import OK, ended_by_interrupts
from namegen_ext.cli.find_lessons import PACKAGE, find_lessons


def run(options: argparse.Namespace) -> int:
    """List the lessons where none is named, else run the named ones in their order."""
    lessons: dict[str, str] = find_lessons().LESSONS
    if not options.names:
        list_lessons(lessons, options.prog)
    else:
        with ended_by_interrupts(options.prog):
            import torch  # noqa: F401  # for the lessons
    for name in list(lessons) if "all" in options.names else options.names:
        run_lesson(name)
    return OK


def list_lessons(lessons: dict[str, str], prog: str) -> None:
    """Print the lessons in the order in which to take them."""
    width = max(map(len, lessons))
    for number, (name, summary) in enumerate(lessons.items(), start=1):
        print(f"{number:2}  {name:<{width}}  {summary}")
    print(f"\n{prog} NAME ... runs them, {prog} all every one")


def run_lesson(name: str) -> None:
    """Run a lesson under its title, on one thread: the tensors are small."""
    import torch

    find_lessons()
    lesson = importlib.import_module(f"{PACKAGE}.{name}")
    title = (lesson.__doc__ or name).splitlines()[0]
    print(f"{title}\n{'=' * len(title)}\n")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lesson.main()
    finally:
        torch.set_num_threads(threads)
    print()
