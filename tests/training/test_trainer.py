"""Whole runs: stock against fused step by step, the same bits again, resuming, stopping, diverging."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from namegen_ext.data import load_words
from namegen_ext.models import Bigram
from namegen_ext.models.counting import count_windows
from namegen_ext.runs.checkpoint import newest_checkpoint
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.training import (
    RECIPES,
    Trainer,
    TrainingDivergedError,
    TrainOptions,
    TrainResult,
    load_run,
)

Options = Callable[..., TrainOptions]


def state_of(result: TrainResult) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in result.model.state_dict().items()}


def assert_same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def logged(directory: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in directory.metrics.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_norm": False},
        {"batch_norm": False, "init": "small-output", "learning_rate": 0.08},
        {"num_hidden_layers": 2, "momentum": 0.5, "learning_rate": 0.05},
        {"batch_norm": False, "optimizer": "adamw", "learning_rate": 0.002},
        {"batch_size": 256},
        {"hidden_bias": False, "batch_norm_variance": "unbiased"},
        {"model": "wavenet", "block_size": 8, "hidden_size": 68, "hidden_bias": False},
        {"model": "wavenet", "block_size": 8, "batch_norm_variance": "unbiased", "learning_rate": 0.1},
        {"model": "wavenet", "block_size": 4, "batch_norm": False, "learning_rate": 0.1},
    ],
    ids=lambda options: ",".join(f"{name}={value}" for name, value in options.items()) or "default",
)
def test_fused_layers_follow_the_stock_ones_step_by_step(options: dict[str, Any], tmp_path: Path) -> None:
    words = load_words("census").words
    results, losses = [], []
    for fused in (None, "layers"):
        trainer = Trainer(words, TrainOptions(steps=200, **options), fused=fused, log_every=1)
        directory = RunDirectory.create(tmp_path / str(fused))
        results.append(trainer.run(directory))
        losses.append([record["loss"] for record in logged(directory) if "loss" in record])
    assert [result.backend.name for result in results] == ["stock", "fused-layers"]
    assert len(losses[0]) == len(losses[1]) == 200
    # The bounds that the project promises; both sides round in float32, in another order.
    for step, (stock, fused_loss) in enumerate(zip(*losses, strict=True)):
        assert abs(stock - fused_loss) <= 1e-4, f"step {step + 1}"
    for name, value in results[0].model.state_dict().items():
        torch.testing.assert_close(results[1].model.state_dict()[name], value, rtol=1e-3, atol=1e-3, msg=name)


def test_training_learns(words: list[str], small_options: Options) -> None:
    result = Trainer(words, small_options(steps=400)).run()
    # 13 letters and the end give log(14) = 2.64 without learning; the words alternate between 9 consonants
    # and 4 vowels, which gives about (log 9 + log 4) / 2 = 1.8, and the end.
    assert result.train_loss is not None
    assert result.train_loss < 2.0
    assert not result.model.training


@pytest.mark.parametrize("fused", [None, "layers"])
def test_the_same_options_give_the_same_bits(
    words: list[str], small_options: Options, fused: str | None
) -> None:
    first, second = (Trainer(words, small_options(), fused=fused).run() for _ in range(2))
    assert_same_bits(state_of(first), state_of(second))
    assert first.dev_loss == second.dev_loss


def test_seeds_give_different_runs(words: list[str], small_options: Options) -> None:
    first, second = (Trainer(words, small_options(seed=seed)).run() for seed in (1, 2))
    assert first.dev_loss != second.dev_loss


def test_stopping_before_the_first_step(words: list[str], small_options: Options, tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    result = Trainer(words, small_options(), should_stop=lambda: True).run(directory)
    assert result.interrupted
    assert result.steps == 0
    assert result.steps_per_second == 0.0
    assert directory.model.is_file()


def test_a_diverged_run_keeps_what_was_saved(
    words: list[str], small_options: Options, tmp_path: Path
) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    options = small_options(steps=100, learning_rate=0.1, schedule="constant", batch_norm=False)
    trainer = Trainer(words, options, eval_every=20, log_every=10)
    output = trainer.model.net[-1]

    steps = itertools.count(1)

    def break_it_in_step_51(layer: torch.nn.Module, _: object) -> None:
        if layer.training and next(steps) == 51:
            output.bias.data.fill_(float("inf"))

    output.register_forward_pre_hook(break_it_in_step_51)
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.run(directory)
    assert caught.value.step == 51
    kept = newest_checkpoint(directory, warn=pytest.fail)
    assert kept is not None
    assert kept.state.step == 40
    lines = [record["step"] for record in logged(directory) if "learning_rate" in record]
    assert lines == [1, *range(10, 51, 10)]
    for value in [*kept.model.values(), *kept.optimizer.values()]:
        assert value.isfinite().all()
    assert not directory.summary.exists()


def test_parameters_that_are_not_finite_are_not_saved(
    words: list[str], small_options: Options, tmp_path: Path
) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    # The first step's loss is finite; its update is not.
    options = small_options(steps=1, learning_rate=3e38, init="plain", batch_norm=False)
    with pytest.raises(TrainingDivergedError, match="not finite after step 1"):
        Trainer(words, options).run(directory)
    assert not directory.model.exists()


def test_metrics_hold_steps_and_evaluations(words: list[str], small_options: Options, tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    result = Trainer(words, small_options(), log_every=10, eval_every=20).run(directory)
    records = logged(directory)
    assert [record["step"] for record in records] == [1, 10, 20, 20, 30, 40, 40]
    assert all(record.keys() == {"step", "loss", "learning_rate"} for record in records if "loss" in record)
    assert records[3].keys() == {"step", "dev_loss", "unseen_dev_loss"}
    final = records[-1]
    assert final == {
        "step": 40,
        "train_loss": result.train_loss,
        "dev_loss": result.dev_loss,
        "test_loss": result.test_loss,
        "unseen_dev_loss": result.unseen_dev_loss,
    }


def test_logging_does_not_change_the_run(words: list[str], small_options: Options, tmp_path: Path) -> None:
    quiet = Trainer(words, small_options(), eval_every=0).run()
    busy = Trainer(words, small_options(), log_every=3, eval_every=7, keep="last").run(
        RunDirectory.create(tmp_path / "run")
    )
    assert_same_bits(state_of(quiet), state_of(busy))


def test_no_unseen_dev_words_have_no_loss(small_options: Options, tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    result = Trainer(["ab", "ba"] * 50, small_options(steps=5)).run(directory)
    assert result.dev_loss is not None
    assert result.unseen_dev_loss is None
    assert logged(directory)[-1]["unseen_dev_loss"] is None


def test_the_saved_run_is_the_trained_model(words: list[str], small_options: Options, tmp_path: Path) -> None:
    # Through the files alone; config.json is written by the command, so here by hand.
    from namegen_ext.runs.config import words_sha256
    from namegen_ext.training import RunConfig

    directory = RunDirectory.create(tmp_path / "run")
    trainer = Trainer(words, small_options(), fused="layers")
    vocabulary = trainer.corpus.vocabulary
    RunConfig(
        recipe="default",
        options=trainer.options,
        model_config=trainer.options.model_config(len(vocabulary)),
        vocabulary=vocabulary,
        data_name="made-up",
        data_source="a test",
        words_sha256=words_sha256(words),
        fused="layers",
        device="cpu",
    ).write(directory, words)
    result = trainer.run(directory)
    run = load_run(directory.path)
    assert run.step == 40
    assert not run.model.training
    assert run.words == words
    assert run.splits.train == trainer.corpus.splits.train
    assert_same_bits(run.model.state_dict(), state_of(result))


def test_the_wavenet_of_the_lectures_fused_and_stock(tmp_path: Path) -> None:
    words = load_words("census").words
    options = RECIPES["lecture-wavenet-3-large"].train_options({"steps": 200})
    results = [Trainer(words, options, fused=fused).run() for fused in (None, "layers")]
    assert [result.backend.name for result in results] == ["stock", "fused-layers"]
    for name, value in results[0].model.state_dict().items():
        torch.testing.assert_close(results[1].model.state_dict()[name], value, rtol=1e-3, atol=1e-3, msg=name)


def test_a_full_batch_takes_every_example_in_every_step(words: list[str], tmp_path: Path) -> None:
    options = RECIPES["default"].train_options({"model": "bigram", "steps": 3, "learning_rate": 1.0})
    assert options.full_batch
    directory = RunDirectory.create(tmp_path / "run")
    trainer = Trainer(words, options, log_every=1)
    tokens, targets = trainer.corpus.train
    weight = trainer.model.table.weight.detach().clone().requires_grad_()  # (V, V)
    expected = []
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(weight[tokens[:, 0]], targets)
        expected.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, weight)
        weight = (weight - gradient).detach().requires_grad_()
    trainer.run(directory)
    losses = [record["loss"] for record in logged(directory) if "loss" in record]
    assert losses == pytest.approx(expected, abs=1e-5)  # float32 means over some 1,500 examples


def test_counts_need_no_steps(words: list[str], tmp_path: Path) -> None:
    options = TrainOptions(model="bigram", block_size=1, init="counts", steps=0, smoothing=0.5)
    directory = RunDirectory.create(tmp_path / "run")
    result = Trainer(words, options).run(directory)
    tokens, targets = result.corpus.train
    expected = Bigram.from_counts(count_windows(tokens, targets, len(result.corpus.vocabulary)), 0.5)
    assert torch.equal(result.model.table.weight, expected.table.weight)
    assert (result.steps, result.train_seconds, result.interrupted) == (0, 0.0, False)
    assert result.dev_loss is not None


def test_training_goes_on_from_counts(words: list[str]) -> None:
    counted, trained = (
        Trainer(
            words,
            TrainOptions(model="bigram", block_size=1, init="counts", steps=steps, full_batch=True),
        ).run()
        for steps in (0, 50)
    )
    assert counted.train_loss is not None
    assert trained.train_loss is not None
    # Add-1 is off the minimum of the train loss, so that a step down its gradient can only help.
    assert trained.train_loss < counted.train_loss


def test_all_names_leave_none_to_judge_by(words: list[str]) -> None:
    trainer = Trainer(words, TrainOptions(hidden_size=4, steps=3, split="all"))
    result = trainer.run()
    assert result.corpus.splits.train == words
    assert result.corpus.splits.dev == result.corpus.splits.test == []
    assert result.train_loss is not None
    assert (result.dev_loss, result.test_loss, result.unseen_dev_loss) == (None, None, None)


def test_a_gpt_learns_and_is_judged_on_every_character(words: list[str]) -> None:
    options = RECIPES["default"].train_options(
        {
            "model": "gpt",
            "embedding_dim": 16,
            "num_layers": 2,
            "block_size": 5,
            "steps": 300,
            "seed": 1,
            "learning_rate": 0.002,
        }
    )
    result = Trainer(words, options).run()
    model, vocabulary = result.model, result.corpus.vocabulary
    total, count = 0.0, 0
    for word in result.corpus.splits.dev:
        symbols = [0, *vocabulary.encode(word), 0]
        for end in range(1, len(symbols)):
            logits, _ = model(torch.tensor([symbols[:end][-5:]]))  # (1, T, V)
            total -= float(logits[0, -1].detach().double().log_softmax(0)[symbols[end]])
            count += 1
    # float32 logits of a few units, in other shapes of batch.
    assert result.dev_loss == pytest.approx(total / count, abs=1e-5)
    assert result.dev_loss < 2.0  # as for the MLP above: 14 symbols, consonants and vowels in turn
