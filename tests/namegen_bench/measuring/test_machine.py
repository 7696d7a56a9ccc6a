"""What is recorded of the machine."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest
import torch

import namegen_ext
from namegen_bench.measuring import machine as machine_module
from namegen_bench.measuring.machine import Machine, this_machine


def test_this_machine() -> None:
    machine = this_machine(threads=3)
    assert machine.threads == 3
    assert machine.cpus >= 1
    assert machine.cpu
    assert machine.isa == namegen_ext.build_info()["cpu_isa"]
    assert f"torch {torch.__version__}" in machine.versions
    assert f"namegen_ext {namegen_ext.__version__}" in machine.versions
    assert datetime.datetime.fromisoformat(machine.date).tzinfo is not None


def test_the_commit_is_that_of_the_checkout_the_package_lies_in() -> None:
    package = Path(namegen_ext.__file__).parent
    try:
        head = subprocess.run(
            ["git", "-C", package, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("namegen_ext was not imported from a git checkout")
    commit = this_machine(1).commit
    if not commit:
        pytest.skip("namegen_ext lies in a git checkout that does not track it")
    assert head.startswith(commit.removesuffix("-dirty"))


def test_a_package_that_is_not_tracked_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module.namegen_ext, "__file__", str(tmp_path / "__init__.py"))
    assert this_machine(1).commit == ""
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert this_machine(1).commit == ""


def test_the_line_names_all_of_it(machine: Machine) -> None:
    line = str(machine)
    assert "\n" not in line
    for part in (
        machine.cpu,
        "1 thread of 2 CPUs",
        machine.isa,
        machine.versions,
        machine.commit,
        machine.date,
    ):
        assert part in line
