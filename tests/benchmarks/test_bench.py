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

from namegen_ext import bench
from namegen_ext.benchmarks.agreement import DisagreementError
from namegen_ext.benchmarks.csv_file import HEADER
from namegen_ext.benchmarks.settings import Settings
from namegen_ext.benchmarks.suites import DEFAULT_SUITES, SUITES
from namegen_ext.benchmarks.time_to_loss import TrainingFailedError

COMMAND = [sys.executable, "-m", "namegen_ext.bench"]


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
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert "kernels for" in finished.stdout
    assert f"torch {torch.__version__}" in finished.stdout
    assert "missed" not in finished.stdout  # the times of a quick run are not judged

    rows = read(path)
    assert {row["suite"] for row in rows} == set(DEFAULT_SUITES)
    assert {row["case"] for row in rows if row["suite"] == "train"} == {
        "mlp",
        "mlp with batch norm",
        "wavenet with batch norm",
    }
    for row in rows:
        lower, median, upper = (
            float(row[name])
            for name in ("lower_quartile_seconds", "median_seconds", "upper_quartile_seconds")
        )
        assert 0 < lower <= median <= upper < math.inf
        assert 0 < float(row["speedup"]) < math.inf
        assert (row["share_of_floor"] != "") == (row["suite"] == "train")
        assert row["case"] in finished.stdout
        assert row["peer"] in finished.stdout
        if row["mode"] == "forward+backward" and row["peer"] != "fused-op":
            assert int(row["peak_allocated_bytes"]) > 0
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

    losses = defaultdict(set)
    for row in rows:
        losses[row["case"]].add(row["loss"])
    for values in losses.values():
        numbers = [float(value) for value in values]
        # The rounding of 20 steps: see namegen_ext.benchmarks.agreement, which has checked it more closely.
        assert max(numbers) - min(numbers) < 1e-4
        assert all(0 < number < math.log(27) * 1.5 for number in numbers)
    assert losses["mlp"].isdisjoint(losses["mlp with batch norm"])


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
        (["--threads", "0"], "argument --threads: got '0', expected a whole number from 1 to 1024"),
        (["--threads", "two"], "argument --threads: got 'two'"),
        (["--peers", "stock,tensorflow"], "argument --peers: got 'tensorflow', expected some of stock"),
        (["--data", "missing.txt"], "argument --data: missing.txt"),
        (["--csv"], "argument --csv: expected one argument"),
        (["--csv", "missing/results.csv"], "argument --csv: missing/results.csv: cannot be written"),
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

    monkeypatch.setitem(SUITES, "ops", differ)
    assert bench.main(["ops"], prog="namegen bench") == 1
    assert capsys.readouterr().err == "namegen bench: error: batch_norm: output of fused-op differs\n"


def test_a_run_that_fails_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise TrainingFailedError("time-to-loss: stock: no space left")

    monkeypatch.setitem(SUITES, "time-to-loss", fail)
    assert bench.main(["time-to-loss"], prog="namegen bench") == 1
    assert capsys.readouterr().err == "namegen bench: error: time-to-loss: stock: no space left\n"


def test_the_word_list_reaches_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "names.txt"
    path.write_text("ann\nbob\n", encoding="utf-8")
    seen: list[str | None] = []

    def look(settings: Settings, *arguments: object) -> list[object]:
        seen.append(settings.data)
        return []

    monkeypatch.setitem(SUITES, "time-to-loss", look)
    assert bench.main(["time-to-loss", "--data", str(path)]) == 0
    assert bench.main(["time-to-loss"]) == 0
    assert seen == [str(path), None]


def test_an_interrupt_ends_cleanly_and_the_threads_are_as_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def interrupt(*arguments: object) -> None:
        threads.append(torch.get_num_threads())
        raise KeyboardInterrupt

    monkeypatch.setitem(SUITES, "ops", interrupt)
    before = torch.get_num_threads()
    assert bench.main(["ops", "--threads", str(before + 1)]) == 130
    assert threads == [before + 1]
    assert torch.get_num_threads() == before
    assert capsys.readouterr().err.count("\n") == 1
