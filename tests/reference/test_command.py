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


def test_a_list_of_the_package_is_found_by_its_name() -> None:
    command = [sys.executable, "-m", "namegen_reference.bigram", "census", "--steps", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("5,163 words, ")


def test_without_graphviz_the_advice_is_for_this_call(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "namegen_reference.micrograd", "--steps", "1", "--out", str(tmp_path)]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("not rendered")]
    assert line.endswith(
        f"Graphviz is not installed; where it is: dot -Tsvg {tmp_path / 'graph.dot'} > graph.svg"
    )
