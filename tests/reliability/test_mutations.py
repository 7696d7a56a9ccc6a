"""Run directories that were changed at random: each ends as the run that it was, or in one clear error.

Never in another exception, in another model, in more than two seconds, or in more than half a gibibyte.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from memory_directory import memory_directory
from mutated_runs import (
    MODELS,
    SECONDS,
    Original,
    assert_command_ends,
    assert_loads_the_same_or_fails,
    assert_restores_the_same_or_fails,
    attempt,
    changed,
    count,
    limits,
    load,
    newest,
    same_tensors,
    seed_of,
    train_originals,
    tried,
)
from mutations import Mutation, mutate_bytes, mutate_header, mutate_tensors, mutate_text, mutate_value

from namegen_ext.diagnostics.history import read_history
from namegen_ext.runs.config import _sha256
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.tensor_file import read_tensors, write_tensors
from namegen_ext.training import RunError, Trainer, TrainingDivergedError


@pytest.fixture(scope="module")
def originals(word_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Original]]:
    with memory_directory(tmp_path_factory.mktemp("mutated")) as base:
        yield train_originals(base, word_file)


@pytest.fixture(autouse=True)
def _as_they_were(originals: dict[str, Original]) -> Iterator[None]:
    """Put every file back after a test, whatever became of it."""
    files = [file for run in originals.values() for file in run.path.rglob("*") if file.is_file()]
    before = [(file, file.read_bytes()) for file in files]
    yield
    for file, content in before:
        file.write_bytes(content)


@pytest.fixture(autouse=True)
def _limits(originals: dict[str, Original]) -> Iterator[None]:
    with limits():
        yield


# ---- config.json -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mutation", [mutate_bytes, mutate_text], ids=["bytes", "text"])
def test_config_that_was_damaged(
    request: pytest.FixtureRequest, originals: dict[str, Original], model: str, mutation: Mutation
) -> None:
    original, draw = originals[model], random.Random(seed_of(request))
    path = original.path / "config.json"
    content = path.read_bytes()
    for _ in range(count(request, 500)):
        with changed(path, mutation(draw, content)):
            assert_loads_the_same_or_fails(original)
        tried["config.json: bytes and text"] += 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("signed", [False, True], ids=["as it was signed", "signed anew"])
def test_config_with_other_values(
    request: pytest.FixtureRequest, originals: dict[str, Original], model: str, signed: bool
) -> None:
    original, draw = originals[model], random.Random(seed_of(request))
    path = original.path / "config.json"
    content = json.loads(path.read_bytes())
    outcomes = Counter()
    for _ in range(count(request, 700)):
        other = mutate_value(draw, content)
        if signed:
            other.pop("sha256", None)
            with contextlib.suppress(RecursionError):
                other["sha256"] = _sha256(other)
        with changed(path, json.dumps(other).encode()):
            outcomes[assert_loads_the_same_or_fails(original, same_config=not signed)] += 1
        tried["config.json: values, " + ("signed anew" if signed else "not signed")] += 1
    assert outcomes[False] > outcomes[True]
    assert not signed or outcomes[True]  # a recipe's name, for one


# ---- model.safetensors and checkpoints ---------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mutation", [mutate_bytes, mutate_header], ids=["bytes", "header"])
def test_model_that_was_damaged(
    request: pytest.FixtureRequest, originals: dict[str, Original], model: str, mutation: Mutation
) -> None:
    original, draw = originals[model], random.Random(seed_of(request))
    path = original.path / "model.safetensors"
    content = path.read_bytes()
    for _ in range(count(request, 350)):
        with changed(path, mutation(draw, content)):
            assert_loads_the_same_or_fails(original)
        tried["model.safetensors: bytes and header"] += 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mutation", [mutate_bytes, mutate_header], ids=["bytes", "header"])
def test_checkpoint_that_was_damaged(
    request: pytest.FixtureRequest, originals: dict[str, Original], model: str, mutation: Mutation
) -> None:
    original, draw = originals[model], random.Random(seed_of(request))
    path = newest(original)
    content = path.read_bytes()
    for _ in range(count(request, 250)):
        warnings: list[str] = []
        with changed(path, mutation(draw, content)):
            assert_restores_the_same_or_fails(original, warnings)
        (original.path / "metrics.jsonl").write_bytes(original.metrics)  # restoring cuts it
        tried["checkpoints: bytes and header"] += 1


@pytest.mark.parametrize("model", MODELS)
def test_model_with_other_contents_signed_anew(
    request: pytest.FixtureRequest,
    originals: dict[str, Original],
    model: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original, draw = originals[model], random.Random(seed_of(request))
    path = original.path / "model.safetensors"
    tensors, metadata = read_tensors(path)
    for _ in range(count(request, 200)):
        write_tensors(path, mutate_tensors(draw, tensors), mutate_value(draw, metadata))
        outcome = attempt(lambda: load(original.path))
        if not isinstance(outcome, RunError):  # then the names, shapes and dtypes are those of the model
            found = outcome[0].model.state_dict()
            assert [(name, tensor.dtype, tensor.shape) for name, tensor in found.items()] == [
                (name, tensor.dtype, tensor.shape) for name, tensor in original.run.model.state_dict().items()
            ]
        assert_command_ends(capsys, "sample", str(original.path), "--seed", "1", "-n", "3")
        tried["model.safetensors: contents, signed anew"] += 1


@pytest.mark.parametrize("model", MODELS)
def test_checkpoint_with_other_contents_signed_anew(
    request: pytest.FixtureRequest, originals: dict[str, Original], model: str
) -> None:
    """What can be restored can be trained on; a loss may be NaN then, which is told."""
    original, draw = originals[model], random.Random(seed_of(request))
    path = newest(original)
    tensors, metadata = read_tensors(path)
    outcomes = Counter()
    longer = {**original.run.config.options.to_json(), "steps": 15}
    options = type(original.run.config.options)(**longer)
    for number in range(count(request, 150)):
        if number % 2:
            write_tensors(path, mutate_tensors(draw, tensors), metadata)
        else:
            write_tensors(path, tensors, mutate_value(draw, metadata))
        trainer = Trainer(original.words, options, fused=draw.choice((None, "auto")))
        outcome = attempt(lambda: trainer.restore(RunDirectory(original.path)))  # noqa: B023  (called at once)
        outcomes[type(outcome)] += 1
        if isinstance(outcome, int):
            with contextlib.suppress(TrainingDivergedError):
                attempt(trainer.run)
        tried["checkpoints: contents, signed anew"] += 1
        (original.path / "metrics.jsonl").write_bytes(original.metrics)
    assert outcomes[RunError]
    assert outcomes[int]


# ---- the other files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_words_that_were_changed(
    request: pytest.FixtureRequest, originals: dict[str, Original], model: str
) -> None:
    original, draw = originals[model], random.Random(seed_of(request))
    path = original.path / "words.txt"
    content = path.read_bytes()
    for _ in range(count(request, 150)):
        with changed(path, mutate_bytes(draw, content)):
            assert_loads_the_same_or_fails(original)
        tried["words.txt"] += 1


def test_weights_that_were_changed(request: pytest.FixtureRequest, originals: dict[str, Original]) -> None:
    original, draw = originals["wavenet"], random.Random(seed_of(request))
    path = original.path / "weights.txt"
    content = path.read_bytes()
    for _ in range(count(request, 150)):
        with changed(path, mutate_bytes(draw, content)):
            assert_loads_the_same_or_fails(original)
        tried["weights.txt"] += 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mutation", [mutate_bytes, mutate_text], ids=["bytes", "text"])
def test_metrics_that_were_changed(
    request: pytest.FixtureRequest, originals: dict[str, Original], model: str, mutation: Mutation
) -> None:
    """The metrics have no checksum, because they grow with the run. Reading them gives curves, or one error."""
    original, draw = originals[model], random.Random(seed_of(request))
    path = original.path / "metrics.jsonl"
    content = path.read_bytes()
    for number in range(count(request, 350)):
        other = mutation(draw, content)
        if number % 2:
            lines = [json.loads(line) for line in content.splitlines()]
            other = b"".join(json.dumps(line).encode() + b"\n" for line in mutate_value(draw, lines))
        with changed(path, other):
            history = attempt(lambda: read_history(RunDirectory(original.path)))
            if not isinstance(history, RunError):
                for step, value in (*history.train_loss, *history.dev_loss, *history.learning_rate):
                    assert isinstance(step, int)
                    assert isinstance(value, float)
            # Nor does it keep the model from being loaded.
            assert number % 20 or assert_loads_the_same_or_fails(original)
        tried["metrics.jsonl"] += 1


def test_files_of_another_kind(originals: dict[str, Original], tmp_path: Path) -> None:
    """Missing, empty, a directory, a link to itself or to nothing, an endless device, a pipe; another run's."""
    original, other = originals["mlp"], originals["wavenet"]
    names = (
        "config.json",
        "model.safetensors",
        "words.txt",
        "metrics.jsonl",
        "checkpoints/" + newest(original).name,
    )
    for name in names:
        for number, make in enumerate(_KINDS):
            path = tmp_path / f"{Path(name).name}-{number}"
            shutil.copytree(original.path, path)
            (path / name).unlink()
            make(path / name, other.path / name)
            run = attempt(lambda: load(path))  # noqa: B023
            if name in ("config.json", "model.safetensors", "words.txt"):
                assert isinstance(run, RunError), (name, number)
                assert str(path) in str(run)
            else:
                assert same_tensors(run[0].model.state_dict(), original.run.model.state_dict())
            if name == "metrics.jsonl":
                attempt(lambda: read_history(RunDirectory(path)))  # noqa: B023
            else:
                warnings: list[str] = []
                attempt(lambda: original.trainer.restore(RunDirectory(path), warn=warnings.append))  # noqa: B023
            tried["files of another kind"] += 1


