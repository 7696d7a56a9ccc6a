"""``python -m namegen_ext.plot``: what it writes and says, and its exit status."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest

from namegen_ext.cli import main as cli
from namegen_ext.diagnostics import DEFAULT_EXAMPLES
from namegen_ext.plot import main
from namegen_ext.train import main as train

NAMES = {"loss", "updates", "activations", "saturation", "gradients", "embedding", "next-symbol", "bigrams"}
INSTALL = 'pip install "namegen_ext[plot]"'


def need_matplotlib() -> None:
    pytest.importorskip("matplotlib", reason=f"matplotlib is not installed, nothing can be drawn: {INSTALL}")


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    small = [
        "--steps",
        "20",
        "--log-every",
        "5",
        "--hidden-size",
        "8",
        "--embedding-dim",
        "3",
        "--threads",
        "1",
    ]
    assert train([*small, "--record-updates", "--fused=layers", "--out", str(path)]) == 0
    return path


def wrong(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run with wrong arguments; return the one line that it ends in."""
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, arguments)))
    output = capsys.readouterr()
    assert caught.value.code == 2
    assert output.out == ""
    assert re.fullmatch(r"python -m namegen_ext\.plot: error: [^\n]+\n", output.err), output.err
    return output.err


def test_as_a_process_from_end_to_end(run_path: Path, tmp_path: Path) -> None:
    need_matplotlib()
    out = tmp_path / "pictures"
    command = [sys.executable, "-m", "namegen_ext.plot", str(run_path), "--out", str(out)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert files.keys() == {f"{name}.png" for name in NAMES} | {"index.html"}
    assert set(finished.stdout.splitlines()) == {str(out / name) for name in files}
    page = files.pop("index.html").decode()
    inlined = {base64.b64decode(data) for data in re.findall(r"src=\"data:image/png;base64,([^\"]+)", page)}
    assert inlined == set(files.values())
    assert all(png.startswith(b"\x89PNG\r\n\x1a\n") for png in inlined)
    assert page.count("<img") == page.count('alt="') == page.count("<figcaption>") == len(NAMES)
    assert page.count("<source") == 3 * len(NAMES)
    assert page.count("<li><bdi>") == 24


def test_by_default_it_writes_into_the_run_and_over_older_files(
    run_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_matplotlib()
    (run_path / "plots").mkdir()
    (run_path / "plots" / "index.html").write_text("an older page")
    assert cli.main(["plot", str(run_path), "--examples", "50", "--fused"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(run_path / "plots" / "index.html")
    page = (run_path / "plots" / "index.html").read_text(encoding="utf-8")
    assert "fused layers, on 50 training examples" in page
    assert not list((run_path / "plots").glob(".*")), "nothing is left beside the files"


def test_the_numbers_are_the_same_without_recording_but_one_picture_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_matplotlib()
    assert (
        train(["--steps", "5", "--hidden-size", "8", "--threads", "1", "--out", str(tmp_path / "run")]) == 0
    )
    capsys.readouterr()
    assert main([str(tmp_path / "run")]) == 0
    assert "train with --record-updates" in capsys.readouterr().out
    assert {path.stem for path in (tmp_path / "run" / "plots").glob("*.png")} == NAMES - {"updates"}


def test_without_matplotlib_it_is_one_line(
    run_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)  # import raises ImportError
    assert main([str(run_path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"python -m namegen_ext.plot: error: matplotlib is not installed: {INSTALL}\n"


@pytest.fixture
def _matplotlib_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the arguments is found without drawing, so also where matplotlib is missing."""
    monkeypatch.setattr("namegen_ext.cli.run_plot.check_matplotlib", lambda: None)


@pytest.mark.usefixtures("_matplotlib_found")
def test_no_run_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no such directory" in wrong(capsys, tmp_path / "missing")
    assert "is not a run directory" in wrong(capsys, tmp_path)


@pytest.mark.usefixtures("_matplotlib_found")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "metrics.jsonl"])
def test_a_damaged_file_is_named(
    run_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for file in run_path.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_bytes(b"{not what it should be\n" * 2)
    assert name in wrong(capsys, tmp_path)


def test_a_directory_that_cannot_be_made(
    run_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_matplotlib()
    (tmp_path / "file").write_text("")
    message = wrong(capsys, run_path, "--out", tmp_path / "file" / "plots")
    assert f"argument --out: {tmp_path / 'file' / 'plots'}: cannot be made" in message
    # The default directory was not given as an argument, so this is no wrong argument.
    (run_path / "other").mkdir()
    for file in ("config.json", "model.safetensors", "metrics.jsonl"):
        (run_path / "other" / file).write_bytes((run_path / file).read_bytes())
    (run_path / "other" / "plots").write_text("in the way")
    assert main([str(run_path / "other")]) == 1
    error = capsys.readouterr().err
    assert "cannot be made" in error
    assert error.count("\n") == 1


def test_help_tells_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    output = capsys.readouterr().out
    for text in (f"(default: {DEFAULT_EXAMPLES})", "RUN_DIR/plots", "(default: 0)", "default: off"):
        assert text in re.sub(r"\s+", " ", output)
