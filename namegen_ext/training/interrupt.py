"""Turns Ctrl-C, and the system's request to end, into a request to end cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Sent by Ctrl-C; by `kill`, a shutdown and a job queue; and when a terminal is closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Tells whether a signal has asked the run to end.

    Attributes:
        signal_number: the number of that signal; None where there was none.

    """

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def __call__(self) -> bool:
        """Tell whether the run is to end."""
        return self.signal_number is not None

    @property
    def exit_status(self) -> int:
        """The exit status of a process that a signal ended, as shells count; that of Ctrl-C where none did."""
        return 128 + (self.signal_number or signal.SIGINT)


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn the first SIGINT (Ctrl-C), SIGTERM or SIGHUP inside the context into a request.

    A second one ends the program at once: SIGINT by KeyboardInterrupt as usual, the others by SystemExit.

    Signals can only be handled in the main thread: in another one nothing is changed. Nor is anything changed for a
    signal that the process was started to ignore.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(signal_number: int, frame: FrameType | None) -> None:
        if request.signal_number is None:
            request.signal_number = signal_number
        elif signal_number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + signal_number)

    previous = {}
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
