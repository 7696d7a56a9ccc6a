"""Checkpoints: all that a run needs to go on with the same bits, in one file. The last two are kept.

A checkpoint holds the model, the one with the least dev loss so far, the average of the weights, the optimizer's state,
the generators' states, the losses that are not in metrics.jsonl yet, the number of steps, the length of metrics.jsonl,
the configuration, and a checksum of it all.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.runs import checkpoint_checks as checks
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import remove
from namegen_ext.runs.generator_states import generator_states
from namegen_ext.runs.model_checks import whole_number
from namegen_ext.runs.run_errors import RunError
from namegen_ext.runs.tensor_file import read_tensors, write_tensors

FORMAT = 1
KEPT = 2  # the newest, and the one before it, in case the newest is damaged

_MODEL, _OPTIMIZER, _GENERATOR, _BEST, _AVERAGE = "model.", "optimizer.", "generator.", "best.", "average."
_LOSSES, _RECENT_LOSSES = "losses", "recent_losses"


@dataclass(frozen=True)
class BestSoFar:
    """The evaluation with the least dev loss so far.

    Attributes:
        step: after how many steps it was.
        dev_loss: in nats per character.
        evaluations_since: how many evaluations there were after it.
        model: the model's state_dict at that step; empty where no copy is kept.

    """

    step: int
    dev_loss: float
    evaluations_since: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class RunState:
    """How far a run has come.

    Attributes:
        step: number of steps done.
        train_seconds: time spent in them.
        backend: what they were run by, and on which device: all that their rounding depends on.
        metrics_bytes: length of metrics.jsonl at that moment.
        losses: those of the steps that are not in metrics.jsonl yet: float32 (n,), in nats.
        recent_losses: those of the last steps, as many as one line of metrics.jsonl is the mean of: float32 (n,).
        best: the evaluation with the least dev loss; None before the first one.

    """

    step: int
    train_seconds: float
    backend: str
    metrics_bytes: int = 0
    losses: Tensor = field(default_factory=lambda: torch.empty(0))
    recent_losses: Tensor = field(default_factory=lambda: torch.empty(0))
    best: BestSoFar | None = None


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint's file holds.

    Attributes:
        path: the file.
        state: how far the run had come.
        config: what config.json held then.
        model: the model's state_dict.
        optimizer: the tensors of the optimizer's state, as "PARAMETER.KEY".
        generators: the states of torch's global generators, by device.
        average: the moving average of each parameter; empty where none is kept.

    """

    path: Path
    state: RunState
    config: dict[str, Any]
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    generators: dict[str, Tensor]
    average: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(
    directory: RunDirectory,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: RunState,
    config: Mapping[str, Any],
    average: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint and model.safetensors; then remove all checkpoints but the last two.

    model.safetensors holds the best model so far, where a copy of it is kept, else the model of this step.

    Raises:
        RunError: a file cannot be written; the checkpoints that were there still are.

    """
    described = {
        "format": FORMAT,
        "step": state.step,
        "train_seconds": state.train_seconds,
        "backend": state.backend,
        "metrics_bytes": state.metrics_bytes,
        "config": dict(config),
    }
    best = state.best
    if best is not None:
        described["best"] = {
            "step": best.step,
            "dev_loss": best.dev_loss,
            "evaluations_since": best.evaluations_since,
        }
    kept = {} if best is None else best.model
    tensors = {
        **{_MODEL + name: tensor for name, tensor in model.state_dict().items()},
        **{_OPTIMIZER + name: tensor for name, tensor in optimizer_tensors(model, optimizer).items()},
        **{_GENERATOR + name: tensor for name, tensor in generator_states().items()},
        **{_BEST + name: tensor for name, tensor in kept.items()},
        **{_AVERAGE + name: tensor for name, tensor in (average or {}).items()},
        _LOSSES: state.losses,
        _RECENT_LOSSES: state.recent_losses,
    }
    directory.make_checkpoints()
    write_tensors(directory.checkpoint(state.step), tensors, described)
    if best is not None and best.model:
        save_model(directory, best.model, best.step)
    else:
        save_model(directory, model.state_dict(), state.step)
    for path in directory.saved_checkpoints()[:-KEPT]:
        remove(path)


def save_model(directory: RunDirectory, model_state: Mapping[str, Tensor], step: int) -> None:
    """Write model.safetensors: a model's state_dict, and the step that it belongs to.

    Raises:
        RunError: it cannot be written.

    """
    write_tensors(directory.model, model_state, {"step": step})


def save_average(directory: RunDirectory, model_state: Mapping[str, Tensor], step: int) -> None:
    """Write ema.safetensors: a state_dict with the moving average of the weights, and the step that it belongs to.

    Raises:
        RunError: it cannot be written.

    """
    write_tensors(directory.average, model_state, {"step": step})


def newest_checkpoint(directory: RunDirectory, warn: Callable[[str], None]) -> Checkpoint | None:
    """Read the newest checkpoint that is not damaged; return None where none was saved yet.

    Args:
        directory: of the run.
        warn: is told, in one line, about each that is damaged and passed over.

    Raises:
        RunError: there are checkpoints, but all of them are damaged.

    """
    problems = []
    for path in reversed(directory.saved_checkpoints()):
        try:
            checkpoint = _read(path)
        except RunError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            warn(f"{problem}; going on from {path.name}")
        return checkpoint
    if problems:
        raise RunError(f"no checkpoint can be read: {'; '.join(problems)}")
    return None


def restore_checkpoint(
    checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer, *, average: bool = False
) -> None:
    """Fill a model and its optimizer, so that the run goes on exactly. The caller sets the generators, and the average.

    Args:
        checkpoint: as it was read.
        model: to be filled.
        optimizer: of its parameters.
        average: whether the checkpoint must hold an average of the weights, which is checked and left to the caller.

    Raises:
        RunError: it does not fit the model.

    """
    checks.check_fit(checkpoint.path, checkpoint.model, model.state_dict())
    best = checkpoint.state.best
    if best is not None and best.model:
        checks.check_fit(checkpoint.path, best.model, model.state_dict())
    parameters = dict(model.named_parameters())
    if average:
        checks.check_fit(checkpoint.path, checkpoint.average, parameters)
    names = list(parameters)
    checks.check_optimizer(checkpoint.path, checkpoint.optimizer, parameters, optimizer)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in checkpoint.optimizer.items():
        name, _, entry = key.rpartition(".")
        state.setdefault(names.index(name), {})[entry] = value
    model.load_state_dict(checkpoint.model)
    # The groups, with the learning rate and so on, come from the options. Only the state is restored.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the tensors of an optimizer's state as "PARAMETER.KEY"."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}.{key}"] = value
    return tensors


def _read(path: Path) -> Checkpoint:
    tensors, content = read_tensors(path)
    found = content.get("format")
    if found != FORMAT:
        newer = " (a newer version wrote it)" if isinstance(found, int) and found > FORMAT else ""
        raise RunError(f"{path}: format is {reprlib.repr(found)}, expected {FORMAT}{newer}")
    backend, config = content.get("backend"), content.get("config")
    if not isinstance(backend, str) or not isinstance(config, dict):
        raise RunError(f"{path}: is not a checkpoint: it has no backend or no config")
    losses = checks.losses(path, tensors.get(_LOSSES))
    state = RunState(
        step=whole_number(path, content, "step"),
        train_seconds=checks.seconds(path, content, "train_seconds"),
        backend=backend,
        metrics_bytes=whole_number(path, content, "metrics_bytes"),
        losses=losses,
        recent_losses=checks.losses(path, tensors.get(_RECENT_LOSSES, losses)),
        best=_read_best(path, content, _part(tensors, _BEST)),
    )
    checkpoint = Checkpoint(
        path=path,
        state=state,
        config=config,
        model=_part(tensors, _MODEL),
        optimizer=_part(tensors, _OPTIMIZER),
        generators=_part(tensors, _GENERATOR),
        average=_part(tensors, _AVERAGE),
    )
    checks.check_generators(path, checkpoint.generators)
    return checkpoint


def _read_best(path: Path, content: Mapping[str, Any], model: dict[str, Tensor]) -> BestSoFar | None:
    best = content.get("best")
    if best is None:
        return None
    if not isinstance(best, dict):
        raise RunError(f"{path}: best is {reprlib.repr(best)}, expected an object")
    return BestSoFar(
        step=whole_number(path, best, "step"),
        dev_loss=checks.number(path, best, "dev_loss"),
        evaluations_since=whole_number(path, best, "evaluations_since"),
        model=model,
    )


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)}
