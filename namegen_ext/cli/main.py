"""The console script: ``namegen fit|train|sample|score|export|plot|reproduce|bench ...``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence

from namegen_ext._version import __version__
from namegen_ext.cli.exit_status import OK, WRONG_ARGUMENT
from namegen_ext.cli.process import status_of

# Each is a module of the package. Its main(arguments, prog) runs the command. It is imported when it is asked for.
COMMANDS = {
    "fit": "find the best model for a list of names",
    "train": "train a name generator on a list of words",
    "sample": "draw names from a trained model",
    "export": "write a model as a page, a module or a file that others can run",
    "score": "tell how likely names are under a trained model",
    "plot": "draw what went on in a run and its model",
    "lessons": "list and run the lessons",
    "reproduce": "reproduce published results and compare",
    "bench": "measure speed and memory",
}


# Where a command is that cannot be called after itself: namegen_ext.fit is a function.
_ELSEWHERE = {"fit": "namegen_ext.cli.fit"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names.

    Args:
        arguments: what stands after ``namegen``; None takes those of the process.

    Returns:
        The exit status: the command's own; 2 where there is no such command.

    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments:
        return _fail(f"expected a command: {', '.join(COMMANDS)}")
    command, *rest = arguments
    if command in ("-h", "--help"):
        print(_usage())
        return OK
    if command == "--version":
        print(f"namegen_ext {__version__}")
        return OK
    if command not in COMMANDS:
        return _fail(f"got {command!r}, expected a command: {', '.join(COMMANDS)}")
    module_name = _ELSEWHERE.get(command, f"namegen_ext.{command}")
    if importlib.util.find_spec(module_name) is None:
        return _fail(f"the command {command!r} is not part of this version")
    status: int = importlib.import_module(module_name).main(rest, prog=f"namegen {command}")
    return status


def _usage() -> str:
    commands = "\n".join(f"  {name:<12}{summary}" for name, summary in COMMANDS.items())
    return (
        "usage: namegen [--help] [--version] COMMAND ...\n\n"
        f"commands (namegen COMMAND --help tells more):\n{commands}"
    )


def _fail(message: str) -> int:
    print(f"namegen: error: {message}", file=sys.stderr)
    return WRONG_ARGUMENT


if __name__ == "__main__":
    sys.exit(status_of(main))
