"""``python -m namegen_ext.train`` against the words, the disk and the memory that it finds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from flag_values import told_as_wrong

from namegen_ext.cli.run_train import memory_advice
from namegen_ext.train import main
from namegen_ext.training import TrainOptions, load_run, sizes

SMALL = ["--hidden-size", "4", "--embedding-dim", "2", "--steps", "2", "--samples", "0"]
SIX = "ann\nbob\neva\nida\nleo\numa\n"


def wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    return told_as_wrong(main, capsys, arguments, "train")


def failed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command whose arguments are right but which must fail: status 1 and one line, which is returned."""
    assert main(list(map(str, arguments))) == 1
    output = capsys.readouterr()
    assert re.fullmatch(r"python -m namegen_ext\.train: error: [^\n]+\n", output.err), output.err
    return output.err


# ---- the words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "words.txt: line 1: the file is empty, expected at least two distinct words"),
        (
            b"\n\n \n",
            "words.txt: line 1: the file holds blank lines only, expected at least two distinct words",
        ),
        (b"ann\n", "'ann' is the only word of the file, expected at least two distinct words"),
        (b"ann\nann\nann\n", "'ann' is the only word of the file, expected at least two distinct words"),
        (b"ann\nbob\n", "needs at least 6 words, but got 2"),
        (b"ann\nb\xe9b\n", "words.txt: line 2: is not UTF-8: byte 0xe9"),
        ("ann\nbob\n".encode("utf-16"), "words.txt: line 1: is not UTF-8: .*save it as UTF-8"),
        (b"PK\x03\0ann\nbob\n", "words.txt: line 1: .* contains the control character U\\+0003"),
        (b"ann\tf\nbob\tm\n", "words.txt: line 1: .* contains the control character U\\+0009"),
    ],
)
def test_words_that_cannot_be(
    content: bytes, expected: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "words.txt").write_bytes(content)
    line = wrong(capsys, "--data", "words.txt")
    assert re.search(f"argument --data: .*{expected}", line), line
    assert [path.name for path in folder.iterdir()] == ["words.txt"]


