"""The errors of a training run. Each has a message of one line."""

from __future__ import annotations


class BackendError(ValueError):
    """The backend or device that was asked for cannot be had; the message says why."""


class ProcessLostError(RuntimeError):
    """Another process of a data-parallel run has ended, so that this one cannot go on."""


class TrainingDivergedError(RuntimeError):
    """The loss or a parameter is no longer finite.

    Attributes:
        step: the step, counted from 1, at which that was seen.

    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step
