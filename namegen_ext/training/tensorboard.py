"""Writes the metrics of a run, and names at each evaluation, for TensorBoard."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from namegen_ext.runs.run_errors import RunError
from namegen_ext.training.training_errors import BackendError


def check_tensorboard() -> None:
    """Make sure that TensorBoard is installed.

    Raises:
        BackendError: it is not; the message says how to get it.

    """
    if importlib.util.find_spec("tensorboard") is None:
        raise BackendError(
            "TensorBoard is not installed: pip install tensorboard, or the extra [tensorboard]"
        )


class TensorBoardLog:
    """Writes event files.

    Args:
        directory: where they go.
        first_step: events of this step and later ones, which an earlier process wrote, are removed.

    Raises:
        RunError: they cannot be written.

    """

    def __init__(self, directory: Path, first_step: int) -> None:
        # Imported here, because it takes a second.
        from torch.utils.tensorboard import SummaryWriter

        self._directory = directory
        with self._told():
            self._writer = SummaryWriter(str(directory), purge_step=first_step)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write the numbers of a line of metrics.jsonl. Each number of an object becomes a scalar of its own.

        Raises:
            RunError: they, or what was recorded before, cannot be written.

        """
        step = record["step"]
        for name, value in record.items():
            values = value.items() if isinstance(value, Mapping) else [("", value)]
            for part, number in values:
                if name != "step" and number is not None:
                    with self._told():
                        self._writer.add_scalar(f"{name}/{part}" if part else name, number, step)

    def samples(self, step: int, names: Sequence[str]) -> None:
        """Write names that were drawn after so many steps.

        Raises:
            RunError: they, or what was recorded before, cannot be written.

        """
        with self._told():
            self._writer.add_text("samples", "  \n".join(names), step)  # two spaces end a line in Markdown

    def flush(self) -> None:
        """Wait until everything is on the disk: what a checkpoint counts as done is not written again.

        Raises:
            RunError: it cannot be.

        """
        with self._told():
            self._writer.flush()

    def close(self) -> None:
        """Close the files, with everything on the disk.

        Raises:
            RunError: it cannot be.

        """
        with self._told():
            self._writer.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(f"{self._directory}: cannot be written: {error.strerror or error}") from None
