"""Making run directories without overwriting, and cutting metrics back to a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from namegen_ext.runs import files
from namegen_ext.runs.config import directory_stem
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import read_json_object, write_bytes, write_json
from namegen_ext.training import RunError


def test_a_new_one_is_made_with_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert RunDirectory.create(path).path == path
    assert path.is_dir()


def test_an_empty_one_is_taken(tmp_path: Path) -> None:
    assert RunDirectory.create(tmp_path).path == tmp_path


@pytest.mark.parametrize(("name", "kind"), [("config.json", "a run"), ("notes.txt", "other files")])
def test_one_that_holds_something_is_not(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_text("kept")
    with pytest.raises(RunError, match=f"already holds {kind}"):
        RunDirectory.create(tmp_path)
    assert (tmp_path / name).read_text() == "kept"


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(RunError, match="is a file, not a directory"):
        RunDirectory.create(tmp_path / "file")
    with pytest.raises(RunError, match="cannot be made"):
        RunDirectory.create(tmp_path / "file" / "run")


def test_numbers_are_counted_up(tmp_path: Path) -> None:
    paths = [RunDirectory.create_numbered("mlp-census", tmp_path / "runs").path for _ in range(3)]
    assert [path.name for path in paths] == ["mlp-census-1", "mlp-census-2", "mlp-census-3"]
    assert all(path.parent == tmp_path / "runs" for path in paths)


@pytest.mark.parametrize(
    ("data_name", "stem"),
    [
        ("census", "mlp-census"),
        ("../my names.txt", "mlp--my names".replace(" ", "-").replace("mlp--", "mlp-")),
        ("...", "mlp-words"),
        ("städte", "mlp-städte"),
    ],
)
def test_stem_is_a_safe_name(data_name: str, stem: str) -> None:
    assert directory_stem("mlp", data_name) == stem


def test_metrics_are_cut_back_to_a_length(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    directory.append_metrics({"step": 10, "loss": 1.0})
    length = directory.sync_metrics()
    directory.append_metrics({"step": 20, "loss": 2.0})
    with directory.metrics.open("a") as file:
        file.write('{"step": 4')  # cut short
    assert directory.cut_metrics(length)
    assert directory.metrics.read_text() == '{"step": 10, "loss": 1.0}\n'
    assert not directory.cut_metrics(length + 1)
    assert directory.metrics.read_text() == '{"step": 10, "loss": 1.0}\n'


def test_no_metrics_to_cut_back(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    assert directory.cut_metrics(0)
    assert not directory.cut_metrics(20)
    assert not directory.metrics.exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def no_space(file_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "sync", no_space)
    with pytest.raises(RunError, match="cannot be written: No space left on device"):
        write_bytes(path, b"something new")
    assert read_json_object(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_are_not_finite_are_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": float("nan")})


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    message = str(RunError("run\n1\x1b[31m\ud800: é"))
    assert message == "run\\n1\\x1b[31m\\ud800: é"


def test_a_run_killed_before_its_configuration_does_not_block_its_name(tmp_path: Path) -> None:
    for name in (".lock", "words.txt", ".config.json.12.tmp"):
        (tmp_path / name).write_text("")
    assert RunDirectory.create(tmp_path).path == tmp_path


@pytest.mark.parametrize("names", [("words.txt",), (".lock", "notes.txt"), (".lock", "config.json")])
def test_other_files_do(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    with pytest.raises(RunError, match="already holds"):
        RunDirectory.create(tmp_path)
