"""Train a name generator: ``python -m namegen_ext.train``.

Exit status: 0 when the run was trained and written; 1 when training diverged, memory ran out, or a file could
not be written; 2 for a wrong argument; 130 after Ctrl-C and 143 after SIGTERM, with the run saved.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from namegen_ext.cli.command import run_command
from namegen_ext.cli.process import status_of
from namegen_ext.cli.train_flags import build_parser
from namegen_ext.cli.train_plan import train_plan


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.train") -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes those of the process.
        prog: the command's name, for its messages.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status 0 after --help, with 2 after a wrong argument.

    """
    if hasattr(sys.stdout, "reconfigure"):  # a name may have a letter that the terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    return run_command(build_parser(prog), arguments, "namegen_ext.cli.run_train", check=train_plan)


if __name__ == "__main__":
    sys.exit(status_of(main))
