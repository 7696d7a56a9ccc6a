"""List and run the lessons: ``python -m namegen_ext.lessons [NAME ...]``.

Exit status: 0; 2 for a name that is no lesson; 130 after Ctrl-C.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from namegen_ext.cli.parser import Parser
from namegen_ext.options.ranges import shown

PACKAGE = "namegen_lessons"  # python/lessons in a checkout
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.lessons") -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes those of the process.
        prog: the command's name, for its messages.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status 0 after --help, with 2 after a wrong argument.

    """
    lessons: dict[str, str] = find_lessons().LESSONS
    parser = Parser(prog=prog, description="List the lessons, or run some of them.", allow_abbrev=False)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="lessons to run in this order, or 'all' (default: list them)"
    )
    names = parser.parse_args(arguments).names
    for name in names:
        if name not in lessons and name != "all":
            parser.error(f"argument NAME: got {shown(name)}, expected one of {', '.join(lessons)}, or all")
    try:
        if not names:
            list_lessons(lessons, prog)
        for name in list(lessons) if "all" in names else names:
            run_lesson(name)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has had enough: what is still buffered for it goes nowhere
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


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


def find_lessons() -> ModuleType:
    """Return the package of the lessons: the installed one, else that of the checkout around this file."""
    if PACKAGE in sys.modules:
        return sys.modules[PACKAGE]
    if importlib.util.find_spec(PACKAGE) is not None:
        return importlib.import_module(PACKAGE)
    # In a checkout that is not installed, it stands under another name; namegen_reference stands beside it.
    folder = Path(__file__).resolve().parents[1] / "python" / "lessons"
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if not folder.is_dir() or spec is None or spec.loader is None:
        raise ModuleNotFoundError(
            f"the lessons are neither installed nor in {folder}: install the package again"
        )
    if importlib.util.find_spec("namegen_reference") is None:
        sys.path.append(str(folder.parent))
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package


if __name__ == "__main__":
    sys.exit(main())
