"""Running a row, and comparing its losses with the published ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from namegen_ext.data import WordList
from namegen_ext.fitting.mixture_run import fit_mixture
from namegen_ext.models.specs import MODELS
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.reproduction.published_rows import Expectation, Row
from namegen_ext.runs.config import words_sha256
from namegen_ext.training import RECIPES, Trainer, TrainingDivergedError, TrainResult
from namegen_ext.training.progress import Silent

OK, OUT, DIVERGED = "ok", "out of tolerance", "diverged"


@dataclass(frozen=True)
class Check:
    """A published figure and the measured one.

    Attributes:
        expectation: the published figure and its range.
        measured: the measured figure; None where the training diverged.

    """

    expectation: Expectation
    measured: float | None

    @property
    def ok(self) -> bool:
        """Whether the measured figure is near enough."""
        return self.measured is not None and self.expectation.low <= self.measured <= self.expectation.high


@dataclass(frozen=True)
class Outcome:
    """The outcome of a row.

    Attributes:
        row: the row.
        backend: "stock", "fused-layers" or "fused-step".
        steps: number of steps.
        parameters: number of parameters.
        losses: the losses in nats per character, by metric; None for a metric that does not apply.
        checks: the published figures beside the measured ones.
        verdict: "ok", "out of tolerance" or "diverged".
        seconds: how long the whole row took, evaluation included.
        train_seconds: how long its training steps took.
        options: the options that the row was trained with, as config.json writes them.

    """

    row: Row
    backend: str
    steps: int
    parameters: int
    losses: dict[str, float | None]
    checks: tuple[Check, ...]
    verdict: str
    seconds: float
    train_seconds: float
    options: dict[str, Any] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether everything that was published about the row was met."""
        return self.verdict == OK


class _FirstLoss(Silent):
    """A reporter that keeps the loss of the first step. The training loop reports that step by itself."""

    def __init__(self) -> None:
        self.loss: float | None = None

    def progress(self, step: int, loss: float) -> None:
        if step == 1:
            self.loss = loss


def run_row(row: Row, words: Sequence[str], *, fused: str | None = None, seed: int | None = None) -> Outcome:
    """Train a row's recipe, or count where it is a counting model, and compare the losses with the published ones.

    Args:
        row: the row to run.
        words: the word list.
        fused: None for the stock layers, or "auto", "layers" or "step".
        seed: the seed of the initial weights and the minibatches; None for that of the recipe.

    Raises:
        DataError: the words cannot be trained on.
        BackendError: the backend is not available for this model or machine.

    """
    began = time.perf_counter()
    overrides = {} if seed is None else {"seed": seed}
    options = RECIPES[row.recipe].train_options(overrides)
    if MODELS[options.model].found:
        return _run_search(row, words, options, began)
    # A counting model has nothing to fuse and nothing to train.
    first = _FirstLoss()
    kept: dict[str, Any] = {"log_every": options.steps} if _needs_all_steps(row) else {}
    trainer = Trainer(
        words, options, fused=fused if options.steps else None, reporter=first, eval_every=0, **kept
    )
    result: TrainResult | None = None
    try:
        result = trainer.run()
    except TrainingDivergedError:
        losses: dict[str, float | None] = {}
    else:
        losses = _losses(result, row, first.loss)
        if _needs_all_steps(row):
            steps = trainer.last_losses.double()  # (steps,)
            losses |= {"last_step": float(steps[-1]), "mean_step": float(steps.mean())}
    checks = tuple(Check(expected, losses.get(expected.metric)) for expected in row.expectations)
    return Outcome(
        row=row,
        backend=trainer.backend.name,
        steps=options.steps,
        parameters=trainer.num_parameters,
        losses=losses,
        checks=checks,
        verdict=_verdict(result, checks, row, trainer.num_parameters),
        seconds=time.perf_counter() - began,
        train_seconds=0.0 if result is None else result.train_seconds,
        options=options.to_json(),
    )


def _run_search(row: Row, words: Sequence[str], options: TrainOptions, began: float) -> Outcome:
    """Find the best model for the words, with the dev and test words kept out of it."""
    run = fit_mixture(
        WordList("names", list(words), "given to a row", words_sha256(words), None, ()),
        options,
        recipe=row.recipe,
        settings=RunSettings(threads=torch.get_num_threads()),
    )
    search = run.search
    losses: dict[str, float | None] = {"initial": None, "seen_dev": None, "objective": None, **search.losses}
    checks = tuple(Check(expected, losses.get(expected.metric)) for expected in row.expectations)
    return Outcome(
        row=row,
        backend="fused-step",
        steps=search.steps,
        parameters=search.model.num_values,
        losses=losses,
        checks=checks,
        verdict=OK if all(check.ok for check in checks) else OUT,
        seconds=time.perf_counter() - began,
        train_seconds=search.seconds,
        options=run.config.options.to_json(),
    )


def _needs_all_steps(row: Row) -> bool:
    return any(expected.metric in ("last_step", "mean_step") for expected in row.expectations)


def _verdict(result: TrainResult | None, checks: Sequence[Check], row: Row, parameters: int) -> str:
    if result is None:
        return DIVERGED
    as_large = row.parameters is None or row.parameters == parameters
    return OK if as_large and all(check.ok for check in checks) else OUT


def _losses(result: TrainResult, row: Row, initial: float | None) -> dict[str, float | None]:
    return {
        "initial": initial,
        "train": result.train_loss,
        "dev": result.dev_loss,
        "seen_dev": _seen_dev_loss(result),
        "unseen_dev": result.unseen_dev_loss,
        "test": result.test_loss,
        "objective": _objective(result, row.regulariser),
    }


def _seen_dev_loss(result: TrainResult) -> float | None:
    """Return the loss over the dev names that are also among the training names."""
    if result.dev_loss is None or result.unseen_dev_loss is None:
        return None
    total, unseen = (_num_characters(part[1]) for part in (result.corpus.dev, result.corpus.unseen_dev))
    if total == unseen:
        return None
    return (result.dev_loss * total - result.unseen_dev_loss * unseen) / (total - unseen)


def _num_characters(targets: torch.Tensor) -> int:
    return int((targets >= 0).sum())


def _objective(result: TrainResult, regulariser: float) -> float | None:
    if result.train_loss is None or regulariser == 0.0:
        return None
    (weight,) = result.model.parameters()  # (V, V)
    return result.train_loss + regulariser * float(weight.detach().double().square().mean())