def test_data_that_is_no_file(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert "argument --data: .: is a directory, expected a text file" in wrong(capsys, "--data", "")
    assert f"argument --data: {folder}: is a directory" in wrong(capsys, "--data", folder)
    line = wrong(capsys, "--data", "sensus")
    assert "argument --data: sensus: there is no such file, and no word list of that name: census" in line
    assert list(folder.iterdir()) == []


def test_a_block_that_the_words_cannot_fill(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "words.txt").write_text(SIX + "hubert-blaine-wolfe\n", encoding="utf-8")  # 19 characters
    for model in ("mlp", "wavenet", "gpt"):
        for block, expected in ((1024, 20), (21, 20), (20, 20), (12, 12)):
            flags = ["--model", model, "--data", "words.txt", "--steps", "2", "--samples", "0"]
            out = f"{model}-{block}"
            assert main([*flags, "--block-size", str(block), "--out", out]) == 0
            told = capsys.readouterr().out
            assert load_run(folder / out).config.options.block_size == expected
            note = f"block-size {block:,} is taken as 20: the longest word has 19 characters"
            assert (note in told) == (block > 20)


def test_short_words_leave_the_models_their_block_size(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "words.txt").write_text(SIX, encoding="utf-8")
    flags = ["--model", "gpt", "--data", "words.txt", "--steps", "2", "--samples", "0"]
    assert main([*flags, "--out", "gpt"]) == 0
    assert load_run(folder / "gpt").config.options.block_size == 16
    capsys.readouterr()
    flags = [
        "--model",
        "wavenet",
        "--data",
        "words.txt",
        "--steps",
        "2",
        "--samples",
        "0",
        "--out",
        "wavenet",
    ]
    assert main([*flags, "--block-size", "8", "--factors", "2x2x2"]) == 0
    assert load_run(folder / "wavenet").config.options.block_size == 8


def test_a_table_that_is_too_large(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    # 27 symbols: 27**5 values are 14 million, 27**6 are 387 million. Counts that are not trained on need no table.
    line = wrong(capsys, "--model", "ngram", "--block-size", "5", "--init", "plain", "--steps", "9")
    assert re.search(
        "argument --block-size: got 5, expected at most 4: with the 27 symbols .* 67,108,864 values", line
    )
    letters = [chr(0x4E00 + number) for number in range(8200)]
    (folder / "words.txt").write_text("\n".join(letters), encoding="utf-8")
    for model in ("bigram", "ngram"):
        trained = ["--block-size", "1", "--init", "plain", "--steps", "9"]
        line = wrong(capsys, "--model", model, *trained, "--data", "words.txt")
        assert (
            f"argument --data: got words of 8,200 different characters, expected fewer with --model {model}"
            in line
        )
    assert [path.name for path in folder.iterdir()] == ["words.txt"]


# ---- the memory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "parameters"),
    [
        # 2**20 x 2**20 weights are 4 TiB; at 999 layers of them it is 4 PiB.
        (["--hidden-size", "1048576", "--num-hidden-layers", "2"], "1,099,5"),
        (["--hidden-size", "1048576", "--num-hidden-layers", "1000"], "1,098,"),
        (["--model", "gpt", "--embedding-dim", "65536", "--num-layers", "1000"], "51,5"),
        (["--model", "wavenet", "--hidden-size", "1048576"], "4,398,"),
    ],
)
def test_a_model_that_no_memory_holds(
    flags: list[str], parameters: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    line = failed(capsys, *flags)
    assert re.search(
        rf"out of memory \(training takes at least [\d,.]+ GiB \(a model of {parameters}", line
    ), line
    assert "GiB): try a smaller --batch-size" in line
    assert list(folder.iterdir()) == []


def test_batches_that_no_memory_holds(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = failed(capsys, "--batch-size", "1048576", "--hidden-size", "1048576")
    assert "1,048,576 examples a step" in line
    assert "try a smaller --batch-size" in line
    assert list(folder.iterdir()) == []


def test_what_torch_says_of_memory_is_one_line_too(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing says how much memory there is. There is enough for 27 x 2**20 x 2 weights, but not for 4 TiB.
    monkeypatch.setattr("namegen_ext.training.feasibility.physical_memory", lambda: None)
    line = failed(capsys, "--hidden-size", "1048576", "--num-hidden-layers", "2")
    assert "error: out of memory: try a smaller --batch-size or" in line
    assert "--hidden-size" in line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "named", "not_named"),
    [
        (
            {"model": "bigram", "block_size": 1, "full_batch": True},
            ["--rare"],
            ["--batch-size", "--block-size"],
        ),
        ({"model": "ngram", "init": "counts", "steps": 0}, ["--block-size", "--rare"], ["--batch-size"]),
        ({"full_batch": True}, ["--no-full-batch", "--hidden-size"], ["--batch-size"]),
        (
            {"model": "gpt", "block_size": 8, "embedding_dim": 64},
            ["--batch-size", "--num-layers"],
            ["--hidden-size"],
        ),
    ],
)
def test_advice_names_the_flags_that_apply(
    given: dict[str, Any], named: list[str], not_named: list[str]
) -> None:
    advice = memory_advice(TrainOptions(**given))
    assert all(flag in advice for flag in named)
    assert not any(flag in advice.replace("--no-full-batch", "") for flag in not_named)


def test_the_container_counts(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(sizes, "_CONTAINER_LIMITS", (tmp_path / "not here", limit))
    limit.write_text("max\n")
    unlimited = sizes.physical_memory()
    assert unlimited is None or unlimited > 2**24
    limit.write_text(f"{2**24}\n")
    assert sizes.physical_memory() == 2**24
    assert "but the machine has 0.0 GiB" in failed(capsys, "--hidden-size", "100000")
    assert list(folder.iterdir()) == []


# ---- the disk ----------------------------------------------------------------------------------------------


def test_out_that_cannot_be(word_file: Path, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "file").write_text("in the way")
    (folder / "full").mkdir()
    (folder / "full" / "letter.txt").write_text("not a run")
    for out, expected in (
        ("file", "argument --out: file: is a file, not a directory"),
        ("file/run", "argument --out: file/run: cannot be made: Not a directory"),
        ("full", "argument --out: full: already holds other files; name a new directory"),
        ("x" * 300, "cannot be made: File name too long"),
    ):
        assert expected in wrong(capsys, *SMALL, "--data", word_file, "--out", out)
    assert sorted(path.name for path in folder.rglob("*")) == ["file", "full", "letter.txt"]


@pytest.mark.skipif(
    not Path("/proc/self").is_dir(), reason="there is no /proc here, where nobody may make a directory"
)
def test_out_where_nothing_may_be_made(
    word_file: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    line = wrong(capsys, *SMALL, "--data", word_file, "--out", "/proc/run")
    assert "argument --out: /proc/run: cannot be made: " in line


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0,
    reason="root may write anywhere; tests/reliability/test_read_only.py tries as another user",
)
def test_a_directory_that_is_read_only(
    word_file: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "closed").mkdir(mode=0o500)
    assert "cannot be made: Permission denied" in wrong(
        capsys, *SMALL, "--data", word_file, "--out", "closed/run"
    )
    assert "cannot be written: Permission denied" in failed(
        capsys, *SMALL, "--data", word_file, "--out", "closed"
    )


def test_an_empty_directory_is_taken(word_file: Path, folder: Path) -> None:
    (folder / "run").mkdir()
    assert main([*SMALL, "--data", str(word_file), "--out", "run"]) == 0
    assert (folder / "run" / "summary.json").is_file()


def test_resume_that_cannot_be(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "file").write_text("no directory")
    assert "argument --resume: nowhere: there is no such directory" in wrong(capsys, "--resume", "nowhere")
    assert "argument --resume: file: there is no such directory" in wrong(capsys, "--resume", "file")
    assert f"argument --resume: {folder}: is not a run directory" in wrong(capsys, "--resume", folder)
    line = wrong(capsys, "--resume", "nowhere", "--hidden-size", "8")
    assert "argument --hidden-size: a run that is resumed keeps its own; leave it out" in line


@pytest.mark.skipif(os.name != "posix", reason="names of files are texts elsewhere")
def test_a_name_that_is_not_utf_8(word_file: Path, folder: Path) -> None:
    data = folder / os.fsdecode(b"\xff.txt")
    data.write_bytes(word_file.read_bytes())
    assert main([*SMALL, "--data", str(data), "--out", "run"]) == 0
    assert load_run(folder / "run").config.data_name == "\\udcff.txt"
