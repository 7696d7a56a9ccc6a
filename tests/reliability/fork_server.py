"""Real processes that run ``namegen ...``. Each costs a fork, and can be killed, denied room, or run as another user.

A server process imports the package and runs a few commands once, in one thread. Then it forks a child for each command
that it is sent. Python and torch take seconds to start, but a fork takes a few milliseconds.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_CHANGES = ("open", "os.rename", "os.remove", "os.mkdir")
NOBODY = 65534  # a user who owns nothing


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status, or a negative number for the signal that killed it, and its output."""

    status: int
    output: str
    errors: str
    seconds: float


@dataclass(frozen=True)
class Fate:
    """What happens to a process.

    Attributes:
        kill_after: SIGKILL is sent after this many seconds.
        die_at: the process kills itself right before this change of the files under ``root``, counted from 1.
        root: see ``die_at``.
        largest_file: the most bytes that a file of the process can have.
        torn: whether the process is killed in the middle of a write beyond that size; otherwise the write fails.
        nobody: whether it runs as a user who owns nothing. This needs root.
        standard_output: a file to send standard output to.
        slow_disk: seconds that each wait for the disk takes, as on a disk that turns; 0 for the time it takes here.

    """

    kill_after: float | None = None
    die_at: int | None = None
    root: str = ""
    largest_file: int | None = None
    torn: bool = False
    nobody: bool = False
    standard_output: str | None = None
    slow_disk: float = 0.0


def same_package() -> dict[str, str]:
    """Return the environment of a process that is to import the package from where this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class ForkServer:
    """Starts the server, and runs commands in children of it.

    Args:
        warm: commands that the server runs itself once, so that what they import is there.

    """

    def __init__(self, warm: Sequence[Sequence[str]]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**same_package(), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        assert self._ask(warm) == "ready"

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def run(self, *arguments: str | Path, **fate: Any) -> Ended:
        """Run ``namegen ARGUMENTS``, with the attributes of `Fate`; a traceback fails."""
        ended = Ended(**self._ask({"arguments": list(map(str, arguments)), "fate": asdict(Fate(**fate))}))
        assert "Traceback" not in ended.errors, ended.errors
        return ended

    def _ask(self, message: Any) -> Any:
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server ended"
        return json.loads(answer)


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from namegen_ext.cli import main as cli

    for arguments in json.loads(sys.stdin.readline()):
        assert cli.main(arguments) == 0, arguments
    assert len(os.listdir("/proc/self/task")) == 1, "a process of several threads cannot be forked safely"
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        ended = _run(message["arguments"], Fate(**message["fate"]))
        print(json.dumps(asdict(ended)), file=answers, flush=True)


def _run(arguments: list[str], fate: Fate) -> Ended:
    pipes = [os.pipe() for _ in range(2)]  # a run writes less than a pipe holds
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        _be_child(arguments, fate, [write for _, write in pipes])
    for _, write in pipes:
        os.close(write)
    descriptor = os.pidfd_open(child)
    if fate.kill_after is not None and not select.select([descriptor], [], [], fate.kill_after)[0]:
        os.kill(child, signal.SIGKILL)
    os.close(descriptor)
    _, status = os.waitpid(child, 0)
    seconds = time.perf_counter() - began
    texts = []
    for read, _ in pipes:
        with os.fdopen(read, encoding="utf-8") as file:
            texts.append(file.read())
    return Ended(os.waitstatus_to_exitcode(status), *texts, seconds)


def _be_child(arguments: list[str], fate: Fate, outputs: list[int]) -> None:
    from namegen_ext.cli import main as cli

    status = 1
    try:
        for number, descriptor in enumerate(outputs, start=1):
            os.dup2(descriptor, number)
        if fate.standard_output is not None:
            os.dup2(os.open(fate.standard_output, os.O_WRONLY), 1)
        if fate.nobody:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        if fate.largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if fate.torn else signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (fate.largest_file, fate.largest_file))
        if fate.slow_disk:
            os.fsync = lambda descriptor: time.sleep(fate.slow_disk)
        if fate.die_at is not None:
            _die_at(fate.die_at, fate.root)
        status = cli.main(arguments)
        sys.stdout.flush()
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _die_at(number: int, root: str) -> None:
    changes = 0

    def count() -> None:
        nonlocal changes
        changes += 1
        if changes == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        # open(path, mode, flags): reading changes nothing.
        reads = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in _CHANGES and not reads and str(arguments[0]).startswith(root):
            count()

    synchronise = os.fsync

    def fsync(descriptor: int) -> None:
        count()
        synchronise(descriptor)

    os.fsync = fsync
    sys.addaudithook(audit)


if __name__ == "__main__":
    _serve()
