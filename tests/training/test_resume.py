"""A run that was stopped and resumed has the bits of one that never was: parameters, metrics and what is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from namegen_ext.options.checkpoint_interval import CheckpointInterval
from namegen_ext.runs.checkpoint import newest_checkpoint
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.sampling import sample_names
from namegen_ext.training import Trainer, TrainOptions, TrainResult
from namegen_ext.training.progress import Silent

Options = Callable[..., TrainOptions]

WINDOWED: dict[str, dict[str, Any]] = {
    "sgd": {},
    "nesterov": {"momentum": 0.9, "nesterov": True, "learning_rate": 0.01},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
    "two-step": {"schedule": "two-step", "final_learning_rate": 0.01},
    "3 layers": {"num_hidden_layers": 3},
    "wavenet": {"model": "wavenet", "block_size": 4, "batch_norm": True},
    "bigram": {"model": "bigram", "block_size": 1, "init": "plain", "learning_rate": 1.0},
    "full batch": {"full_batch": True},
    "everything else": {
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "schedule": "linear",
        "warmup": 20,
        "clip_grad_norm": 0.5,
        "ema": 0.9,
        "order": "shuffled",
    },
}
# Dropout draws from torch's global generator, whose state is part of a checkpoint.
GPT = {
    "model": "gpt",
    "embedding_dim": 8,
    "num_heads": 2,
    "num_layers": 1,
    "block_size": 6,
    "dropout": 0.3,
    "optimizer": "adamw",
    "learning_rate": 0.01,
}
# Learnt by heart: the best dev loss is that of an early evaluation.
OVERFITTING = {"hidden_size": 128, "learning_rate": 1.0, "schedule": "constant", "batch_norm": False}
CASES = [
    *(
        (name, fused)
        for name in WINDOWED
        for fused in (None, "layers", "step")
        if (name, fused) != ("bigram", "layers")
    ),
    ("gpt", None),
    ("gpt", "layers"),
    *(("gpt without dropout", fused) for fused in (None, "layers", "step")),
]


def trained_in_parts(
    words: list[str],
    options: TrainOptions,
    path: Path,
    fused: str | None,
    stops: tuple[int, ...],
    **settings: Any,
) -> TrainResult:
    """Train. At the first saving at or after each of the steps, stop the run and resume it."""
    directory = RunDirectory.create(path)
    for stop in (*stops, None):
        # 7 and 13 do not divide the number of steps between two lines, nor each other, so stops fall anywhere between.
        trainer = Trainer(
            words,
            options,
            fused=fused,
            log_every=10,
            eval_every=30,
            checkpoint_every=CheckpointInterval(steps=7 if stop is None else 13),
            record_updates=True,
            **settings,
        )
        begun = trainer.restore(directory, warn=pytest.fail)
        if stop is not None:
            trainer.should_stop = lambda: trainer._loop.step >= stop  # noqa: B023  (called in this turn only)
        result = trainer.run(directory)
        assert result.interrupted == (stop is not None)
        assert begun <= result.steps
    return result


@pytest.mark.parametrize(("name", "fused"), CASES, ids=lambda value: str(value))
def test_the_bits_are_those_of_a_run_that_was_never_stopped(
    words: list[str], small_options: Options, tmp_path: Path, name: str, fused: str | None
) -> None:
    gpts = {"gpt": GPT, "gpt without dropout": {**GPT, "dropout": 0.0}}
    options = small_options(**{"steps": 90, **({**WINDOWED, **gpts}[name])})
    whole = trained_in_parts(words, options, tmp_path / "whole", fused, ())
    parted = trained_in_parts(words, options, tmp_path / "parted", fused, (5, 23, 24, 60))

    assert parted.steps == whole.steps == 90
    for file in ("metrics.jsonl", "model.safetensors"):
        assert (tmp_path / "parted" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    first, second = (
        newest_checkpoint(RunDirectory(tmp_path / path), warn=pytest.fail) for path in ("parted", "whole")
    )
    assert first is not None
    assert second is not None
    for part in ("model", "optimizer", "generators"):
        kept, expected = getattr(first, part), getattr(second, part)
        assert kept.keys() == expected.keys()
        assert all(torch.equal(value, expected[key]) for key, value in kept.items()), part
    names = ("train_loss", "dev_loss", "test_loss", "unseen_dev_loss")
    assert [getattr(parted, loss) for loss in names] == [getattr(whole, loss) for loss in names]
    drawn = [sample_names(result.model, result.corpus.vocabulary, 20, seed=3) for result in (parted, whole)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("fused", [None, "step"])
@pytest.mark.parametrize("settings", [{}, {"keep": "last"}, {"patience": 2}], ids=str)
def test_the_best_model_is_the_same(
    words: list[str], small_options: Options, tmp_path: Path, settings: dict[str, Any], fused: str | None
) -> None:
    options = small_options(steps=400, **OVERFITTING)
    few = words[:60]
    whole = trained_in_parts(few, options, tmp_path / "whole", fused, (), **settings)
    parted = trained_in_parts(few, options, tmp_path / "parted", fused, (5, 23, 35, 61, 70), **settings)
    assert whole.best_step is not None
    assert 30 <= whole.best_step < whole.steps
    assert whole.kept_step == (whole.steps if settings.get("keep") == "last" else whole.best_step)
    assert whole.out_of_patience == (settings == {"patience": 2})
    for result in (whole, parted):
        assert result.has_overfitted
        if result.kept_step == result.best_step:
            assert result.dev_loss == result.best_dev_loss
    names = ("steps", "kept_step", "best_step", "best_dev_loss", "last_dev_loss", "dev_loss", "test_loss")
    assert [getattr(parted, name) for name in names] == [getattr(whole, name) for name in names]
    for file in ("metrics.jsonl", "model.safetensors"):
        assert (tmp_path / "parted" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def test_dropout_depends_on_the_seed_alone(words: list[str], small_options: Options) -> None:
    def loss() -> float | None:
        return Trainer(words, small_options(**GPT)).run().dev_loss

    before = torch.get_rng_state()
    first = loss()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert loss() == first


@pytest.mark.parametrize(("before", "after"), [(None, "step"), ("step", "layers"), ("layers", "off")])
def test_the_backend_may_change_and_it_is_said(
    words: list[str], small_options: Options, tmp_path: Path, before: str | None, after: str
) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    first = Trainer(words, small_options(steps=40), fused=before)
    first.run(directory)
    warnings: list[str] = []
    second = Trainer(words, small_options(steps=80), fused=after)
    assert second.restore(directory, warn=warnings.append) == 40
    (warning,) = warnings
    assert f"the first 40 steps were run by {first.backend.name}" in warning
    assert f"the rest will be by {second.backend.name}" in warning
    assert second.run(directory).steps == 80


def test_missing_metrics_are_told(words: list[str], small_options: Options, tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    Trainer(words, small_options()).run(directory)
    directory.metrics.write_text("")
    warnings: list[str] = []
    Trainer(words, small_options(steps=80)).restore(directory, warn=warnings.append)
    (warning,) = warnings
    assert "metrics.jsonl: lines are missing" in warning


def test_a_terminal_that_is_gone_loses_nothing(
    words: list[str], small_options: Options, tmp_path: Path
) -> None:
    class Gone(Silent):
        """A terminal that was closed after some steps."""

        def progress(self, step: int, loss: float) -> None:
            if step >= 33:
                raise OSError(5, "Input/output error")

    options = small_options(steps=90)
    directory = RunDirectory.create(tmp_path / "run")
    every = CheckpointInterval(steps=11)
    first = Trainer(words, options, log_every=10, checkpoint_every=every, reporter=Gone())
    with pytest.raises(OSError, match="Input/output error"):
        first.run(directory)
    kept = newest_checkpoint(directory, warn=pytest.fail)
    assert kept is not None
    assert kept.state.step == 33
    second = Trainer(words, options, log_every=10, checkpoint_every=every)
    assert second.restore(directory, warn=pytest.fail) == 33
    second.run(directory)
    Trainer(words, options, log_every=10).run(RunDirectory.create(tmp_path / "whole"))
    for file in ("metrics.jsonl", "model.safetensors"):
        assert (directory.path / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_other_threads_are_told_where_they_can_change_the_rounding(
    words: list[str], small_options: Options, tmp_path: Path
) -> None:
    for fused, told in ((None, 1), ("step", 0)):
        directory = RunDirectory.create(tmp_path / str(fused))
        Trainer(words, small_options(), fused=fused).run(directory)
        torch.set_num_threads(2)
        warnings: list[str] = []
        Trainer(words, small_options(steps=80), fused=fused).restore(directory, warn=warnings.append)
        torch.set_num_threads(1)
        assert len(warnings) == told
        assert all(
            "with 1 thread, the rest will be by stock on cpu with 2 threads" in line for line in warnings
        )
