"""Runs ``train``: makes the run directory, trains, and prints what came of it."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import torch

from namegen_ext.cli.category_text import describe_categories
from namegen_ext.cli.command import ArgumentError, CommandError, end_at_once
from namegen_ext.cli.exit_status import OK
from namegen_ext.cli.train_plan import TrainPlan, blamed
from namegen_ext.data import DataError
from namegen_ext.generator import Generator
from namegen_ext.models.specs import MODELS
from namegen_ext.options.effects import has_effect
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.runs.checkpoint import newest_checkpoint
from namegen_ext.runs.config import RunConfig, directory_stem, weights_sha256, words_sha256
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import is_file
from namegen_ext.runs.lock import locked
from namegen_ext.runs.run_errors import RunError
from namegen_ext.sampling.category_models import sample_of_all
from namegen_ext.training.backends import choose_device
from namegen_ext.training.interrupt import StopRequest, stop_on_signal
from namegen_ext.training.process_group import joined_processes
from namegen_ext.training.progress import reporter_for
from namegen_ext.training.summary import (
    describe_result,
    describe_samples,
    describe_share_seen,
    describe_small_split,
    summarize,
)
from namegen_ext.training.tensorboard import check_tensorboard
from namegen_ext.training.trainer import Trainer
from namegen_ext.training.training_errors import BackendError, ProcessLostError, TrainingDivergedError


def run(plan: TrainPlan) -> int:
    """Train as planned.

    Returns:
        OK; the exit status of the signal that ended the run early.

    Raises:
        ArgumentError: a device, a backend or a directory that was asked for cannot be had.
        CommandError: training diverged, memory ran out, or a file cannot be written.

    """
    if MODELS[plan.options.model].found:
        from namegen_ext.cli import run_fit

        return run_fit.run(plan)
    try:
        return _train(plan)
    except ProcessLostError as error:
        raise CommandError(str(error), at_once=True) from None
    except (TrainingDivergedError, RunError, BackendError) as error:
        raise CommandError(str(error)) from None
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        # torch's own messages are many lines
        reason = f" ({error})" if type(error) is MemoryError and str(error) else ""
        raise CommandError(f"out of memory{reason}: {memory_advice(plan.options)}") from None


def memory_advice(options: TrainOptions) -> str:
    """Say what would take less memory. Only flags that change something beside the options are named."""
    smaller = [
        flag
        for name, flag in (
            ("batch_size", "--batch-size"),
            ("block_size", "--block-size"),
            ("hidden_size", "--hidden-size"),
            ("embedding_dim", "--embedding-dim"),
            ("num_layers", "--num-layers"),
        )
        if has_effect(name, options)
    ]
    advice = [f"a smaller {' or '.join(smaller)}"] if smaller else []
    if options.full_batch and has_effect("hidden_size", options):
        advice.append("--no-full-batch")
    advice.append("fewer different characters, by --rare")
    return f"try {', or '.join(advice)}"


def _train(plan: TrainPlan) -> int:
    if plan.resumed is not None:
        _check_steps(plan, plan.resumed)
    with blamed("--device", BackendError):
        device = choose_device(plan.device)
    if plan.settings.tensorboard:
        with blamed("--tensorboard", BackendError):
            check_tensorboard()
    torch.set_num_threads(plan.settings.threads)
    with stop_on_signal() as stop, joined_processes(device) as group:
        with blamed("--fused", BackendError), blamed("--data", DataError):
            trainer = Trainer(
                plan.words,
                plan.options,
                weights=plan.weights,
                fused=plan.fused,
                device=group.device,
                reporter=reporter_for(sys.stdout),
                log_every=plan.settings.log_every,
                eval_every=plan.settings.eval_every,
                keep=plan.settings.keep,
                patience=plan.settings.patience,
                checkpoint_every=plan.settings.checkpoint_every,
                should_stop=stop,
                record_updates=plan.settings.record_updates,
                tensorboard=plan.settings.tensorboard,
                group=group,
            )
        if not group.is_main:
            end_at_once(_assist(trainer, plan.resumed, stop))
        if plan.resumed is None:
            directory = _new_directory(plan)
            with locked(directory):
                # Another process may have been given the same name, and have been quicker.
                if is_file(directory.config):
                    raise RunError(f"{directory.path}: already holds a run; name a new directory")
                return _run_steps(trainer, plan, directory, stop)
        with ExitStack() as stack:
            with blamed("--resume", RunError):
                stack.enter_context(locked(plan.resumed))
                step = trainer.restore(plan.resumed, warn=_warn)
            plan.resumed.remove_summary()
            print(f"resuming {plan.resumed.path} after {step:,} of {plan.options.steps:,} steps")
            return _run_steps(trainer, plan, plan.resumed, stop)


def _new_directory(plan: TrainPlan) -> RunDirectory:
    with blamed("--out", RunError):
        if plan.out is not None:
            return RunDirectory.create(plan.out)
        return RunDirectory.create_numbered(directory_stem(plan.options.model, plan.data_name))


def _assist(trainer: Trainer, resumed: RunDirectory | None, stop: StopRequest) -> int:
    """Run the steps with the main process, which alone writes and tells."""
    if resumed is not None:
        trainer.restore(resumed)
    return stop.exit_status if trainer.run().interrupted else OK


def _check_steps(plan: TrainPlan, directory: RunDirectory) -> None:
    """Make sure that steps are left to do; tell it where their learning rates are not the planned ones."""
    with blamed("--resume", RunError):
        checkpoint = newest_checkpoint(directory, warn=lambda line: None)  # Trainer.restore reports it
    done = 0 if checkpoint is None else checkpoint.state.step
    steps = plan.options.steps
    # A run that was killed while it was evaluated at its end has no summary yet.
    if done > steps or (done == steps and is_file(directory.summary)):
        problem = f"{done:,} steps are done in {directory.path}, expected more with --resume"
        raise ArgumentError(f"argument --steps: got {steps:,}, but {problem}")
    best, patience = None if checkpoint is None else checkpoint.state.best, plan.settings.patience
    if best is not None and 0 < patience <= best.evaluations_since and is_file(directory.summary):
        problem = f"{best.evaluations_since:,} evaluations brought no lower dev loss in {directory.path}"
        raise ArgumentError(
            f"argument --patience: got {patience:,}, but {problem}, expected more with --resume, or 0"
        )
    if steps != plan.planned_steps and plan.options.schedule != "constant":
        print(
            f"{steps:,} steps in place of {plan.planned_steps:,}: the learning rates that are left follow"
            f" the schedule of the new number, not that of the {done:,} steps that are done"
        )


def _config(trainer: Trainer, plan: TrainPlan) -> RunConfig:
    vocabulary = trainer.corpus.vocabulary
    return RunConfig(
        recipe=plan.recipe,
        options=plan.options,
        model_config=plan.options.model_config(len(vocabulary), len(plan.categories)),
        vocabulary=vocabulary,
        data_name=plan.data_name,
        data_source=plan.data_source,
        words_sha256=words_sha256(plan.words),
        weights_sha256=weights_sha256(plan.weights),
        reading=plan.reading,
        categories=plan.categories,
        fused=plan.fused,
        device=plan.device,
        run=plan.settings,
    )


def _run_steps(trainer: Trainer, plan: TrainPlan, directory: RunDirectory, stop: StopRequest) -> int:
    config = _config(trainer, plan)
    config.write(directory, plan.words, plan.weights)
    splits = trainer.corpus.splits
    for note in plan.notes:
        print(note)
    print(
        f"{plan.options.model}, {trainer.num_parameters:,} parameters, recipe {plan.recipe};"
        f" {plan.data_name}: {len(splits.train):,} names to train on, {len(splits.dev):,} dev,"
        f" {len(splits.test):,} test"
    )
    if plan.weights is not None:
        print(f"training counts each name as often as the list says, {sum(plan.weights):,.0f} times in all")
    small = describe_small_split(len(plan.words), len(splits.dev), len(splits.test))
    if small:
        print(small)
    share = describe_share_seen(len(trainer.corpus.train[1]), plan.options)
    if share:
        print(share)
    if trainer.group.size > 1:
        print(f"{trainer.group.size} processes, each on its share of every batch")
    if trainer.backend.note:
        print(trainer.backend.note)
    try:
        result = trainer.run(directory)
    except TrainingDivergedError as error:
        raise TrainingDivergedError(error.step, _advice(error, plan.options, directory)) from None
    except ProcessLostError as error:
        raise ProcessLostError(f"{error}; start all again with --resume {directory.path}") from None
    samples = sample_of_all(
        result.model,
        result.corpus.vocabulary,
        plan.settings.samples,
        seed=plan.options.seed,
        case=plan.reading.case,
    )
    summary = summarize(result, plan.options, recipe=plan.recipe, data_name=plan.data_name, samples=samples)
    report = None
    if plan.categories:
        generator = Generator(result.model, config, plan.words, steps=result.kept_step, weights=plan.weights)
        summary["categories"] = report = generator.category_report()
    directory.write_summary(summary)
    if result.interrupted:
        steps = f"{result.steps:,} of {plan.options.steps:,} steps"
        print(f"interrupted after {steps}; go on with --resume {directory.path}")
    if result.out_of_patience:
        steps = f"{result.steps:,} of {plan.options.steps:,} steps"
        print(f"ended after {steps}: {plan.settings.patience:,} evaluations brought no lower dev loss")
    print(describe_result(result))
    if report is not None:
        print(describe_categories(report))
    print(f"run directory: {directory.path}")
    if samples:
        print(f"\n{describe_samples(samples)}")
    return stop.exit_status if result.interrupted else OK


def _advice(error: TrainingDivergedError, options: TrainOptions, directory: RunDirectory) -> str:
    advice = f"{error}; try a --learning-rate below {options.learning_rate:g}"
    if options.init == "plain" and has_effect("init", options):
        advice += " or --init kaiming"
    try:
        checkpoint = newest_checkpoint(directory, warn=_warn)
    except RunError as problem:
        return f"{advice}; {problem}"
    if checkpoint is not None:
        return f"{advice}; {directory.path} keeps the model of step {checkpoint.state.step:,}"
    return f"{advice}; {directory.path} holds no model, as none was saved before"


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


def _is_out_of_memory(error: Exception) -> bool:
    # On the CPU, torch reports both by a plain RuntimeError.
    told = ("can't allocate memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(text in str(error) for text in told)
