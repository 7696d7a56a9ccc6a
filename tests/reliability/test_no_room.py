"""No room left: one line that names the file, nothing lost but the steps since the last checkpoint, the same bits.

Two ways to have none: a file system that is full, where one may be mounted, and a limit on the size of a file.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fork_server import ForkServer
from run_files import assert_same_run, look

PAGE = 4096

# Of each of these runs a file is larger than all that are written before it, so that a limit below it hits no other.
LARGEST: dict[str, list[str]] = {
    "config.json": ["--steps", "2"],
    "metrics.jsonl": ["--steps", "300", "--log-every", "1", "--checkpoint-every", "50"],
    "checkpoints/step-000000030.safetensors": [
        "--steps",
        "30",
        "--hidden-size",
        "60",
        "--optimizer",
        "adamw",
    ],
    "summary.json": ["--steps", "20", "--samples", "3000"],
}


def one_line(errors: str) -> str:
    assert re.fullmatch(r"namegen \w+: error: [^\n]+\n", errors), errors
    return errors


@pytest.mark.parametrize("name", LARGEST)
def test_a_file_that_cannot_grow(
    server: ForkServer, small: list[str], quick_path: Path, name: str, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("ab\nba\naab\nbba\nabba\nbbaa\nbab\naba\nbaa\nabb\n")
    flags = [*small, "--data", str(words), *LARGEST[name]]
    assert server.run("train", *flags, "--out", quick_path / "whole").status == 0
    limit = (quick_path / "whole" / name).stat().st_size * 9 // 10
    path = quick_path / "run"
    ended = server.run("train", *flags, "--out", path, largest_file=limit)
    assert ended.status == 1, ended.errors
    assert one_line(ended.errors).endswith(f"{path / name}: cannot be written: File too large\n")
    found = look(path)
    assert not found.half_written
    if name == "config.json":
        assert found.told == 0
        return
    assert found.saved == {"metrics.jsonl": 250, "summary.json": 20}.get(name, 0)
    again = server.run("train", "--resume", path, largest_file=limit)  # still no room
    assert again.status == 1
    assert look(path).saved == found.saved
    again = server.run("train", "--resume", path)
    assert again.status == 0, again.errors
    assert_same_run(path, quick_path / "whole")


def test_a_checkpoint_that_cannot_be_written_leaves_those_before_it(
    server: ForkServer, small: list[str], quick_path: Path
) -> None:
    flags = [*small, "--steps", "6", "--log-every", "1", "--checkpoint-every", "1"]
    assert server.run("train", *flags, "--out", quick_path / "whole").status == 0
    path = quick_path / "run"
    assert server.run("train", *flags, "--out", path, die_at=50, root=str(path)).status < 0
    before = look(path)
    assert 1 <= before.saved < 6
    size = (path / "checkpoints" / f"step-{before.saved:09}.safetensors").stat().st_size
    # The next one may be a little smaller: it holds the seconds so far, with as many digits as they have.
    for limit in range(size - 64, 0, -size // 7):
        ended = server.run("train", "--resume", path, largest_file=limit)
        assert ended.status == 1
        assert "cannot be written: File too large" in one_line(ended.errors)
        found = look(path)
        assert found.saved == before.saved
        assert not found.half_written
    assert server.run("train", "--resume", path).status == 0
    assert_same_run(path, quick_path / "whole")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of one mebibyte."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path, free_pages: int) -> Path:
    """Fill the file system so that only some pages stay free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(PAGE)):
                pass
        except OSError:
            pass
        file.truncate(file.tell() - free_pages * PAGE)
    return ballast


def test_a_full_file_system(server: ForkServer, small: list[str], quick_path: Path, disk: Path) -> None:
    """Run with one more free page each time, until there is room for all files."""
    flags = [*small, "--steps", "12", "--log-every", "1", "--checkpoint-every", "2", "--hidden-size", "40"]
    assert server.run("train", *flags, "--out", quick_path / "whole").status == 0
    named = set()
    for free_pages in range(60):
        ballast = fill(disk, free_pages)
        path = disk / f"run{free_pages}"
        ended = server.run("train", *flags, "--out", path)
        ballast.unlink()
        if ended.status == 0:
            break
        assert ended.status in (1, 2)
        line = one_line(ended.errors)
        assert "No space left on device" in line
        assert str(path) in line
        named.add(Path(line.rpartition(": cannot be")[0].rpartition(" ")[2]).name)
        if path.exists():
            found = look(path)
            assert not found.half_written
            assert found.told - found.saved <= 2
        if (path / "config.json").exists():
            again = server.run("train", "--resume", path)
            assert again.status == 0, again.errors
            assert_same_run(path, quick_path / "whole")
        subprocess.run(["rm", "-r", str(path)], check=True)
    else:
        pytest.fail("there was never room")
    assert len(named) >= 4, named


def test_standard_output_that_is_full(server: ForkServer, small: list[str], quick_path: Path) -> None:
    path = quick_path / "run"
    flags = [*small, "--steps", "30", "--checkpoint-every", "10"]
    ended = server.run("train", *flags, "--out", path, standard_output="/dev/full")
    assert ended.status == 1
    assert "standard output cannot be written: No space left on device" in one_line(ended.errors)
    assert server.run("train", "--resume", path).status == 0
    assert server.run("train", *flags, "--out", quick_path / "whole").status == 0
    assert_same_run(path, quick_path / "whole")
    ended = server.run("sample", path, standard_output="/dev/full")
    assert ended.status == 1
    assert "standard output cannot be written: No space left on device" in one_line(ended.errors)
