"""The scaffold of every command: read the arguments, import what is heavy, run, and end with an exit status.

It also decides what happens at Ctrl-C, where standard output cannot be written, and where torch is missing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from namegen_ext.cli.exit_status import FAILED, INTERRUPTED, OK
from namegen_ext.cli.standard_output import forget_standard_output


class ArgumentError(ValueError):
    """An argument is wrong; the message names it. The command ends with WRONG_ARGUMENT."""


class CommandError(Exception):
    """The command cannot do what was asked of it; the message says why. It ends with FAILED.

    Attributes:
        at_once: whether the process is to end by :func:`end_at_once`.

    """

    def __init__(self, message: str, *, at_once: bool = False) -> None:
        super().__init__(message)
        self.at_once = at_once


@dataclass(frozen=True)
class Command:
    """A command, which is called with its arguments: the ``main`` of a module.

    Attributes:
        prog: the command's name, where the call gives no other.
        build_parser: makes the parser of its arguments, given the command's name.
        module: see :func:`run_command`, as for the next two.
        check: as there.
        streams: as there.
        tells_names: whether its messages hold names, which may have letters that the terminal's encoding lacks.

    Example:
        >>> from namegen_ext.cli.parser import Parser
        >>> main = Command("prog", lambda prog: Parser(prog=prog), "namegen_ext.cli.run_plot")
        >>> main(["--no-such-flag"])
        Traceback (most recent call last):
        SystemExit: 2

    """

    prog: str
    build_parser: Callable[[str], argparse.ArgumentParser]
    module: str
    check: Callable[[argparse.Namespace], Any] = lambda options: options
    streams: bool = False
    tells_names: bool = False

    def __call__(self, arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
        """Run the command.

        Args:
            arguments: what stands after the command's name; None takes those of the process.
            prog: the command's name, for its messages; None for its own.

        Returns:
            The exit status.

        Raises:
            SystemExit: with status OK after --help, with WRONG_ARGUMENT after a wrong argument.

        """
        if self.tells_names and hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        parser = self.build_parser(self.prog if prog is None else prog)
        return run_command(parser, arguments, self.module, check=self.check, streams=self.streams)


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    module: str,
    *,
    check: Callable[[argparse.Namespace], Any] = lambda options: options,
    streams: bool = False,
) -> int:
    """Run a command.

    Neither ``--help`` nor a wrong argument waits for torch: the module that runs the command is imported last.

    Args:
        parser: of the command's arguments; its ``prog`` stands at the beginning of each message.
        arguments: what stands after the command's name; None takes those of the process.
        module: the name of the module that runs the command. Its function ``run`` takes what ``check`` returned, and
            returns the exit status.
        check: what can be found out about the arguments without torch. It is given the arguments, among which
            ``prog`` is the command's name.
        streams: whether standard output is all that the command makes. Its reader may then leave at any time, and
            what is not written yet at Ctrl-C is dropped.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status OK after --help, with WRONG_ARGUMENT after a wrong argument.

    """
    try:
        checked = check(_parse(parser, arguments))
        with ended_by_interrupts(parser.prog):
            run: Callable[[Any], int] = importlib.import_module(module).run
        status = run(checked)
        sys.stdout.flush()
        return status
    except ArgumentError as error:
        parser.error(str(error))
    except CommandError as error:
        tell(parser.prog, f"error: {error}")
        if error.at_once:
            end_at_once(FAILED)
        return FAILED
    except ImportError as error:
        message = _missing(error)
        if message is None:
            raise
        tell(parser.prog, f"error: {message}")
        return FAILED
    except OSError as error:  # the command itself turns an error of its files into one of its own
        forget_standard_output()
        if streams and isinstance(error, BrokenPipeError):  # the reader has had enough
            return OK
        what = "standard output" if error.filename is None else str(error.filename)
        tell(parser.prog, f"error: {what} cannot be written: {error.strerror or error}")
        return FAILED
    except KeyboardInterrupt as interrupt:
        if streams:
            forget_standard_output()
        tell(parser.prog, " ".join(["interrupted", *map(str, interrupt.args)]))
        return INTERRUPTED


def _missing(error: ImportError) -> str | None:
    """Say in one line what is not installed or was not built; return None for any other error."""
    if type(error) is ModuleNotFoundError and error.name == "torch":
        return "torch is not installed: pip install torch"
    is_own = error.name in (None, "torch") and "\n" not in str(error)
    return str(error) if is_own else None


def tell(prog: str, message: str) -> None:
    """Write one line to standard error, under the command's name."""
    print(f"{prog}: {message}", file=sys.stderr)


def end_at_once(status: int) -> NoReturn:
    """End one of several processes that train together.

    gloo's threads now and then outlive the group of processes, and end a process by SIGABRT at its exit.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return parser.parse_args(arguments, argparse.Namespace(prog=parser.prog))
    except SystemExit:
        sys.stdout.flush()  # of --help, as long as a failure can still be reported
        raise


@contextmanager
def ended_by_interrupts(prog: str) -> Iterator[None]:
    """Let Ctrl-C end the process at once, with one line, while something is imported inside the context.

    A KeyboardInterrupt in the middle of an import can become another error, be ignored, or print many lines: native
    modules turn it into an ImportError, and torch ignores it where it looks for numpy. Ending the process loses
    nothing, because nothing was begun. It could not go on anyway: a torch that was imported in part cannot be
    imported again.

    Nothing is changed outside the main thread, nor in a program that handles SIGINT itself.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def end(signal_number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            # print is not used, because the import may be writing to standard error at this moment.
            os.write(2, f"{prog}: interrupted\n".encode())
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
