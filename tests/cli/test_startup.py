"""What a command loads before it has something to do: neither --help nor a wrong argument waits for torch."""

from __future__ import annotations

import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence

import pytest

COMMANDS = ("train", "sample", "plot", "lessons", "reproduce", "bench")

# Runs `namegen` where every import of torch or numpy raises ImportError.
BLOCKED = """
import sys
sys.modules["torch"] = sys.modules["numpy"] = None
from namegen_ext.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

# Runs `namegen`, then writes the names of all modules to standard error.
LISTED = """
import sys
from namegen_ext.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""

# Runs a command that sends itself SIGINT as soon as one module is looked for.
INTERRUPTED = """
import os, signal, sys
moment, *arguments = sys.argv[1:]
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == moment:
            sys.meta_path.remove(Finder)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
from namegen_ext.cli.main import main
sys.exit(main(arguments))
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_torch(command: str) -> None:
    done = run(BLOCKED, command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: namegen {command} ")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        *[(command, "--no-such-flag") for command in COMMANDS],
        ("train", "--steps", "-1"),
        ("train", "--recipe", "no-such-recipe"),
        ("train", "--optimizer", "adamw", "--momentum", "0.9"),
        ("train", "--smoothing", "0.1"),
        ("train", "--data", "no-such-file.txt"),
        ("train", "--resume", "no-such-directory"),
        ("sample", "runs/x", "--temperature", "0"),
        ("plot", "runs/x", "--examples", "0"),
        ("lessons", "no-such-lesson"),
        ("reproduce", "--only", "no-such-row"),
        ("bench", "no-such-suite"),
        ("bench", "--data", "no-such-file.txt", "time-to-loss"),
        ("reproduce", "--data", "no-such-file.txt"),
        ("reproduce", "--json", "no-such-directory/results.json"),
    ],
)
def test_a_wrong_argument_needs_no_torch(arguments: Sequence[str]) -> None:
    done = run(BLOCKED, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"namegen {arguments[0]}: error: ")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *[[command, "--help"] for command in COMMANDS]]
)
def test_help_loads_only_what_it_needs(arguments: list[str]) -> None:
    done = run(LISTED, *arguments)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "namegen_ext" in loaded
    heavy = {"torch", "numpy", "safetensors", "matplotlib", "http"}
    if "bench" not in arguments:  # whose reports are tables
        heavy.add("rich")
    assert not heavy & loaded


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["train", "--steps", "no"]])
def test_help_and_wrong_flags_take_at_most_a_quarter_of_a_second(arguments: list[str]) -> None:
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "namegen_ext.cli", *arguments],
            capture_output=True,
            check=False,
            timeout=60,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Of the processor, not by the clock: the machine may be busy with something else.
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert statistics.median(seconds) <= 0.25, f"seconds: {seconds}"


def assert_interrupted(done: subprocess.CompletedProcess[str], command: str) -> None:
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"namegen {command}: interrupted\n")


@pytest.mark.parametrize(
    "moment",
    [
        "namegen_ext.cli.run_train",  # the very first import
        "torch",
        "torch._C",
        "torch._ops",
        "numpy",  # which torch looks for, and goes on without
        "numpy._core.multiarray",
        "torch.nn.functional",
        "torch.distributed",
        "namegen_ext._core",
        "namegen_ext.training.trainer",
    ],
)
def test_an_interruption_of_the_import_is_one_line(moment: str) -> None:
    assert_interrupted(run(INTERRUPTED, moment, "train", "--steps", "1", "--out", os.devnull), "train")


@pytest.mark.parametrize(
    "command",
    [["reproduce", "--data", "census"], ["bench", "--quick"], ["plot", "runs/x"], ["lessons", "tensors"]],
)
def test_an_interruption_of_any_commands_import_is_one_line(command: list[str]) -> None:
    assert_interrupted(run(INTERRUPTED, "torch.nn", *command), command[0])


@pytest.mark.parametrize("delay", [0.3, 0.6, 0.9, 1.3, 1.8])
def test_an_interruption_at_any_time_is_one_line(delay: float) -> None:
    # Until the command's first line of output the run may be importing, or it may have begun.
    command = [sys.executable, "-m", "namegen_ext.cli", "train", "--steps", "1", "--out", os.devnull]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert stdout == ""
    assert "Traceback" not in stderr
    assert len(stderr.splitlines()) == 1
    assert process.returncode in (130, 2)  # 2: /dev/null is no directory


# Ends with status 2 and sends itself SIGINT when Python has shut down: glibc's on_exit calls raise(status), and SIGINT
# is signal 2.
INTERRUPTED_AT_THE_END = """
import ctypes, sys
from namegen_ext.cli.process import status_of
library = ctypes.CDLL(None)
library.on_exit(library["raise"], None)
sys.exit({})
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="on_exit is glibc's")
@pytest.mark.parametrize(("end", "status"), [("2", -signal.SIGINT), ("status_of(lambda: 2)", 2)])
def test_an_interruption_after_the_end_changes_no_status(end: str, status: int) -> None:
    assert run(INTERRUPTED_AT_THE_END.format(end)).returncode == status
