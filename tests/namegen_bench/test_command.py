"""``python -m namegen_ext.bench``: what it prints and writes, and its exit status. No time is judged."""

from __future__ import annotations

import csv
import math
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import torch

from namegen_bench import run_bench, run_suites
from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.workers import WorkerError
from namegen_bench.names import DEFAULT_SUITES, SUITES
from namegen_bench.reporting.csv_file import HEADER
from namegen_bench.suites.all_suites import SUITE_FUNCTIONS
from namegen_bench.suites.time_to_loss_suite import TrainingFailedError
from namegen_ext import bench

COMMAND = [sys.executable, "-m", "namegen_ext.bench"]


@pytest.fixture(autouse=True)
def no_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates that are printed first take seconds to measure. Only the command in its own process measures them."""
    monkeypatch.setattr(run_suites, "measure_rates", lambda threads: Rates(1e9, {2**20: 1e9}))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def wrong(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run with wrong arguments; return the one line that it ends in."""
    with pytest.raises(SystemExit) as caught:
        bench.main(list(map(str, arguments)))
    output = capsys.readouterr()
    assert caught.value.code == 2
    assert output.out == ""
    assert re.fullmatch(r"python -m namegen_ext\.bench: error: [^\n]+\n", output.err), output.err
    return output.err


def test_a_quick_run_of_everything(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    command = [*COMMAND, "--quick", "--csv", str(path)]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert "kernels for" in finished.stdout
    assert f"torch {torch.__version__}" in finished.stdout
    assert "missed" not in finished.stdout  # the times of a quick run are not judged

    rows = read(path)
    assert {row["suite"] for row in rows} == set(DEFAULT_SUITES)
    assert {row["case"] for row in rows if row["suite"] == "train"} == {
        "bigram",
        "mlp",
        "mlp with batch norm",
        "wavenet with batch norm",
        "gpt",
    }
    assert re.findall(r"^(\S+) took \d+ s$", finished.stdout, re.MULTILINE) == list(DEFAULT_SUITES)
    check_losses_are_equal(rows)
    for row in rows:
        lower, median, upper = (
            float(row[name])
            for name in ("lower_quartile_seconds", "median_seconds", "upper_quartile_seconds")
        )
        assert 0 < lower <= median <= upper < math.inf
        assert 0 < float(row["speedup"]) < math.inf
        # Starting Python has no floor, nor has a draw that depends on which names are accepted.
        if row["suite"] == "sample" and row["mode"] in ("process", "constrained"):
            assert row["share_of_floor"] == ""
        else:
            assert 0 < float(row["share_of_floor"]) < math.inf
        assert 0 < float(row["warm_up_seconds"] or 1) < math.inf
        assert row["case"] in finished.stdout
        assert row["peer"] in finished.stdout
        if row["mode"] == "forward+backward" and row["peer"] != "fused-op":
            assert int(row["peak_allocated_bytes"]) > 0
        if row["mode"] == "step" and Path("/proc/self/status").exists():
            assert int(row["peak_resident_bytes"]) >= 0
        for name in ("fma_rate", "bandwidth"):
            assert 0 < float(row[name]) < math.inf
    for name in ("threads", "isa", "versions", "cpu", "date"):
        assert len({row[name] for row in rows}) == 1
        assert rows[0][name]


def test_losses_are_equal_and_rows_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.csv"
    arguments = ["train", "--quick", "--peers", "fused-layers", "--csv", str(path)]
    assert bench.main(arguments) == 0
    before = path.read_text(encoding="utf-8")
    assert bench.main(arguments) == 0
    after = path.read_text(encoding="utf-8")
    assert after.startswith(before)
    assert after.count(",".join(HEADER)) == 1
    rows = read(path)
    assert len(rows) == 2 * len(before.splitlines()[1:])
    assert str(path) in capsys.readouterr().out

    check_losses_are_equal(rows)
    losses = defaultdict(set)
    for row in rows:
        losses[row["case"]].add(row["loss"])
    assert losses["mlp"].isdisjoint(losses["mlp with batch norm"])


def check_losses_are_equal(rows: list[dict[str, str]]) -> None:
    """The losses of all peers agree in each case of whole steps."""
    losses = defaultdict(list)
    for row in rows:
        if row["mode"] == "step":
            losses[row["suite"], row["case"], row["batch"], row["sizes"]].append(float(row["loss"]))
    assert losses
    for numbers in losses.values():
        assert len(numbers) > 1
        # The rounding of 20 steps: see namegen_bench.measuring.agreement, which has checked it more closely. Batch norm
        # of two examples magnifies it: it divides by a difference that may be small.
        assert max(numbers) - min(numbers) < 1e-3
        assert all(0 < number < math.log(27) * 1.5 for number in numbers)


def test_a_suite_given_twice_runs_once(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    assert bench.main(["train", "train", "--quick", "--peers", "stock", "--csv", str(path)]) == 0
    rows = read(path)
    assert len({(row["case"], row["batch"]) for row in rows}) == len(rows)
    assert {row["peer"] for row in rows} == {"stock"}


def test_a_changed_header_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.csv"
    path.write_text("suite,case,seconds\n", encoding="utf-8")
    message = wrong(capsys, "--csv", path)
    assert "argument --csv" in message
    assert "columns" in message
    assert path.read_text(encoding="utf-8") == "suite,case,seconds\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["speed"], "argument SUITE: got 'speed', expected ops or train"),
        (["ops", "tpu"], "argument SUITE: got 'tpu'"),
        (["--threads", "0"], "argument --threads: got '0', expected a whole number from 1 to 1,024"),
        (["--threads", "two"], "argument --threads: got 'two'"),
        (["--peers", "stock,tensorflow"], "argument --peers: got 'tensorflow', expected some of stock"),
        (["--data", "missing.txt"], "argument --data: missing.txt"),
        (["--csv"], "argument --csv: expected one argument"),
        (
            ["--csv", "missing/results.csv"],
            "argument --csv: got 'missing/results.csv', whose directory does not exist",
        ),
        (["--plot", "picture.gif"], "argument --plot: got 'picture.gif'"),
        (["--compare", "missing.csv"], "argument --compare: missing.csv: there is no such file"),
        (["--quickly"], "unrecognized arguments: --quickly"),
        (["--qui"], "unrecognized arguments: --qui"),
    ],
)
def test_wrong_arguments(
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in wrong(capsys, *arguments)


def test_no_matplotlib_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # import raises ImportError
    assert 'matplotlib is not installed: pip install "namegen_ext[bench]"' in wrong(
        capsys, "--plot", tmp_path / "picture.svg"
    )


def test_help_names_every_suite_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        bench.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n  {suite} " in text for suite in SUITES)
    for flag in (
        "--csv",
        "--compare",
        "--plot",
        "--from",
        "--page",
        "--threads",
        "--peers",
        "--data",
        "--quick",
    ):
        assert flag in text
    assert len(re.findall(r"\(default:", " ".join(text.split()))) == 10


def test_results_that_differ_end_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*arguments: object) -> None:
        raise DisagreementError("batch_norm: output of fused-op differs")

    monkeypatch.setitem(SUITE_FUNCTIONS, "ops", differ)
    assert bench.main(["ops"], prog="namegen bench") == 1
    assert capsys.readouterr().err == "namegen bench: error: batch_norm: output of fused-op differs\n"


