"""The directory of a run: the files in it, and making one without overwriting another run."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namegen_ext.runs.files import is_file, sync, sync_directory, write_json
from namegen_ext.runs.run_errors import RunError

DEFAULT_PARENT = Path("runs")
PLOTS = "plots"
_SEARCH = "search"

_CHECKPOINT = re.compile(r"step-([0-9]{9,})\.safetensors")


@dataclass(frozen=True)
class RunDirectory:
    """The files of a run.

    config.json (everything needed to rebuild model, vocabulary and splits), words.txt (the words as they are learnt,
    where they do not come with the package), weights.txt (how often each counts, where they have counts),
    categories.txt (the category of each, where they have categories), model.safetensors, ema.safetensors (the average
    of its weights, where one is kept), checkpoints/ (what a resumed run needs), metrics.jsonl (one JSON object a line)
    and summary.json
    (once the run has ended).
    """

    path: Path

    @classmethod
    def create(cls, path: Path) -> RunDirectory:
        """Make the directory; one that exists must be empty.

        Raises:
            RunError: it holds something already, or cannot be made.

        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            sync_directory(path.parent)
            names = {entry.name for entry in path.iterdir()}
            # A run that was killed before it wrote its config.json leaves these files.
            begun = names if ".lock" in names else set()
            left = {
                name
                for name in begun
                if name in (".lock", "words.txt", "weights.txt", "categories.txt", _SEARCH)
                or name.endswith(".tmp")
            }
            if names - left:
                kind = "a run" if "config.json" in names else "other files"
                raise RunError(f"{path}: already holds {kind}; name a new directory")
        except FileExistsError:
            raise RunError(f"{path}: is a file, not a directory") from None
        except OSError as error:
            raise RunError(f"{path}: cannot be made: {error.strerror or error}") from None
        return cls(path)

    @classmethod
    def create_numbered(cls, stem: str, parent: Path = DEFAULT_PARENT) -> RunDirectory:
        """Make the first of parent/stem-1, parent/stem-2, ... that does not exist yet.

        Raises:
            RunError: it cannot be made.

        """
        number = 1
        while True:
            path = parent / f"{stem}-{number}"
            try:
                path.mkdir(parents=True)
                sync_directory(parent)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise RunError(f"{path}: cannot be made: {error.strerror or error}") from None
            else:
                return cls(path)

    @property
    def config(self) -> Path:
        """Everything needed to rebuild model, vocabulary and splits."""
        return self.path / "config.json"

    @property
    def words(self) -> Path:
        """The words, one a line."""
        return self.path / "words.txt"

    @property
    def weights(self) -> Path:
        """How often each word counts: one number a line, in the order of the words."""
        return self.path / "weights.txt"

    @property
    def categories(self) -> Path:
        """The category of each word, in the order of the words, where they have categories."""
        return self.path / "categories.txt"

    @property
    def model(self) -> Path:
        """The model's parameters and buffers."""
        return self.path / "model.safetensors"

    @property
    def average(self) -> Path:
        """The moving average of the model's parameters, with its buffers."""
        return self.path / "ema.safetensors"

    @property
    def checkpoints(self) -> Path:
        """The directory of the checkpoints."""
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """Return the path of the checkpoint after so many steps."""
        return self.checkpoints / f"step-{step:09}.safetensors"

    def saved_checkpoints(self) -> list[Path]:
        """Return the paths of the checkpoints, the newest last.

        Raises:
            RunError: their directory cannot be read.

        """
        try:
            names = os.listdir(self.checkpoints)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(f"{self.checkpoints}: cannot be read: {error.strerror or error}") from None
        found = {int(match[1]): name for name in names if (match := _CHECKPOINT.fullmatch(name))}
        return [self.checkpoints / found[step] for step in sorted(found)]

    def set_aside_checkpoints_after(self, path: Path) -> None:
        """Rename the checkpoints newer than the one that a run is resumed from, so that none is taken for its newest.

        Raises:
            RunError: they cannot be read or renamed.

        """
        saved = self.saved_checkpoints()
        for newer in saved[saved.index(path) + 1 :]:
            try:
                newer.rename(newer.with_suffix(".damaged"))
            except OSError as error:
                raise RunError(f"{newer}: cannot be renamed: {error.strerror or error}") from None

    def make_checkpoints(self) -> None:
        """Make the directory of the checkpoints.

        Raises:
            RunError: it cannot be made.

        """
        try:
            if not self.checkpoints.is_dir():
                self.checkpoints.mkdir(exist_ok=True)
                sync_directory(self.path)
        except OSError as error:
            raise RunError(f"{self.checkpoints}: cannot be made: {error.strerror or error}") from None

    @property
    def search(self) -> Path:
        """The networks that a search for a mixture has trained so far; there is none once it has ended."""
        return self.path / _SEARCH

    @property
    def metrics(self) -> Path:
        """One JSON object a line: losses, learning rates, evaluations."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The directory of TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def plots(self) -> Path:
        """The directory of the pictures that `namegen plot` draws."""
        return self.path / PLOTS

    @property
    def summary(self) -> Path:
        """The results, once the run has ended."""
        return self.path / "summary.json"

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl.

        Raises:
            RunError: the file cannot be written.

        """
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, allow_nan=False) + "\n")
        except OSError as error:
            raise RunError(f"{self.metrics}: cannot be written: {error.strerror or error}") from None

    def sync_metrics(self) -> int:
        """Wait until metrics.jsonl is on the disk, and return its length in bytes.

        Raises:
            RunError: it cannot be.

        """
        try:
            with self.metrics.open("ab") as file:
                sync(file.fileno())
                return file.tell()
        except OSError as error:
            raise RunError(f"{self.metrics}: cannot be written: {error.strerror or error}") from None

    def cut_metrics(self, length: int) -> bool:
        """Cut metrics.jsonl to a length in bytes; return whether it had at least that length.

        Raises:
            RunError: it cannot be changed.

        """
        if not is_file(self.metrics):
            return length == 0
        try:
            with self.metrics.open("ab") as file:
                complete = file.tell() >= length
                if complete:
                    file.truncate(length)
            return complete
        except OSError as error:
            raise RunError(f"{self.metrics}: cannot be written: {error.strerror or error}") from None

    def remove_summary(self) -> None:
        """Remove summary.json, because the run goes on.

        Raises:
            RunError: it cannot be removed.

        """
        try:
            self.summary.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"{self.summary}: cannot be removed: {error.strerror or error}") from None

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        write_json(self.summary, summary)
