"""Train a name generator: ``python -m namegen_ext.train``.

Exit status: 0 when the run was trained and written; 1 when training diverged, memory ran out, or a file could
not be written; 2 for a wrong argument; 130 after Ctrl-C and 143 after SIGTERM, with the run saved.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import torch

from namegen_ext.cli.standard_output import forget_standard_output
from namegen_ext.cli.train_flags import (
    DEFAULT_DATA,
    DEFAULT_DEVICE,
    build_parser,
    flag_of,
    given_options,
    given_settings,
)
from namegen_ext.data import DataError, load_words
from namegen_ext.options.effects import check_effects
from namegen_ext.options.ranges import shown
from namegen_ext.options.recipes import DEFAULT_RECIPE, RECIPES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import OptionError, TrainOptions
from namegen_ext.runs.checkpoint import newest_checkpoint
from namegen_ext.runs.config import RunConfig, directory_stem, read_config, words_sha256
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.errors import RunError
from namegen_ext.runs.files import is_file
from namegen_ext.runs.lock import locked
from namegen_ext.sampling import sample_names
from namegen_ext.training.backends import choose_device
from namegen_ext.training.errors import BackendError, ProcessLostError, TrainingDivergedError
from namegen_ext.training.interrupt import StopRequest, stop_on_signal
from namegen_ext.training.process_group import joined_processes
from namegen_ext.training.progress import reporter_for
from namegen_ext.training.summary import describe_result, describe_samples, summarize
from namegen_ext.training.tensorboard import check_tensorboard
from namegen_ext.training.trainer import Trainer

INTERRUPTED = 130  # 128 + SIGINT, as shells count


class _ArgumentError(ValueError):
    """An argument is wrong; the message names its flag."""


@contextmanager
def _blame(flag: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors within into a wrong value of a flag."""
    try:
        yield
    except OptionError as error:
        raise _ArgumentError(f"argument {flag_of(error.option)}: {error.problem}") from None
    except errors as error:
        raise _ArgumentError(f"argument {flag}: {error}") from None


@dataclass(frozen=True)
class _Plan:
    """What the arguments ask for.

    Attributes:
        recipe: name of the recipe.
        options: the recipe's options, with the flags' in their place.
        words: the whole word list.
        data_name: its name.
        data_source: where it came from.
        fused: None, "auto", "layers" or "step".
        device: "cpu", "cuda" or "auto".
        settings: what is told and saved.
        resumed: the directory to go on in; None for a new run.

    """

    recipe: str
    options: TrainOptions
    words: list[str]
    data_name: str
    data_source: str
    fused: str | None
    device: str
    settings: RunSettings
    resumed: RunDirectory | None = None


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.train") -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes those of the process.
        prog: the command's name, for its messages.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status 0 after --help, with 2 after a wrong argument.

    """
    if hasattr(sys.stdout, "reconfigure"):  # names may hold letters that the terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = build_parser(prog)
    parsed = parser.parse_args(arguments)
    try:
        status = _train(parsed)
        sys.stdout.flush()
        return status
    except _ArgumentError as error:
        parser.error(str(error))
    except ProcessLostError as error:
        _end_at_once(_fail(prog, str(error)))
    except (TrainingDivergedError, RunError, BackendError) as error:
        return _fail(prog, str(error))
    except OSError as error:  # of files it is a RunError
        forget_standard_output()
        what = "standard output" if error.filename is None else str(error.filename)
        return _fail(prog, f"{what} cannot be written: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = (
            f" ({error})" if type(error) is MemoryError and str(error) else ""
        )  # torch's own are many lines
        return _fail(prog, f"out of memory{reason}: try a smaller --batch-size or a smaller model")
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _train(parsed: argparse.Namespace) -> int:
    plan = _new_run(parsed) if parsed.resume is None else _resumed_run(parsed)
    with _blame("--device", BackendError):
        device = choose_device(plan.device)
    if plan.settings.tensorboard:
        with _blame("--tensorboard", BackendError):
            check_tensorboard()
    torch.set_num_threads(plan.settings.threads)
    with stop_on_signal() as stop, joined_processes(device) as group:
        with _blame("--fused", BackendError), _blame("--data", DataError):
            trainer = Trainer(
                plan.words,
                plan.options,
                fused=plan.fused,
                device=group.device,
                reporter=reporter_for(sys.stdout),
                log_every=plan.settings.log_every,
                eval_every=plan.settings.eval_every,
                checkpoint_every=plan.settings.checkpoint_every,
                should_stop=stop,
                record_updates=plan.settings.record_updates,
                tensorboard=plan.settings.tensorboard,
                group=group,
            )
        if not group.is_main:
            _end_at_once(_assist(trainer, plan.resumed, stop))
        if plan.resumed is None:
            directory = _new_directory(plan, parsed.out)
            with locked(directory):
                if is_file(
                    directory.config
                ):  # of another process, which was given the same name and was quicker
                    raise RunError(f"{directory.path}: already holds a run; name a new directory")
                return _run(trainer, plan, directory, stop)
        with ExitStack() as stack:
            with _blame("--resume", RunError):
                stack.enter_context(locked(plan.resumed))
                step = trainer.restore(plan.resumed, warn=_warn)
            plan.resumed.remove_summary()
            print(f"resuming {plan.resumed.path} after {step:,} of {plan.options.steps:,} steps")
            return _run(trainer, plan, plan.resumed, stop)


def _new_directory(plan: _Plan, out: Path | None) -> RunDirectory:
    with _blame("--out", RunError):
        if out is not None:
            return RunDirectory.create(out)
        return RunDirectory.create_numbered(directory_stem(plan.options.model, plan.data_name))


def _assist(trainer: Trainer, resumed: RunDirectory | None, stop: StopRequest) -> int:
    """Run the steps with the main process, which alone writes and tells."""
    if resumed is not None:
        trainer.restore(resumed)
    return stop.exit_status if trainer.run().interrupted else 0


def _new_run(parsed: argparse.Namespace) -> _Plan:
    name = DEFAULT_RECIPE if parsed.recipe is None else parsed.recipe
    if name not in RECIPES:
        came = f"got {shown(name)}" if name else "got no name"
        raise _ArgumentError(f"argument --recipe: {came}, expected one of {', '.join(RECIPES)}")
    with _blame("--recipe"):
        given = given_options(parsed)
        options = RECIPES[name].train_options(given)
        check_effects(given, options)
    with _blame("--data", DataError):
        words = load_words(DEFAULT_DATA if parsed.data is None else parsed.data)
    return _Plan(
        recipe=name,
        options=options,
        words=words.words,
        data_name=_as_utf8(words.name),
        data_source=_as_utf8(words.source),
        fused=parsed.fused,
        device=parsed.device or DEFAULT_DEVICE,
        settings=RunSettings(**given_settings(parsed)),
    )


def _as_utf8(name: str) -> str:
    """Escape what a file's name may hold and a text in UTF-8 may not."""
    return name.encode("utf-8", "backslashreplace").decode()


