"""Measure speed and memory on this machine: ``python -m namegen_ext.bench [SUITE ...]``.

The benchmark is a package of its own, ``namegen_bench``, which is installed with this one: its module ``command`` says
what the command does and with which status it exits.
"""

from __future__ import annotations

import sys

from namegen_bench.bench_command import main
from namegen_ext.cli.process import status_of

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(status_of(main))
