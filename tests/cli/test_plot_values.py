"""Every flag of ``python -m namegen_ext.plot``: what it takes and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from flag_values import Values, check_refused, check_taken, flags_of, paths, switch, told_as_wrong, whole

from namegen_ext.fit_names import fit
from namegen_ext.plot import _build_parser, main

# A flag that is added needs its values here.
VALUES: dict[str, Values] = {
    "RUN_DIR": paths(),
    "--out": paths(),
    "--fused": switch(),
    "--examples": whole(1, 2**20),
    "--seed": whole(0, 2**64 - 1),
}


@pytest.fixture(autouse=True)
def _matplotlib_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the arguments is found without drawing, so also where matplotlib is missing."""
    monkeypatch.setattr("namegen_ext.cli.run_plot.check_matplotlib", lambda: None)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plot") / "run"
    fit(["ann", "bob", "eva", "ida", "leo", "max", "uma"], steps=2, hidden_size=4, embedding_dim=2).save(path)
    return path


def test_every_flag_is_tried() -> None:
    assert flags_of(_build_parser("plot")) == VALUES.keys()


@pytest.mark.parametrize("flag", sorted(VALUES.keys() - {"RUN_DIR"}))
def test_what_a_flag_takes_and_refuses(
    flag: str, run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    check_taken(_build_parser("plot"), flag, VALUES[flag], "run")
    check_refused(main, capsys, "plot", flag, VALUES[flag], run_dir, folder=folder)


def test_a_run_directory_that_is_none(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "file").write_text("no directory")
    for arguments, expected in (
        ([], "the following arguments are required: RUN_DIR"),
        ([""], "argument RUN_DIR: got '', expected a path"),
        (["nowhere"], "argument RUN_DIR: nowhere: there is no such directory"),
        ([folder], f"argument RUN_DIR: {folder}: is not a run directory"),
        (["file"], "argument RUN_DIR: file: there is no such directory"),
    ):
        assert expected in told_as_wrong(main, capsys, arguments, "plot")


def test_out_onto_a_file(run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "file").write_text("in the way")
    for out in ("file", "file/plots"):
        line = told_as_wrong(main, capsys, [run_dir, "--out", out], "plot")
        assert f"argument --out: {out}: cannot be made" in line
    assert [path.name for path in folder.iterdir()] == ["file"]
