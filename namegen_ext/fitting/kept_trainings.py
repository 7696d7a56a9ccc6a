"""Networks that a search has trained, kept in files until it ends, so that an interrupted one need not begin anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from torch import nn

from namegen_ext._version import __version__
from namegen_ext.fitting.held_out import Examples
from namegen_ext.runs.run_errors import RunError
from namegen_ext.runs.tensor_file import read_tensors, write_tensors


class KeptTrainings:
    """A folder of trained networks.

    A file's name is a hash of all that a training depends on. So another list, seed or number of steps never takes a
    network that is not its own, and a search that goes on ends with the same model.

    Args:
        folder: where they are kept; it is made with the first. None keeps nothing.

    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.taken = 0  # trainings that were not done again

    def take(self, model: nn.Module, key: str) -> float | None:
        """Load the network of a key into ``model``; return the seconds that its training took, None without one."""
        if self.folder is None:
            return None
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            tensors, metadata = read_tensors(path)
            model.load_state_dict(tensors)
        except (RunError, RuntimeError):  # damaged: it is trained again
            return None
        self.taken += 1
        return float(metadata["seconds"])

    def keep(self, model: nn.Module, key: str, seconds: float) -> None:
        """Write a trained network.

        Raises:
            RunError: the file cannot be written.

        """
        if self.folder is None:
            return
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be made: {error.strerror or error}") from None
        write_tensors(self._path(key), model.state_dict(), {"seconds": seconds})

    def forget(self) -> None:
        """Remove the folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}.safetensors"


def training_key(examples: Examples, **others: Any) -> str:
    """Return a hash of the names with their weights, of this version of the package, and of what else is given."""
    weights = None if examples.weights is None else examples.weights.tolist()
    content = json.dumps([__version__, examples.words, weights, others], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
