"""Ctrl-C as a request to end cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether Ctrl-C was pressed; call it to ask."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self) -> bool:
        """Whether the run is to end."""
        return self.requested


@contextmanager
def stop_on_interrupt() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C (SIGINT) within into a request; a second one raises KeyboardInterrupt as usual.

    Signals can only be handled in the main thread; in any other nothing is changed, nor where whoever started
    the process has it ignore SIGINT.
    """
    request = StopRequest()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield request
        return

    def handle(signal_number: int, frame: FrameType | None) -> None:
        if request.requested:
            raise KeyboardInterrupt
        request.requested = True

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if previous is None else previous)
