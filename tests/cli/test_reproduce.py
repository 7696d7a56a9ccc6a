"""``python -m namegen_ext.reproduce``: the table, the JSON file, and its exit status."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import namegen_ext.cli.run_reproduce as command
from namegen_ext.cli import main as cli
from namegen_ext.reproduce import main
from namegen_ext.reproduction import ROWS, Outcome, Row

COUNTED = [name for name in ROWS if "counts" in name or name == "witten-bell"]


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


@pytest.fixture(scope="module")
def word_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(1)
    words = ["".join(draw.choices("abcde", k=draw.randint(2, 6))) for _ in range(100)]
    path = tmp_path_factory.mktemp("words") / "made-up.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return path


def wrong(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run with wrong arguments; return the one line that it ends in."""
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, arguments)))
    output = capsys.readouterr()
    assert caught.value.code == 2
    assert output.out == ""
    assert re.fullmatch(r"python -m namegen_ext\.reproduce: error: [^\n]+\n", output.err), output.err
    return output.err


def test_the_exact_rows_are_exact(
    names_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    arguments = ["--data", str(names_file), "--only", *COUNTED, "--fused", "--json", str(path)]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["ok"] is True
    assert content["finished"] is True
    assert content["data"]["num_words"] == 32_033
    assert [row["name"] for row in content["rows"]] == COUNTED
    for row in content["rows"]:
        assert row["verdict"] == "ok"
        assert row["steps"] == 0
        assert row["checks"]
        for check in row["checks"]:
            assert abs(check["measured"] - check["published"]) <= 0.51e-4
        assert row["name"] in output
        assert f"{row['train_loss']:.4f}" in output
    assert "5 of 5 rows as published" in output
    assert sorted(tmp_path.iterdir()) == [path]  # nothing was left beside it


def test_out_of_tolerance_is_exit_status_1(
    word_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    status = main(["--data", str(word_file), "--only", "bigram-counts", "--json", str(path)])
    output = capsys.readouterr().out
    assert status == 1
    assert "out of tolerance" in output
    assert "0 of 1 rows as published; not: bigram-counts" in output
    assert "100 words, but what was published is about names.txt" in output
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["ok"] is False
    assert content["rows"][0]["checks"][0]["ok"] is False


def test_rows_run_in_the_order_of_the_table(
    word_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, Any]] = []
    run_row = command.run_row

    def noted(row: Row, words: list[str], **options: Any) -> Outcome:
        ran.append((row.recipe, options["fused"]))
        return run_row(ROWS["bigram-counts"], words, **options)

    monkeypatch.setattr(command, "run_row", noted)
    main(["--data", str(word_file), "--only", "lecture-gpt", "bigram-counts", "devlog-1-plain"])
    assert ran == [(name, None) for name in ("bigram-counts", "devlog-1-plain", "lecture-gpt")]
    ran.clear()
    main(["--data", str(word_file), "--fused=layers"])
    assert ran == [(name, "layers") for name in ROWS]
    ran.clear()
    main(["--data", str(word_file), "--quick", "--fused"])
    assert ran == [(name, "auto") for name, row in ROWS.items() if row.quick]
    capsys.readouterr()


def test_what_was_done_before_an_interruption_is_written(
    word_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_row = command.run_row

    def stopped(row: Row, words: list[str], **options: Any) -> Outcome:
        if row.recipe == "bigram-counts-add-1":
            raise KeyboardInterrupt
        return run_row(row, words, **options)

    monkeypatch.setattr(command, "run_row", stopped)
    path = tmp_path / "results.json"
    assert main(["--data", str(word_file), "--json", str(path)]) == 130
    assert "interrupted after 1 rows" in capsys.readouterr().err
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [row["name"] for row in content["rows"]] == ["bigram-counts"]
    assert content["finished"] is False
    assert content["ok"] is False


def test_help_shows_every_default_and_row(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for flag in ("data", "only", "quick", "fused", "json", "markdown", "seed", "threads"):
        assert re.search(rf"--{flag}\b[^()]*\(default: [^)]+\)", text), flag
    assert all(name in text for name in ROWS)


def test_it_is_a_command_of_the_console_script(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["reproduce", "--only", "nothing"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("namegen reproduce: error: argument --only: ")
