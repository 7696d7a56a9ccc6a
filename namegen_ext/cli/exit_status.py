"""The exit statuses of all commands."""

from __future__ import annotations

import signal

OK = 0
FAILED = 1
WRONG_ARGUMENT = 2
INTERRUPTED = 128 + signal.SIGINT  # 130: as shells count a process that a signal ended
TERMINATED = 128 + signal.SIGTERM  # 143
