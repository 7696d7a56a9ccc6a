"""Reads a run, finished or interrupted: the model, its vocabulary and its words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from namegen_ext.data import Splits, Vocabulary, split_words
from namegen_ext.models import build_model
from namegen_ext.runs.config import RunConfig, read_config
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.saved_model import SavedModel, read_saved_model


@dataclass(frozen=True)
class Run:
    """A trained model and where it came from.

    Attributes:
        path: the run directory.
        model: the trained model, of stock layers, in evaluation mode.
        vocabulary: its symbols.
        config: what config.json holds.
        step: number of steps it was trained for.

    Example:
        >>> import tempfile, namegen_ext
        >>> names = ["anna", "ben", "cleo", "dan", "eva", "finn", "gail"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     namegen_ext.fit(names, steps=2).save(folder)
        ...     run = load_run(folder)
        ...     run.step, len(run.words), type(run.model).__name__
        (2, 7, 'MLP')

    """

    path: Path
    model: nn.Module
    vocabulary: Vocabulary
    config: RunConfig
    step: int

    @property
    def words(self) -> list[str]:
        """The words of all splits, read at first use.

        Raises:
            RunError: they are missing, or are not those that the run was made with.

        """
        return self._weighted_words[0]

    @property
    def weights(self) -> list[float] | None:
        """How often each word counts, read at first use; None where each counts once.

        Raises:
            RunError: they are missing, or are not those that the run was made with.

        """
        return self._weighted_words[1]

    @cached_property
    def _weighted_words(self) -> tuple[list[str], list[float] | None]:
        return self.config.load_weighted_words(RunDirectory(self.path))

    @cached_property
    def splits(self) -> Splits:
        """The words of each split, made anew at first use."""
        options = self.config.options
        return split_words(self.words, options.split_seed, options.split, self.weights)


def load_run(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Run:
    """Load a run directory; nothing in it is executed.

    Args:
        path: the directory that training wrote.
        device: where the model is put.

    Raises:
        RunError: it is not a run directory, or a file in it is missing or damaged; one line that names it.

    Example:
        >>> load_run("no-such-directory")
        Traceback (most recent call last):
        namegen_ext.runs.run_errors.RunError: no-such-directory: there is no such directory

    """
    directory = RunDirectory(Path(path))
    config = read_config(directory)
    saved = read_saved_model(directory, config)
    model = built_model(config, saved)
    return Run(directory.path, model.to(device), config.vocabulary, config, saved.step)


def built_model(config: RunConfig, saved: SavedModel) -> nn.Module:
    """Build the model of a run that was read without torch: of stock layers, in evaluation mode, on the CPU."""
    model = build_model(config.options.model, config.model_config, torch.Generator())
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in saved.arrays.items()})
    return model.eval()