def _resumed_run(parsed: argparse.Namespace) -> _Plan:
    given = given_options(parsed)
    fixed = [flag_of(option) for option in given if option != "steps"]
    fixed += [f"--{name}" for name in ("recipe", "data", "out") if getattr(parsed, name) is not None]
    if fixed:
        raise _ArgumentError(f"argument {fixed[0]}: a run that is resumed keeps its own; leave it out")
    directory = RunDirectory(parsed.resume)
    with _blame("--resume", RunError):
        config = read_config(directory)
        checkpoint = newest_checkpoint(directory, warn=lambda line: None)  # told when it is taken up
        words = config.load_words(directory)
        options = replace(config.options, **given)
    done = 0 if checkpoint is None else checkpoint.state.step
    # A run that was killed while it was evaluated at its end has no summary yet.
    if done > options.steps or (done == options.steps and is_file(directory.summary)):
        problem = f"{done:,} steps are done in {directory.path}, expected more with --resume"
        raise _ArgumentError(f"argument --steps: got {options.steps:,}, but {problem}")
    if options.steps != config.options.steps and options.schedule != "constant":
        print(
            f"{options.steps:,} steps in place of {config.options.steps:,}: the learning rates that are left follow"
            f" the schedule of the new number, not that of the {done:,} steps that are done"
        )
    return _Plan(
        recipe=config.recipe,
        options=options,
        words=words,
        data_name=config.data_name,
        data_source=config.data_source,
        fused=parsed.fused or config.fused,
        device=parsed.device or config.device,
        settings=replace(config.run, **given_settings(parsed)),
        resumed=directory,
    )


def _write_config(trainer: Trainer, plan: _Plan, directory: RunDirectory) -> None:
    vocabulary = trainer.corpus.vocabulary
    config = RunConfig(
        recipe=plan.recipe,
        options=plan.options,
        model_config=plan.options.model_config(len(vocabulary)),
        vocabulary=vocabulary,
        data_name=plan.data_name,
        data_source=plan.data_source,
        words_sha256=words_sha256(plan.words),
        fused=plan.fused,
        device=plan.device,
        run=plan.settings,
    )
    config.write(directory, plan.words)


def _run(trainer: Trainer, plan: _Plan, directory: RunDirectory, stop: StopRequest) -> int:
    _write_config(trainer, plan, directory)
    splits = trainer.corpus.splits
    print(
        f"{plan.options.model}, {trainer.num_parameters:,} parameters, recipe {plan.recipe};"
        f" {plan.data_name}: {len(splits.train):,} names to train on, {len(splits.dev):,} dev,"
        f" {len(splits.test):,} test"
    )
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
    samples = sample_names(
        result.model, result.corpus.vocabulary, plan.settings.samples, seed=plan.options.seed
    )
    directory.write_summary(
        summarize(result, plan.options, recipe=plan.recipe, data_name=plan.data_name, samples=samples)
    )
    if result.interrupted:
        steps = f"{result.steps:,} of {plan.options.steps:,} steps"
        print(f"interrupted after {steps}; go on with --resume {directory.path}")
    print(describe_result(result))
    print(f"run directory: {directory.path}")
    if samples:
        print(f"\n{describe_samples(samples)}")
    return stop.exit_status if result.interrupted else 0


def _advice(error: TrainingDivergedError, options: TrainOptions, directory: RunDirectory) -> str:
    advice = f"{error}; try a --learning-rate below {options.learning_rate:g}"
    if options.init == "plain":
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
    # On the CPU, torch tells of both by a plain RuntimeError.
    told = ("can't allocate memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(text in str(error) for text in told)


def _end_at_once(status: int) -> NoReturn:
    """End one of several processes: now and then gloo's threads outlive the group and end it by SIGABRT at its exit."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


def _fail(prog: str, message: str) -> int:
    print(f"{prog}: error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