_KINDS: tuple[Callable[[Path, Path], Any], ...] = (
    lambda path, other: None,
    lambda path, other: path.write_bytes(b""),
    lambda path, other: path.mkdir(),
    lambda path, other: path.symlink_to(path),
    lambda path, other: path.symlink_to("nowhere"),
    lambda path, other: path.symlink_to("/dev/zero"),
    lambda path, other: os.mkfifo(path),
    lambda path, other: shutil.copy(other, path) if "words" not in path.name else None,
    lambda path, other: os.truncate(path, 2**40) if path.touch() is None else None,  # a tebibyte of nothing
)


# ---- sizes that no memory holds ----------------------------------------------------------------------------

SIZES = {
    "mlp": ("block_size", "embedding_dim", "hidden_size", "num_hidden_layers"),
    "gpt": ("block_size", "embedding_dim", "num_layers"),
    "wavenet": ("block_size", "embedding_dim", "hidden_size"),
}


@pytest.mark.parametrize(("model", "option"), [(model, option) for model in SIZES for option in SIZES[model]])
def test_a_config_of_vast_sizes(originals: dict[str, Original], model: str, option: str) -> None:
    """The checksum fits, and both places have the same size. It is refused before such a model takes memory."""
    original = originals[model]
    path = original.path / "config.json"
    for size in (1000, 4096, 2**20, 2**30, 2**31 - 1, 2**62, 10**400):
        content = json.loads(path.read_bytes())
        del content["sha256"]
        content["training"][option] = content["model"][option] = size
        if option == "embedding_dim" and model == "gpt":
            content["training"]["num_heads"] = content["model"]["num_heads"] = 1
        if option == "block_size" and model == "wavenet":
            content["training"]["factors"], content["model"]["factors"] = str(size), [size]
        with changed(path, json.dumps({**content, "sha256": _sha256(content)}).encode()):
            # As many as 1,000 layers are built, without memory, before their shapes are compared.
            outcome = attempt(lambda: load(original.path), 20.0 if option.endswith("layers") else SECONDS)
            assert isinstance(outcome, RunError), size
        tried["sizes that no memory holds"] += 1


