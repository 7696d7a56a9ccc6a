"""Ctrl-C as a request."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from namegen_ext.training.interrupt import stop_on_signal


@pytest.fixture(autouse=True)
def _python_handles_sigint() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_is_a_request_and_the_second_an_interrupt() -> None:
    with stop_on_signal() as should_stop:
        assert not should_stop()
        press_ctrl_c()
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()


def test_the_handler_before_comes_back() -> None:
    with stop_on_signal():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_signal() as should_stop:
        press_ctrl_c()
        assert not should_stop()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_changes_nothing() -> None:
    seen = []

    def in_thread() -> None:
        with stop_on_signal() as should_stop:
            seen.append((should_stop(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert seen == [(False, signal.default_int_handler)]
