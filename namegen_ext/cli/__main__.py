"""``python -m namegen_ext.cli`` is the console script."""

from __future__ import annotations

import sys

from namegen_ext.cli.main import main
from namegen_ext.cli.process import status_of


def run() -> int:
    """Run the console script; return its exit status."""
    return status_of(main)


if __name__ == "__main__":
    sys.exit(run())
