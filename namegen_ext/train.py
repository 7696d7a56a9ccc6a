"""Train a name generator: ``python -m namegen_ext.train``.

Exit status: 0 when the run was trained and written; 1 when training diverged, memory ran out, or a file could
not be written; 2 for a wrong argument; 130 after Ctrl-C and 143 after SIGTERM, with the run saved.
"""

from __future__ import annotations

import sys

from namegen_ext.cli.command import Command
from namegen_ext.cli.process import status_of
from namegen_ext.cli.train_flags import build_parser
from namegen_ext.cli.train_plan import train_plan

main = Command(
    "python -m namegen_ext.train",
    build_parser,
    "namegen_ext.cli.run_train",
    check=train_plan,
    tells_names=True,
)


if __name__ == "__main__":
    sys.exit(status_of(main))
