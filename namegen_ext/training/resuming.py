"""Goes on with a saved run: finds the checkpoint, and tells whether it is of the same run, run in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from namegen_ext.runs.checkpoint import Checkpoint, newest_checkpoint
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import is_file, read_json_object, remove_leftovers
from namegen_ext.runs.run_errors import RunError
from namegen_ext.training.backends import FUSED_STEP, Backend
from namegen_ext.training.process_group import ProcessGroup


def checkpoint_to_resume(
    directory: RunDirectory, group: ProcessGroup, warn: Callable[[str], None]
) -> Checkpoint | None:
    """Return the checkpoint that a run goes on from; None where the run was not saved yet.

    Raises:
        RunError: the files are damaged, or the checkpoint belongs to another run.

    """
    if group.is_main:
        remove_leftovers(directory.path)
        remove_leftovers(directory.checkpoints)
    checkpoint = newest_checkpoint(directory, warn)
    if checkpoint is not None and _identity(checkpoint.config) != _identity(config_of(directory)):
        raise RunError(f"{checkpoint.path}: is of another run than {directory.config}")
    return checkpoint


def drop_what_follows(
    directory: RunDirectory,
    checkpoint: Checkpoint | None,
    group: ProcessGroup,
    warn: Callable[[str], None],
) -> None:
    """Take away what the run wrote after a checkpoint: later checkpoints are set aside, later metrics cut off."""
    if not group.is_main:
        return
    if checkpoint is not None:
        directory.set_aside_checkpoints_after(checkpoint.path)
    if not directory.cut_metrics(0 if checkpoint is None else checkpoint.state.metrics_bytes):
        warn(f"{directory.metrics}: lines are missing: something else than training changed it")


def way_of(backend: Backend, device: torch.device, group: ProcessGroup) -> str:
    """Describe all that the rounding of a run depends on. That of the step engine does not depend on threads."""
    way = f"{backend.name} on {device.type}"
    if group.size > 1:
        way += f" in {group.size} processes"
    if backend.name != FUSED_STEP:
        way += f" with {torch.get_num_threads()} thread{'s' if torch.get_num_threads() != 1 else ''}"
    return way


def config_of(directory: RunDirectory) -> dict[str, Any]:
    """Return what config.json holds; nothing where the directory has none."""
    return read_json_object(directory.config) if is_file(directory.config) else {}


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what cannot change in a run. The number of steps can, and so can how and where they are run."""
    training = config.get("training")
    if isinstance(training, dict):
        training = {name: value for name, value in training.items() if name != "steps"}
    return {"training": training, **{name: config.get(name) for name in ("model", "vocabulary", "data")}}
