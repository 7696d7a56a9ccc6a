"""What the commands of the reference do when the reader of their output closes the pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("part", ["bigram", "micrograd", "ngram"])
def test_a_closed_pipe_ends_it_quietly(part: str, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join(["emma", "olivia", "ava", "mia", "eve", "lia", "ada"]), encoding="utf-8")
    arguments = ["--steps", "1"] if part == "micrograd" else [str(words)]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"namegen_reference.{part}", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
