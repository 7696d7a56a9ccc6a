"""A training run: from the words to a trained model and its losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.data.categories import num_categories
from namegen_ext.models import COUNTS, CountModel, NGram, build_model
from namegen_ext.models.examples import Windows
from namegen_ext.models.microgpt import fill_as_microgpt
from namegen_ext.models.number_of_values import number_of_values
from namegen_ext.nn.synchronized_batch_norm import synchronize_batch_norm
from namegen_ext.options.checkpoint_interval import DEFAULT_INTERVAL, CheckpointInterval
from namegen_ext.options.choices import MICROGPT, REPLACEMENT, SHUFFLED
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.schedules import Schedule
from namegen_ext.options.train_options import OptionError, TrainOptions
from namegen_ext.runs.checkpoint import (
    RunState,
    optimizer_tensors,
    restore_checkpoint,
    save_average,
    save_checkpoint,
    save_model,
)
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.generator_states import own_generators
from namegen_ext.runs.metrics import UPDATE_METRIC
from namegen_ext.sampling.category_models import sample_of_all
from namegen_ext.training.backends import build_steps, choose_backend
from namegen_ext.training.best_model import BestModel
from namegen_ext.training.corpus import Corpus
from namegen_ext.training.feasibility import check_feasible
from namegen_ext.training.loop import TrainingLoop
from namegen_ext.training.minibatches import EpochIndices, MinibatchIndices, WholeSetIndices
from namegen_ext.training.process_group import SINGLE, ProcessGroup
from namegen_ext.training.progress import Reporter, Silent
from namegen_ext.training.resuming import checkpoint_to_resume, config_of, drop_what_follows, way_of
from namegen_ext.training.tensorboard import TensorBoardLog
from namegen_ext.training.torch_optimizers import build_optimizer
from namegen_ext.training.train_result import TrainResult
from namegen_ext.training.training_errors import TrainingDivergedError
from namegen_ext.training.update_ratios import UpdateRecorder
from namegen_ext.training.weight_average import WeightAverage

# What an optimizer is made of for a model of counts: torch takes none of no parameters.
_NOTHING = nn.Parameter(torch.empty(0))

_SHOWN_SAMPLES = 10  # names at each evaluation, for TensorBoard


class Trainer:
    """Trains a model on words, and keeps the run in a directory where it is given one.

    Args:
        words: the whole word list.
        options: what to train and how.
        weights: how often each word counts, in minibatches and in counts; None for once each.
        fused: None for stock layers, or "auto", "layers", "step".
        device: where to train.
        reporter: shows the progress.
        log_every: a line in the metrics every so many steps.
        eval_every: evaluate on dev, and save, every so many steps; with 0 only at the end. Before the first time the
            model is also evaluated after a half, a quarter and so on of these steps, down to 100.
        keep: "best" to end with the model that had the least dev loss at an evaluation, "last" for that of the last
            step.
        patience: end the run once so many evaluations in a row brought no lower dev loss; 0 for never.
        checkpoint_every: how often the run is saved besides.
        should_stop: asked about ten times a second; True ends the run early and cleanly.
        record_updates: whether each line in the metrics also tells how large the last step's updates were
            against the parameters.
        tensorboard: whether the metrics, and a few names at each evaluation, are written for TensorBoard too.
        group: this process among those that train together; only the main one writes, evaluates and reports.

    Raises:
        DataError: the words are not fit to train on.
        OptionError: the block size does not suit the words.
        MemoryError: the machine has too little for a model, or batches, of this size.
        BackendError: the backend cannot be had.

    Example:
        >>> names = ["anna", "ben", "cleo", "dan", "eva", "finn", "gail"]
        >>> trainer = Trainer(names, TrainOptions(steps=20, hidden_size=16), fused="step", device="cpu")
        >>> trainer.num_parameters, trainer.backend.name
        (879, 'fused-step')

    """

    def __init__(
        self,
        words: Sequence[str],
        options: TrainOptions,
        *,
        weights: Sequence[float] | None = None,
        fused: str | None = None,
        device: torch.device | str = "cpu",
        reporter: Reporter | None = None,
        log_every: int = RunSettings.log_every,
        eval_every: int = RunSettings.eval_every,
        keep: str = RunSettings.keep,
        patience: int = RunSettings.patience,
        checkpoint_every: CheckpointInterval = DEFAULT_INTERVAL,
        should_stop: Callable[[], bool] = lambda: False,
        record_updates: bool = False,
        tensorboard: bool = False,
        group: ProcessGroup = SINGLE,
    ) -> None:
        self.options = options
        self.directory: RunDirectory | None = None
        self.group = group
        self.reporter = reporter if reporter is not None and group.is_main else Silent()
        self.log_every = log_every
        self.eval_every = eval_every
        self.patience = patience
        self._best = BestModel(keeps_copies=keep == "best")
        self.checkpoint_every = checkpoint_every
        self.should_stop = should_stop
        self.record_updates = record_updates
        self.tensorboard = tensorboard
        self._updates: UpdateRecorder | None = None
        self._board: TensorBoardLog | None = None
        if weights is not None and options.full_batch:
            raise OptionError(
                "full_batch", "got True, expected False with counts, by which minibatches are drawn"
            )
        if weights is not None and options.order != REPLACEMENT:
            raise OptionError(
                "order",
                f"got {options.order!r}, expected {REPLACEMENT} with counts, by which minibatches are drawn",
            )
        check_feasible(words, options, device, fused=fused not in (None, "off"))
        self.corpus = Corpus.build(
            words,
            block_size=options.block_size,
            split_seed=options.split_seed,
            device=device,
            model=options.model,
            split=options.split,
            weights=weights,
        )
        generator = torch.Generator().manual_seed(options.seed)
        config = options.model_config(len(self.corpus.vocabulary), num_categories(self.corpus.vocabulary))
        self.model = build_model(options.model, config, generator).to(device)
        tokens, targets = self.corpus.train
        often = self.corpus.train_weights
        if isinstance(self.model, CountModel):
            self.model.count(tokens, targets, often)
        elif options.init == COUNTS:
            assert isinstance(self.model, NGram)  # the options have been checked
            self.model.set_from_windows(
                tokens,
                targets,
                estimator=options.estimator,
                smoothing=options.smoothing,
                weights=None if often is None else often.to(targets.device),
            )
        elif options.init == MICROGPT:
            fill_as_microgpt(self.model, options.seed, len(words))
        if group.size > 1:
            self._check_shared()
            synchronize_batch_norm(self.model)
        self.optimizer = build_optimizer(
            options.optimizer,
            list(self.model.parameters()) or [_NOTHING],
            learning_rate=options.learning_rate,
            momentum=options.momentum,
            nesterov=options.nesterov,
            weight_decay=options.weight_decay,
            beta1=options.beta1,
            beta2=options.beta2,
        )
        self._average = WeightAverage(self.model, options.ema) if options.ema > 0 else None
        # There is nothing to fuse in a table of counts, and nothing to train.
        self.backend = choose_backend(fused if options.steps > 0 else None, self.model, self.optimizer, group)
        self._way = way_of(self.backend, torch.device(device), group)
        self._state = RunState(0, 0.0, self._way)
        self._generators: dict[str, Tensor] = {}
        self._config: dict[str, Any] = {}

    @property
    def last_losses(self) -> Tensor:
        """The losses of the last ``log_every`` steps, each taken before its step: float32 (n,), in nats."""
        return self._loop.recent_losses

    @property
    def num_parameters(self) -> int:
        """Number of trainable values, or of counts."""
        return number_of_values(self.model)

    def _check_shared(self) -> None:
        options = self.options
        if options.full_batch and len(self.corpus.train[1]) < self.group.size:
            came = f"{len(self.corpus.train[1])} examples"
            raise OptionError("full_batch", f"got {came}, expected one at least for each process")
        if options.batch_size < self.group.size and not options.full_batch:
            expected = f"at least {self.group.size}, an example for each process"
            raise OptionError("batch_size", f"got {options.batch_size}, expected {expected}")
        if options.dropout > 0:
            expected = "0 with more than one process, as each would drop others than one process does"
            raise OptionError("dropout", f"got {options.dropout:g}, expected {expected}")

    def restore(self, directory: RunDirectory, warn: Callable[[str], None] = lambda line: None) -> int:
        """Go on with the run that was saved in a directory; return the number of steps done.

        A run that was stopped before it was first saved begins at its first step.

        Args:
            directory: of the run.
            warn: is called with one line for each damaged file that is passed over, and where the backend, the device,
                or the number of processes or threads has changed.

        Raises:
            RunError: the files are damaged, or belong to another run.

        """
        checkpoint = checkpoint_to_resume(directory, self.group, warn)
        if checkpoint is None:
            drop_what_follows(directory, None, self.group, warn)
            return 0
        restore_checkpoint(checkpoint, self.model, self.optimizer, average=self._average is not None)
        saved = checkpoint.state
        if self._average is not None:
            self._average.restore(checkpoint.average, saved.step)
        if saved.backend != self._way:
            warn(
                f"the first {saved.step:,} steps were run by {saved.backend}, the rest will be by"
                f" {self._way}: the results will differ by rounding from those of either alone"
            )
        drop_what_follows(directory, checkpoint, self.group, warn)
        best = saved.best
        if best is not None and self._best.keeps_copies and not best.model:
            warn(f"the best model so far, that of step {best.step:,}, was not kept: only later ones can be")
            best = None
        self._best.found = best
        self._state = replace(saved, backend=self._way)
        self._generators = checkpoint.generators
        return saved.step

    def run(self, directory: RunDirectory | None = None) -> TrainResult:
        """Train to the last step, or until ``should_stop``; save, and evaluate on every split.

        Args:
            directory: where checkpoints and metrics are written; None keeps nothing.

        Raises:
            TrainingDivergedError: a loss or a parameter is no longer finite; earlier checkpoints stay.
            RunError: the run directory cannot be written.
            ProcessLostError: another process of the group has ended.

        """
        self.directory = directory if self.group.is_main else None
        with ExitStack() as stack:
            if self.directory is not None:
                self._config = config_of(self.directory)
                if self.tensorboard:
                    self._board = TensorBoardLog(self.directory.tensorboard, self._state.step + 1)
                    stack.callback(self._board.close)
            return self._train()

    def _train(self) -> TrainResult:
        options = self.options
        tokens, targets = self.corpus.train
        self._steps = build_steps(
            self.backend,
            self.model,
            self.optimizer,
            tokens,
            targets,
            self.group,
            clip_grad_norm=options.clip_grad_norm,
            average=self._average,
            full_batch=options.full_batch,
        )
        runner = self._steps
        if self.record_updates:
            runner = self._updates = UpdateRecorder(runner, self.model)
        self._loop = TrainingLoop(
            runner,
            self._indices(len(targets)),
            Schedule(
                options.schedule,
                options.learning_rate,
                options.final_learning_rate,
                options.steps,
                options.switch_at,
                options.warmup,
            ),
            self,
            log_every=self.log_every,
            log_at_once=self.record_updates,
            eval_every=self.eval_every,
            checkpoint_every=self.checkpoint_every,
            should_stop=self.should_stop,
            agree=self.group.agree,
        )
        self.model.train()
        finished = True
        if options.steps > 0:  # with 0 steps the model was set from counts
            with self.reporter, own_generators(options.seed, self._generators):
                self.reporter.begin(self._state.step, options.steps)
                try:
                    finished = self._loop.run(
                        self._state.step,
                        self._state.train_seconds,
                        self._state.losses,
                        self._state.recent_losses,
                        enough=self._is_out_of_patience(),
                    )
                except OSError:  # the terminal is gone, but the steps that were done are kept
                    self.save(self._loop.step, self._loop.seconds)
                    raise
                self.save(self._loop.step, self._loop.seconds)
        else:
            self.save(0, 0.0)
        return self._result(interrupted=not finished)

    def _indices(self, num_examples: int) -> MinibatchIndices | EpochIndices | WholeSetIndices:
        options = self.options
        if options.full_batch:
            return WholeSetIndices(num_examples)
        if options.order != REPLACEMENT:
            shuffled = options.order == SHUFFLED
            return EpochIndices(options.seed, num_examples, options.batch_size, shuffled=shuffled)
        return MinibatchIndices(options.seed, num_examples, options.batch_size, self.corpus.train_weights)

    # These are the methods of LoopObserver.

    def progress(self, step: int, loss: float, seconds: float) -> None:
        """Show how far the run has come."""
        self.reporter.progress(step, loss)

    def log(self, step: int, loss: float, learning_rate: float) -> None:
        """Write a line of metrics."""
        record: dict[str, Any] = {"step": step, "loss": loss, "learning_rate": learning_rate}
        if self._updates is not None:
            record[UPDATE_METRIC] = self._updates.ratios()
        self._write_metrics(record)

    def milestone(self, step: int, seconds: float) -> bool:
        """Evaluate on dev; return whether the run is out of patience."""
        dev_loss = self._loss(step, self.corpus.dev)
        unseen_dev_loss = self._loss(step, self.corpus.unseen_dev)
        record: dict[str, Any] = {"step": step, "dev_loss": dev_loss, "unseen_dev_loss": unseen_dev_loss}
        if self._average is not None:
            with self._average.in_place():
                record["ema_dev_loss"] = self._loss(step, self.corpus.dev)
        self._write_metrics(record)
        self.reporter.evaluation(step, dev_loss)
        self._show_samples(step)
        if dev_loss is not None:
            self._best.offer(step, dev_loss, self.model)
        return self._is_out_of_patience()

    def _is_out_of_patience(self) -> bool:
        best = self._best.found
        return self.patience > 0 and best is not None and best.evaluations_since >= self.patience

    def save(self, step: int, seconds: float) -> None:
        """Write a checkpoint. Where something in it is not finite, raise instead, so that the last good one stays."""
        saved = {**self.model.state_dict(), **optimizer_tensors(self.model, self.optimizer)}
        average = {} if self._average is None else self._average.tensors
        saved |= {f"the average of {name}": tensor for name, tensor in average.items()}
        for name, tensor in saved.items():
            if not tensor.isfinite().all():
                problem = f"training diverged: {name} is not finite after step {step}"
                raise TrainingDivergedError(step, problem)
        self._state = RunState(step, seconds, self._way)
        if self._board is not None:
            self._board.flush()
        if self.directory is not None:
            state = replace(
                self._state,
                metrics_bytes=self.directory.sync_metrics(),
                losses=self._loop.unlogged_losses,
                recent_losses=self._loop.recent_losses,
                best=self._best.found,
            )
            save_checkpoint(self.directory, self.model, self.optimizer, state, self._config, average)
            if self._average is not None:
                save_average(self.directory, self._average.state_dict(), step)

    def _result(self, *, interrupted: bool) -> TrainResult:
        step = kept_step = self._state.step
        losses = self._losses(step)
        last_dev_loss = losses["dev_loss"]
        ema_losses = None
        if self._average is not None:
            with self._average.in_place():
                ema_losses = self._losses(step)
        self._write_metrics(
            {"step": step, **losses, **{f"ema_{name}": loss for name, loss in (ema_losses or {}).items()}}
        )
        self._show_samples(step)
        before = self._best.found
        written_step = before.step if before is not None and before.model else step
        out_of_patience = not interrupted and step < self.options.steps and self._is_out_of_patience()
        if last_dev_loss is not None:
            self._best.offer(step, last_dev_loss, self.model)
        best = self._best.found
        if best is not None and best.model:
            kept_step = best.step
            if kept_step != written_step and self.directory is not None:
                save_model(self.directory, best.model, kept_step)
            if kept_step != step:
                self.model.load_state_dict(best.model)
                losses = self._losses(kept_step)
        return TrainResult(
            model=self.model.eval(),
            corpus=self.corpus,
            backend=self.backend,
            steps=step,
            kept_step=kept_step,
            train_seconds=self._state.train_seconds,
            interrupted=interrupted,
            best_step=None if best is None else best.step,
            best_dev_loss=None if best is None else best.dev_loss,
            last_dev_loss=last_dev_loss,
            out_of_patience=out_of_patience,
            ema_losses=ema_losses,
            **losses,
        )

    def _losses(self, step: int) -> dict[str, float | None]:
        """Return the losses of the model, which is that of a step, over all splits."""
        return {
            "train_loss": self._loss(step, self.corpus.train),
            "dev_loss": self._loss(step, self.corpus.dev),
            "test_loss": self._loss(step, self.corpus.test),
            "unseen_dev_loss": self._loss(step, self.corpus.unseen_dev),
        }

    def _loss(self, step: int, windows: Windows) -> float | None:
        if not self.group.is_main:
            return None
        loss = self._steps.evaluate(*windows)
        if loss is not None and not math.isfinite(loss):
            raise TrainingDivergedError(step, f"training diverged: the loss after step {step} is {loss}")
        return loss

    def _write_metrics(self, record: dict[str, Any]) -> None:
        if self.directory is not None:
            self.directory.append_metrics(record)
        if self._board is not None:
            self._board.record(record)

    def _show_samples(self, step: int) -> None:
        if self._board is not None:
            vocabulary = self.corpus.vocabulary
            names = sample_of_all(self.model, vocabulary, _SHOWN_SAMPLES, seed=self.options.seed)
            self._board.samples(step, names)
