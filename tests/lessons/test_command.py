"""``python -m namegen_ext.lessons``: lists the lessons, runs them, finds them with and without installing."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from namegen_ext.lessons import PACKAGE, find_lessons, main

ROOT = Path(__file__).resolve().parents[2]


def test_every_script_is_listed_and_every_listed_one_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = {path.stem for path in (ROOT / "python" / "lessons").glob("*.py")} - {"__init__"}
    lessons = find_lessons().LESSONS
    assert set(lessons) == scripts
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[: len(lessons)]] == list(lessons)
    for line, summary in zip(lines, lessons.values(), strict=False):
        assert line.endswith(summary)


def test_a_name_that_is_no_lesson(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["tensors", "transformers"])
    assert raised.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == "", "nothing is run before all names are known to be right"
    (line,) = captured.err.splitlines()
    assert "argument NAME: got 'transformers', expected one of tensors, autograd, " in line


def test_several_run_in_the_order_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["autograd", "tensors"]) == 0
    out = capsys.readouterr().out
    titles = [importlib.import_module(f"{PACKAGE}.{name}").__doc__ for name in ("autograd", "tensors")]
    places = [out.index((title or "").splitlines()[0]) for title in titles]
    assert places[0] == 0 < places[1]


def run_module(*arguments: str, path: list[Path], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_checkout_that_is_not_installed_runs_them(tmp_path: Path) -> None:
    done = run_module("-m", "namegen_ext.lessons", "micrograd", path=[ROOT], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "dg/da = 138.8338" in done.stdout


def test_a_lesson_runs_as_a_script(tmp_path: Path) -> None:
    script = ROOT / "python" / "lessons" / "tensors.py"
    done = run_module(str(script), path=[ROOT], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1. Element by element" in done.stdout


def test_a_closed_pipe_ends_it_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "namegen_ext.lessons"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_all_packages_are_installed_under_their_names(tmp_path: Path) -> None:
    """What setup.py puts into a wheel, without the compiled part."""
    pytest.importorskip("setuptools", reason="setuptools is not installed here")
    library = tmp_path / "library"
    # build_py copies and compiles nothing; what describes the package is kept out of the checkout.
    command = [
        "setup.py",
        "-q",
        "egg_info",
        "--egg-base",
        str(tmp_path),
        "build_py",
        "--build-lib",
        str(library),
    ]
    done = run_module(*command, path=[], folder=ROOT)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in library.iterdir()} == {
        "namegen_bench",
        "namegen_ext",
        "namegen_lessons",
        "namegen_reference",
    }
    sources = {
        "namegen_bench": ROOT / "python" / "namegen_bench",
        "namegen_ext": ROOT / "namegen_ext",
        "namegen_lessons": ROOT / "python" / "lessons",
        "namegen_reference": ROOT / "python" / "namegen_reference",
    }
    for name, source in sources.items():
        copied = {str(path.relative_to(library / name)) for path in (library / name).rglob("*.py")}
        assert copied == {str(path.relative_to(source)) for path in source.rglob("*.py")}


def test_code_stands_above_what_it_prints_and_exercises_end_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["bigram", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    script = ROOT / "python" / "lessons" / "bigram.py"
    places = [
        out.index(text)
        for text in (
            f"source: {script}",
            "| def by_counting(",
            "\n2. By counting",
            f"figure: {(tmp_path / 'bigram.png').as_uri()}",
            "\nExercises\n",
            "\nAnswers\n",
        )
    ]
    assert places == sorted(places)
    assert [path.name for path in tmp_path.iterdir()] == ["bigram.png"]
    assert out.count("| def by_counting(") == 1, "a function is shown where it is used first"


def test_a_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["mlp", "--no-code", "--out", str(tmp_path / "file")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "name a folder by --out DIR" in line
