"""The end of a command's process."""

from __future__ import annotations

import signal
from collections.abc import Callable


def status_of(main: Callable[[], int]) -> int:
    """Run a command's main function in a process that ends with its status.

    Once the status is known, Ctrl-C no longer changes it. Otherwise Python would set the signal's default action
    while it shuts down, and a command that had finished would count as killed.

    Args:
        main: runs the command.

    Returns:
        The exit status.

    Raises:
        SystemExit: as ``main`` raises it.

    Example:
        >>> import subprocess, sys
        >>> program = "from namegen_ext.cli.process import status_of; exit(status_of(lambda: 2))"
        >>> subprocess.run([sys.executable, "-c", program]).returncode
        2

    """
    try:
        return main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
