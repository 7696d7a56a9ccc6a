"""`python -m namegen_ext` prints what was built and what is in use."""

from __future__ import annotations

import sys

from namegen_ext import build_info
from namegen_ext.cli.command import ended_by_interrupts, tell
from namegen_ext.cli.exit_status import OK, WRONG_ARGUMENT
from namegen_ext.cli.process import status_of


def main() -> int:
    """Print the build information, one fact a line."""
    try:
        with ended_by_interrupts("namegen_ext"):  # torch is imported for its version
            info = build_info()
    except (ImportError, RuntimeError) as error:
        tell("namegen_ext", str(error))
        return WRONG_ARGUMENT
    for key, value in info.items():
        text = ", ".join(value) if isinstance(value, list) else value
        print(f"{key:22} {text if text not in ('', None) else '-'}")
    return OK


if __name__ == "__main__":
    sys.exit(status_of(main))
