"""What TensorBoard is shown: the numbers of metrics.jsonl and a few names, and nothing changed by it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from namegen_ext.options.checkpoint_interval import CheckpointInterval
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.train import main
from namegen_ext.training import RunError, Trainer, TrainOptions, TrainResult

Options = Callable[..., TrainOptions]


def run(words: list[str], options: TrainOptions, path: Path, **arguments: Any) -> TrainResult:
    trainer = Trainer(words, options, log_every=10, eval_every=20, fused="step", **arguments)
    directory = RunDirectory(path) if path.exists() else RunDirectory.create(path)
    trainer.restore(directory)
    return trainer.run(directory)


def scalars_of(path: Path) -> dict[tuple[str, int], float]:
    events = EventAccumulator(str(path / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return {
        (tag, event.step): event.value for tag in events.Tags()["scalars"] for event in events.Scalars(tag)
    }


def metrics_of(path: Path) -> dict[tuple[str, int], float]:
    numbers = {}
    for text in (path / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        step = line.pop("step")
        ratios = line.pop("update_to_data", {})
        line |= {f"update_to_data/{name}": ratio for name, ratio in ratios.items()}
        numbers |= {(tag, step): number for tag, number in line.items() if number is not None}
    return numbers


def test_the_scalars_are_the_metrics(words: list[str], small_options: Options, tmp_path: Path) -> None:
    run(words, small_options(), tmp_path / "run", tensorboard=True, record_updates=True)
    expected = metrics_of(tmp_path / "run")
    assert ("dev_loss", 20) in expected
    assert ("update_to_data/net.0.weight", 30) in expected
    # TensorBoard keeps float32, whose rounding is 6e-8.
    assert scalars_of(tmp_path / "run") == pytest.approx(expected, rel=6e-8)


def test_names_are_shown_at_each_evaluation(words: list[str], small_options: Options, tmp_path: Path) -> None:
    run(words, small_options(), tmp_path / "run", tensorboard=True)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    shown = events.Tensors("samples/text_summary")
    assert [event.step for event in shown] == [20, 40]
    for event in shown:
        (text,) = event.tensor_proto.string_val
        names = text.decode().split("  \n")
        assert len(names) == 10
        assert set("".join(names)) <= set("".join(words))


def test_it_changes_nothing(words: list[str], small_options: Options, tmp_path: Path) -> None:
    run(words, small_options(), tmp_path / "with", tensorboard=True)
    run(words, small_options(), tmp_path / "without")
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    assert not (tmp_path / "without" / "tensorboard").exists()


def test_a_resumed_run_takes_back_what_it_does_again(
    words: list[str], small_options: Options, tmp_path: Path
) -> None:
    path, asked = tmp_path / "run", iter([False, False, False, True])
    run(
        words,
        small_options(),
        path,
        tensorboard=True,
        checkpoint_every=CheckpointInterval(steps=15),
        should_stop=lambda: next(asked),
    )
    run(words, small_options(), path, tensorboard=True)
    run(words, small_options(), tmp_path / "whole", tensorboard=True)
    expected = metrics_of(tmp_path / "whole")
    found = scalars_of(path)
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=6e-8)


def test_without_tensorboard_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as caught:
        main(["--tensorboard", "--out", str(tmp_path / "run")])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "argument --tensorboard: TensorBoard is not installed: pip install tensorboard" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["add_scalar", "add_text", "close"])
def test_a_disk_without_room(
    words: list[str], small_options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"torch.utils.tensorboard.SummaryWriter.{method}", fail)
    with pytest.raises(RunError, match=r"tensorboard: cannot be written: No space left on device"):
        run(words, small_options(), tmp_path / "run", tensorboard=True)
