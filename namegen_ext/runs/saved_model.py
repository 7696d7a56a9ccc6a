"""A model as it stands in a run directory: arrays, checked against the configuration. Torch is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namegen_ext.models.layouts import ModelLayout, model_layout
from namegen_ext.runs.config import RunConfig
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import is_file
from namegen_ext.runs.model_checks import check_descriptions, whole_number
from namegen_ext.runs.run_errors import RunError, one_line
from namegen_ext.runs.tensor_bytes import read_tensor_file


@dataclass(frozen=True)
class SavedModel:
    """A trained model that was read, but not built.

    Attributes:
        layout: how its layers follow on each other.
        arrays: its parameters and buffers, by their names in the state_dict.
        step: number of steps it was trained for.

    """

    layout: ModelLayout
    arrays: dict[str, Any]
    step: int

    @property
    def num_values(self) -> int:
        """How many parameters it has, or counts; see :mod:`namegen_ext.models.number_of_values`."""
        return self.layout.num_values(self.arrays)


def read_saved_model(directory: RunDirectory, config: RunConfig) -> SavedModel:
    """Read model.safetensors.

    Args:
        directory: of the run.
        config: what its config.json holds.

    Raises:
        RunError: the file is missing or damaged, or does not fit the configuration; one line that names it.

    """
    try:
        layout = model_layout(config.options.model, config.model_config)
    except ValueError as error:
        raise RunError(f"{directory.config}: the model cannot be built: {one_line(error)}") from None
    check_is_trained(directory)
    file = read_tensor_file(directory.model)
    check_descriptions(
        directory.model,
        {name: str(tensor) for name, tensor in file.tensors.items()},
        {name: f"{dtype} {shape}" for name, (dtype, shape) in layout.state().items()},
    )
    arrays = {name: tensor.array() for name, tensor in file.tensors.items()}
    try:
        layout.check(arrays)
    except ValueError as error:
        raise RunError(f"{directory.model}: {one_line(error)}") from None
    return SavedModel(
        layout,
        arrays,
        whole_number(directory.model, file.metadata, "step"),
    )


def check_is_trained(directory: RunDirectory) -> None:
    """Make sure that a run directory holds a model.

    Raises:
        RunError: it does not yet.

    """
    if not is_file(directory.model):
        raise RunError(f"{directory.path}: holds no trained model yet (no model.safetensors)")