def test_an_ngram_of_vast_size(originals: dict[str, Original]) -> None:
    original = originals["mlp"]
    path = original.path / "config.json"
    for size in (5, 100, 2**31 - 1):
        content = json.loads(path.read_bytes())
        del content["sha256"]
        content["training"].update(model="ngram", block_size=size, init="counts")
        vocab_size = content["model"]["vocab_size"]
        content["model"] = {"name": "ngram", "vocab_size": vocab_size, "block_size": size, "init": "counts"}
        with changed(path, json.dumps({**content, "sha256": _sha256(content)}).encode()):
            assert isinstance(attempt(lambda: load(original.path)), RunError)
        tried["sizes that no memory holds"] += 1


# ---- the commands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sample", "train"])
def test_commands_on_changed_runs(
    request: pytest.FixtureRequest,
    originals: dict[str, Original],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
) -> None:
    original, draw = originals["mlp"], random.Random(seed_of(request))
    statuses: Counter[int] = Counter()
    path = tmp_path / "run"
    for _ in range(count(request, 120 if command == "sample" else 50)):
        shutil.copytree(original.path, path)
        (path / "summary.json").unlink()
        name = draw.choice(
            ("config.json", "model.safetensors", "words.txt", f"checkpoints/{newest(original).name}")
        )
        mutation = draw.choice((mutate_bytes, mutate_header if "safetensors" in name else mutate_bytes))
        (path / name).write_bytes(mutation(draw, (path / name).read_bytes()))
        if command == "sample":
            status = assert_command_ends(capsys, "sample", str(path), "--seed", "1", "-n", "3")
        else:
            status = assert_command_ends(capsys, "train", "--resume", str(path), "--samples", "1")
        statuses[status] += 1
        shutil.rmtree(path)
        tried[f"{command} on a changed run"] += 1
    assert statuses[0]
    assert statuses[2]


def test_so_many_mutations(request: pytest.FixtureRequest) -> None:
    total = sum(tried.values())
    if len(tried) < 13:
        pytest.skip("counts the mutations of the tests before it, of which not all were run")
    for kind, number in sorted(tried.items()):
        print(f"{number:8,} {kind}")
    print(f"{total:8,} mutations in all")
    assert total >= 10_000
