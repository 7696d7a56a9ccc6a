"""``namegen sample`` of every model whose names are drawn natively: no torch is loaded, nor need it be installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from namegen_ext.cli.main import main as namegen
from namegen_ext.sample import main
from namegen_ext.train import main as train

MODELS: dict[str, Sequence[str]] = {
    "bigram, trained": ("--model", "bigram", "--steps", "3"),
    "bigram, counted": ("--recipe", "bigram-counts-split"),
    "ngram": ("--recipe", "4-gram-counts", "--block-size", "2"),
    "witten-bell": ("--recipe", "witten-bell", "--block-size", "3"),
    "mlp": ("--steps", "20", "--hidden-size", "20"),
    "mlp, two layers, no batch norm": ("--steps", "5", "--num-hidden-layers", "2", "--no-batch-norm"),
    "wavenet": (
        "--model",
        "wavenet",
        "--steps",
        "3",
        "--hidden-size",
        "12",
        "--batch-norm-variance",
        "unbiased",
    ),
    "gpt": ("--model", "gpt", "--steps", "5", "--embedding-dim", "8", "--num-layers", "2"),
    "gpt, tied": (
        "--model",
        "gpt",
        "--steps",
        "2",
        "--embedding-dim",
        "4",
        "--num-layers",
        "1",
        "--num-heads",
        "1",
        "--block-size",
        "4",
        "--tied",
    ),
    "makemore's split": ("--steps", "3", "--hidden-size", "8", "--split", "makemore"),
}

# Runs `namegen` where every import of torch raises ImportError.
BLOCKED = """
import sys
sys.modules["torch"] = None
from namegen_ext.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

# Runs `namegen sample`, then writes whether torch was loaded.
LISTED = """
import sys
from namegen_ext.cli.main import main
status = main(sys.argv[1:])
sys.stdout.flush()
print("torch" in sys.modules, "rich" in sys.modules, file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, word_file: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    paths = {}
    for number, (name, flags) in enumerate(MODELS.items()):
        paths[name] = folder / str(number)
        data = ("--data", str(word_file), "--samples", "0", "--out", str(paths[name]))
        assert train([*flags, *data]) == 0
    return paths


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_names_are_those_drawn_with_torch(
    name: str, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["-n", "300", "--seed", "5", "--novel", "--top-k", "6"]
    done = run(BLOCKED, "sample", runs[name], *flags)
    assert done.returncode == 0, done.stderr
    assert main([str(runs[name]), *flags]) == 0  # in this process, which has torch
    assert (done.stdout, done.stderr) == tuple(capsys.readouterr())
    assert len(done.stdout.splitlines()) == 300


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("flags", [("-n", "20"), ("-n", "3000"), ("--unique", "--seed", "3")])
def test_torch_is_not_loaded(name: str, flags: Sequence[str], runs: dict[str, Path]) -> None:
    done = run(LISTED, "sample", runs[name], *flags)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "False False"


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_those_with_torch(
    name: str, runs: dict[str, Path], word_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["score", runs[name], word_file, "--format", "jsonl"]
    done = run(BLOCKED, *flags)
    assert done.returncode == 0, done.stderr
    assert namegen(list(map(str, flags))) == 0
    assert (done.stdout, done.stderr) == tuple(capsys.readouterr())
    assert len(done.stdout.splitlines()) == 200
    listed = run(LISTED, "sample", runs[name], "--like", "abc", "--within", "1", "--max-similarity", "0.9")
    assert listed.stderr.splitlines()[-1] == "False False", listed.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--prefix", "Z9"], 2, "--prefix must be made of letters that the model knows"),
        (["--top-k", "400"], 2, "--top-k must be an integer from 1 to"),
        (["--unique", "--top-k", "1"], 1, "found only 1 of 20 unique names"),
    ],
)
def test_what_cannot_be_had_is_told_without_torch(
    arguments: Sequence[str], status: int, message: str, runs: dict[str, Path]
) -> None:
    done = run(BLOCKED, "sample", runs["mlp"], *arguments)
    assert done.returncode == status
    (line,) = done.stderr.splitlines()
    assert line.startswith("namegen sample: error: ")
    assert message in line


def test_a_damaged_run_is_told_without_torch(runs: dict[str, Path], tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        path = tmp_path / name
        path.mkdir()
        for file in runs["mlp"].iterdir():
            if file.is_file():
                content = bytearray(file.read_bytes())
                if file.name == name:
                    content[-20] ^= 1
                (path / file.name).write_bytes(content)
        done = run(BLOCKED, "sample", path)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("namegen sample: error: argument RUN_DIR: ")
        assert name in line


@pytest.mark.parametrize(
    "command", [("train", "--steps", "1"), ("reproduce", "--data", "census"), ("plot", "x")]
)
def test_what_cannot_do_without_torch_says_so(command: Sequence[str]) -> None:
    done = run(BLOCKED, *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"namegen {command[0]}: error: torch is not installed: pip install torch\n"
