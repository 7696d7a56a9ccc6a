"""Saving and restoring a model and its optimizer: safetensors and JSON, nothing that runs code when read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from namegen_ext.training.errors import RunError
from namegen_ext.training.files import read_json_object, write_bytes, write_json
from namegen_ext.training.run_directory import RunDirectory


@dataclass(frozen=True)
class RunState:
    """How far a run has come.

    Attributes:
        step: number of steps done.
        train_seconds: time spent in them.
        backend: what they were run by.

    """

    step: int
    train_seconds: float
    backend: str


def save_checkpoint(
    directory: RunDirectory, model: nn.Module, optimizer: torch.optim.Optimizer, state: RunState
) -> None:
    """Write model, optimizer and state; each file is replaced whole and carries the step it belongs to.

    Raises:
        RunError: a file cannot be written.

    """
    _write_tensors(directory.optimizer, _optimizer_tensors(model, optimizer), state.step)
    _write_tensors(directory.model, model.state_dict(), state.step)
    write_json(directory.state, asdict(state))


def load_model_state(directory: RunDirectory, model: nn.Module) -> int:
    """Fill a model with the saved parameters and buffers; return the step they belong to.

    Raises:
        RunError: the file is missing or damaged, or does not fit the model.

    """
    tensors, step = _read_tensors(directory.model)
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors or name not in expected or tensors[name].shape != expected[name].shape:
            found = tuple(tensors[name].shape) if name in tensors else "nothing"
            wanted = tuple(expected[name].shape) if name in expected else "nothing"
            raise RunError(f"{directory.model}: {name}: got {found}, expected {wanted} by config.json")
    model.load_state_dict(tensors)
    return step


def load_checkpoint(directory: RunDirectory, model: nn.Module, optimizer: torch.optim.Optimizer) -> RunState:
    """Fill a model and its optimizer with what was saved, so that the run goes on exactly.

    Raises:
        RunError: a file is missing or damaged, does not fit, or the files are of different steps.

    """
    state = read_state(directory)
    model_step = load_model_state(directory, model)
    tensors, optimizer_step = _read_tensors(directory.optimizer)
    if not state.step == model_step == optimizer_step:
        raise RunError(
            f"{directory.path}: cannot be resumed: state.json is of step {state.step}, model.safetensors of"
            f" {model_step}, optimizer.safetensors of {optimizer_step} (saving was cut short)"
        )
    _fill_optimizer(directory.optimizer, model, optimizer, tensors)
    return state


def read_state(directory: RunDirectory) -> RunState:
    """Read state.json.

    Raises:
        RunError: it is missing or damaged.

    """
    content = read_json_object(directory.state)
    step, seconds, backend = (content.get(key) for key in ("step", "train_seconds", "backend"))
    if not (isinstance(step, int) and isinstance(seconds, int | float) and isinstance(backend, str)):
        raise RunError(f"{directory.state}: must hold step, train_seconds and backend, but holds {content}")
    return RunState(step, float(seconds), backend)


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}.{key}"] = value
    return tensors


def _fill_optimizer(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    names = [name for name, _ in model.named_parameters()]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        parameter_name, _, entry = key.rpartition(".")
        if parameter_name not in names:
            raise RunError(f"{path}: {key}: the model has no parameter {parameter_name!r}")
        state.setdefault(names.index(parameter_name), {})[entry] = value
    # The groups (learning rate and so on) come from the options; only the state is restored.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _write_tensors(path: Path, tensors: dict[str, Tensor], step: int) -> None:
    # Copies, as safetensors writes no two names for the same memory, which tied weights have.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    write_bytes(path, safetensors.torch.save(plain, metadata={"step": str(step)}))


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], int]:
    if not path.is_file():
        raise RunError(f"{path}: there is no such file (nothing was saved yet)")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        return tensors, int(metadata["step"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunError(f"{path}: is not a file that training saved: {error}") from None