def test_a_run_that_fails_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise TrainingFailedError("time-to-loss: stock: no space left")

    monkeypatch.setitem(SUITE_FUNCTIONS, "time-to-loss", fail)
    assert bench.main(["time-to-loss"], prog="namegen bench") == 1
    assert capsys.readouterr().err == "namegen bench: error: time-to-loss: stock: no space left\n"


def test_the_word_list_reaches_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "names.txt"
    path.write_text("ann\nbob\n", encoding="utf-8")
    seen: list[str | None] = []

    def look(settings: Settings, *arguments: object) -> list[object]:
        seen.append(settings.data)
        return []

    monkeypatch.setitem(SUITE_FUNCTIONS, "time-to-loss", look)
    assert bench.main(["time-to-loss", "--data", str(path)]) == 0
    assert bench.main(["time-to-loss"]) == 0
    assert seen == [str(path), None]


def test_a_worker_that_fails_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise WorkerError("mlp, batch 32: stock at 1 thread: its process ended with status -9")

    monkeypatch.setitem(SUITE_FUNCTIONS, "train", fail)
    assert bench.main(["train"], prog="namegen bench") == 1
    message = "namegen bench: error: mlp, batch 32: stock at 1 thread: its process ended with status -9\n"
    assert capsys.readouterr().err == message


def test_threads_are_one_and_all_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def look(settings: Settings, thread_counts: tuple[int, ...], *rest: object) -> list[Comparison]:
        seen.append(thread_counts)
        return []

    monkeypatch.setitem(SUITE_FUNCTIONS, "train", look)
    monkeypatch.setattr(run_bench, "available_cpus", lambda: 6)
    for arguments in ([], ["--quick"], ["--threads", "3"]):
        assert bench.main(["train", *arguments]) == 0
    monkeypatch.setattr(run_bench, "available_cpus", lambda: 1)
    assert bench.main(["train"]) == 0
    assert seen == [(1, 6), (1,), (3,), (1,)]


def test_an_interrupt_ends_cleanly_and_the_threads_are_as_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def interrupt(*arguments: object) -> None:
        threads.append(torch.get_num_threads())
        raise KeyboardInterrupt

    monkeypatch.setitem(SUITE_FUNCTIONS, "ops", interrupt)
    before = torch.get_num_threads()
    assert bench.main(["ops", "--threads", str(before + 1)]) == 130
    assert threads == [before + 1]
    assert torch.get_num_threads() == before
    assert capsys.readouterr().err.count("\n") == 1
