"""The moving average of the weights, and the clipping of gradients: the same in every backend, and in a run's files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.models import GPT, MLP, Bigram, WaveNet
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.tensor_file import read_tensors
from namegen_ext.training import Trainer, TrainOptions, build_optimizer
from namegen_ext.training.backends import Backend, build_steps
from namegen_ext.training.weight_average import WeightAverage

MODELS: dict[str, Callable[[], nn.Module]] = {
    "bigram": lambda: Bigram(9),
    "mlp": lambda: MLP(9, 4, 5, 21),
    "mlp with batch norm": lambda: MLP(9, 4, 5, 21, batch_norm=True),
    "wavenet": lambda: WaveNet(9, 4, 5, 21, batch_norm=True),
    "gpt": lambda: GPT(9, 4, 12, 2, 3),
    "rms gpt": lambda: GPT(9, 4, 12, 2, 3, norm="rms", biases=False, embedding_norm=True, tied=True),
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"name": "sgd", "learning_rate": 0.1},
    "momentum": {
        "name": "sgd",
        "learning_rate": 0.05,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.01,
    },
    "adamw": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
}


def test_the_average_by_its_formula() -> None:
    layer = nn.Linear(3, 2).double()
    average = WeightAverage(layer, decay=0.5)
    expected = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    for t in range(20):
        decay = min(0.5, (1 + t) / (10 + t))
        for name, parameter in layer.named_parameters():
            parameter.data += torch.randn(parameter.shape, dtype=torch.float64)
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
        average.update()
    assert average.updates == 20
    for name, tensor in average.tensors.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-12, atol=1e-12)
    kept = copy.deepcopy(layer.state_dict())
    with average.in_place():
        torch.testing.assert_close(layer.weight.detach(), expected["weight"], rtol=1e-12, atol=1e-12)
    assert all(torch.equal(value, kept[name]) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("batch", [3, 300])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_the_engine_clips_and_averages_as_autograd_does(name: str, optimizer: str, batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    model = MODELS[name]().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    tokens = torch.randint(9, (400, 4), generator=generator)
    targets = torch.randint(9, (400, 4), generator=generator)
    if not isinstance(model, GPT):
        targets = targets[:, 0]
    if name == "bigram":
        tokens = tokens[:, :1]
    indices = torch.randint(400, (25, batch), generator=generator)
    results = []
    norms = _gradient_norms(copy.deepcopy(model), tokens, targets, indices)
    most = sorted(norms)[len(norms) // 2]  # half of the steps are clipped, about
    for backend in ("stock", "fused-step"):
        trained = copy.deepcopy(model)
        made = build_optimizer(parameters=trained.parameters(), **OPTIMIZERS[optimizer])
        average = WeightAverage(trained, decay=0.8)
        steps = build_steps(
            Backend(backend), trained, made, tokens, targets, clip_grad_norm=most, average=average
        )
        for part in (indices[:10], indices[10:]):
            steps.run(part, [OPTIMIZERS[optimizer]["learning_rate"]] * len(part))
        assert average.updates == 25
        results.append({**trained.state_dict(), **{f"average {n}": t for n, t in average.tensors.items()}})
    for key, value in results[0].items():
        # AdamW divides a gradient by its size: those of the keys' biases are rounding alone.
        if optimizer == "adamw" and "projections.0.bias" in key:
            continue
        torch.testing.assert_close(results[1][key], value, rtol=1e-8, atol=1e-8, msg=key)


def _gradient_norms(model: nn.Module, tokens: Any, targets: Any, indices: Any) -> list[float]:
    norms = []
    for rows in indices:
        model.zero_grad()
        model(tokens[rows], targets[rows])[1].backward()
        norms.append(
            float(nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None]))
        )
    return norms


@pytest.mark.parametrize("fused", [None, "layers", "step"])
def test_a_run_evaluates_and_saves_the_average(fused: str | None, tmp_path: Path, words: list[str]) -> None:
    options = TrainOptions(steps=120, hidden_size=16, ema=0.9, clip_grad_norm=1.0, order="in-order")
    directory = RunDirectory.create(tmp_path / "run")
    result = Trainer(words, options, fused=fused, eval_every=100).run(directory)
    assert result.ema_losses is not None
    assert result.ema_losses["dev_loss"] != result.dev_loss
    tensors, metadata = read_tensors(directory.average)
    assert metadata["step"] == 120
    result.model.load_state_dict(tensors)
    model = copy.deepcopy(result.model)
    again = build_steps(
        Backend("stock"), model, torch.optim.SGD(model.parameters(), 0.1), *result.corpus.train
    )
    assert again.evaluate(*result.corpus.dev) == pytest.approx(result.ema_losses["dev_loss"], rel=1e-5)
    lines = [json.loads(line) for line in directory.metrics.read_text().splitlines()]
    assert any("ema_dev_loss" in line and "ema_test_loss" not in line for line in lines)
    assert lines[-1]["ema_test_loss"] == result.ema_losses["test_loss"]
