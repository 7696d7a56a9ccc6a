"""The directory of a run: which files stand in it, made without ever overwriting another run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namegen_ext.training.errors import RunError
from namegen_ext.training.files import read_text, write_bytes, write_json

DEFAULT_PARENT = Path("runs")


@dataclass(frozen=True)
class RunDirectory:
    """The files of a run.

    config.json (everything needed to rebuild model, vocabulary and splits), words.txt (the words, where they
    do not come with the package), model.safetensors, optimizer.safetensors and state.json (what a resumed run
    needs besides), metrics.jsonl (one JSON object a line) and summary.json (once the run has ended).
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
            if any(path.iterdir()):
                kind = "a run" if (path / "config.json").exists() else "other files"
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
    def model(self) -> Path:
        """The model's parameters and buffers."""
        return self.path / "model.safetensors"

    @property
    def optimizer(self) -> Path:
        """The optimizer's tensors."""
        return self.path / "optimizer.safetensors"

    @property
    def state(self) -> Path:
        """How far the run has come."""
        return self.path / "state.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: losses, learning rates, evaluations."""
        return self.path / "metrics.jsonl"

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

    def drop_metrics_after(self, step: int) -> None:
        """Leave out of metrics.jsonl what stands past a step, and a last line that was cut short."""
        if not self.metrics.exists():
            return
        kept = []
        for line in read_text(self.metrics).splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and record.get("step", 0) <= step and "train_loss" not in record:
                kept.append(line + "\n")
        write_bytes(self.metrics, "".join(kept).encode())

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        write_json(self.summary, summary)
