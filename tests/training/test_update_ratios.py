"""The update-to-data ratio: against lr * gradient by hand, without changing what is trained."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from namegen_ext.models import build_model
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.metrics import UPDATE_METRIC
from namegen_ext.training import Corpus, MinibatchIndices, Schedule, Trainer, TrainOptions
from namegen_ext.training.update_ratios import UpdateRecorder

Options = Callable[..., TrainOptions]


def records(directory: RunDirectory) -> list[dict[str, Any]]:
    lines = map(json.loads, directory.metrics.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if "loss" in line]


def run(
    words: list[str], options: TrainOptions, path: Path, **settings: Any
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    directory = RunDirectory.create(path)
    result = Trainer(words, options, log_every=10, **settings).run(directory)
    return result.model.state_dict(), records(directory)


def test_sgd_changes_each_parameter_by_its_rate_times_the_gradient(
    words: list[str], small_options: Options, tmp_path: Path
) -> None:
    options = small_options(steps=21, momentum=0.0, weight_decay=0.0, learning_rate=0.3)
    _, logged = run(words, options, tmp_path / "run", record_updates=True)
    assert [line["step"] for line in logged] == [1, 10, 20, 21]

    # The same steps by hand, without the recorder, the loop or the optimizer.
    corpus = Corpus.build(words, block_size=options.block_size, split_seed=options.split_seed)
    config = options.model_config(len(corpus.vocabulary))
    model = build_model(options.model, config, torch.Generator().manual_seed(options.seed)).train()
    tokens, targets = corpus.train
    indices = MinibatchIndices(options.seed, len(targets), options.batch_size).steps(0, options.steps)
    rate = Schedule(options.schedule, options.learning_rate, options.final_learning_rate, options.steps)
    expected: dict[int, dict[str, float]] = {}
    for step in range(options.steps):
        model.zero_grad()
        model(tokens[indices[step]], targets[indices[step]])[1].backward()
        ratios = {}
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            with torch.no_grad():
                update = rate(step) * parameter.grad
                parameter -= update
                ratios[name] = float(update.double().std() / parameter.double().std())
        expected[step + 1] = ratios

    for line in logged:
        assert line[UPDATE_METRIC].keys() == expected[line["step"]].keys()
        for name, ratio in line[UPDATE_METRIC].items():
            by_hand = expected[line["step"]][name]
            if by_hand > 1e-4:
                # The difference of two float32 numbers is off by 2**-24 of their size at the most, which is
                # 6e-8 / 1e-4 of such an update; 1e-3 in the logarithm allows for two of these, and for a sum
                # in another order.
                assert ratio == pytest.approx(math.log10(by_hand), abs=1e-3), (line["step"], name)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw", "learning_rate": 0.002}, {"momentum": 0.9}])
def test_recording_changes_nothing_else(
    words: list[str], small_options: Options, tmp_path: Path, settings: dict[str, Any]
) -> None:
    plain, plain_log = run(words, small_options(**settings), tmp_path / "plain")
    recorded, recorded_log = run(words, small_options(**settings), tmp_path / "recorded", record_updates=True)
    assert all(torch.equal(plain[name], tensor) for name, tensor in recorded.items())
    assert all(UPDATE_METRIC not in line for line in plain_log)
    assert [
        {key: value for key, value in line.items() if key != UPDATE_METRIC} for line in recorded_log
    ] == plain_log


def test_a_run_that_is_resumed_records_the_same(
    words: list[str], small_options: Options, tmp_path: Path
) -> None:
    _, whole = run(words, small_options(), tmp_path / "whole", record_updates=True)
    asked = iter([False, False, True])
    directory = RunDirectory.create(tmp_path / "halves")
    first = Trainer(
        words, small_options(), log_every=10, record_updates=True, should_stop=lambda: next(asked)
    )
    assert first.run(directory).interrupted
    second = Trainer(words, small_options(), log_every=10, record_updates=True)
    second.restore(directory)
    second.run(directory)
    by_step = {line["step"]: line[UPDATE_METRIC] for line in records(directory)}
    assert all(by_step[line["step"]] == line[UPDATE_METRIC] for line in whole)


class Adding:
    """A runner whose step adds a number to a parameter's first element."""

    def __init__(self, parameter: nn.Parameter) -> None:
        self.parameter = parameter

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        for rate in learning_rates:
            self.parameter.data[0] += rate
        return torch.tensor(learning_rates)


def test_the_last_step_alone_counts() -> None:
    model = nn.Linear(1, 1)
    model.weight = nn.Parameter(torch.tensor([0.0, 1.0, 2.0, 3.0]))
    recorder = UpdateRecorder(Adding(model.weight), model)
    losses = recorder.run(torch.zeros(3, 1), [5.0, 7.0, 0.5])
    assert losses.tolist() == [5.0, 7.0, 0.5]
    # Update (0.5, 0, 0, 0), parameter (12.5, 1, 2, 3).
    expected = torch.tensor([0.5, 0, 0, 0]).std() / torch.tensor([12.5, 1, 2, 3]).std()
    assert recorder.ratios()["weight"] == pytest.approx(math.log10(float(expected)), abs=1e-6)
    assert recorder.ratios()["bias"] is None, "one element has no standard deviation"
    recorder.run(torch.zeros(1, 1), [0.0])
    assert recorder.ratios()["weight"] is None, "nothing changed"


def test_before_any_step_there_are_no_ratios() -> None:
    model = nn.Linear(2, 2)
    assert UpdateRecorder(Adding(model.weight), model).ratios() == {}
