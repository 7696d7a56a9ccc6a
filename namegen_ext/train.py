"""Train a name generator: ``python -m namegen_ext.train``.

Exit status: 0 when the run was trained and written; 1 when training diverged, memory ran out, or a file could
not be written; 2 for a wrong argument; 130 after Ctrl-C, with the run saved.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from namegen_ext.command_line import shown
from namegen_ext.data import DataError, load_words
from namegen_ext.sampling import sample_names
from namegen_ext.training.arguments import (
    DEFAULT_DATA,
    DEFAULT_DEVICE,
    build_parser,
    flag_of,
    given_options,
)
from namegen_ext.training.backends import choose_device
from namegen_ext.training.checkpoint import read_state
from namegen_ext.training.effects import check_effects
from namegen_ext.training.errors import BackendError, RunError, TrainingDivergedError
from namegen_ext.training.interrupt import stop_on_interrupt
from namegen_ext.training.options import OptionError, TrainOptions
from namegen_ext.training.progress import reporter_for
from namegen_ext.training.recipes import DEFAULT_RECIPE, RECIPES
from namegen_ext.training.run_config import RunConfig, directory_stem, read_config, words_sha256
from namegen_ext.training.run_directory import RunDirectory
from namegen_ext.training.summary import describe_result, describe_samples, summarize
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
        resumed: the directory to go on in; None for a new run.

    """

    recipe: str
    options: TrainOptions
    words: list[str]
    data_name: str
    data_source: str
    fused: str | None
    device: str
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
        return _train(parsed)
    except _ArgumentError as error:
        parser.error(str(error))
    except (TrainingDivergedError, RunError) as error:
        return _fail(prog, str(error))
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
    torch.set_num_threads(parsed.threads)
    with stop_on_interrupt() as should_stop:
        with _blame("--fused", BackendError), _blame("--data", DataError):
            trainer = Trainer(
                plan.words,
                plan.options,
                fused=plan.fused,
                device=device,
                reporter=reporter_for(sys.stdout),
                log_every=parsed.log_every,
                eval_every=parsed.eval_every,
                should_stop=should_stop,
                record_updates=parsed.record_updates,
            )
        directory = _prepare_directory(trainer, plan, parsed.out)
        return _run(trainer, plan, directory, parsed.samples)


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
        data_name=words.name,
        data_source=words.source,
        fused=parsed.fused,
        device=parsed.device or DEFAULT_DEVICE,
    )


def _resumed_run(parsed: argparse.Namespace) -> _Plan:
    given = given_options(parsed)
    fixed = [flag_of(option) for option in given if option != "steps"]
    fixed += [f"--{name}" for name in ("recipe", "data", "out") if getattr(parsed, name) is not None]
    if fixed:
        raise _ArgumentError(f"argument {fixed[0]}: a run that is resumed keeps its own; leave it out")
    directory = RunDirectory(parsed.resume)
    with _blame("--resume", RunError):
        config = read_config(directory)
        done = read_state(directory).step
        words = config.load_words(directory)
        options = replace(config.options, **given)
    if done >= options.steps:
        problem = f"{done:,} steps are done in {directory.path}, expected more with --resume"
        raise _ArgumentError(f"argument --steps: got {options.steps:,}, but {problem}")
    return _Plan(
        recipe=config.recipe,
        options=options,
        words=words,
        data_name=config.data_name,
        data_source=config.data_source,
        fused=parsed.fused or config.fused,
        device=parsed.device or config.device,
        resumed=directory,
    )


def _prepare_directory(trainer: Trainer, plan: _Plan, out: Path | None) -> RunDirectory:
    if plan.resumed is not None:
        directory = plan.resumed
        with _blame("--resume", RunError):
            step = trainer.restore(directory)
        directory.summary.unlink(missing_ok=True)
        print(f"resuming {directory.path} after {step:,} of {plan.options.steps:,} steps")
    else:
        with _blame("--out", RunError):
            stem = directory_stem(plan.options.model, plan.data_name)
            directory = RunDirectory.create(out) if out else RunDirectory.create_numbered(stem)
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
    )
    config.write(directory, plan.words)
    return directory


def _run(trainer: Trainer, plan: _Plan, directory: RunDirectory, num_samples: int) -> int:
    splits = trainer.corpus.splits
    print(
        f"{plan.options.model}, {trainer.num_parameters:,} parameters, recipe {plan.recipe};"
        f" {plan.data_name}: {len(splits.train):,} names to train on, {len(splits.dev):,} dev,"
        f" {len(splits.test):,} test"
    )
    if trainer.backend.note:
        print(trainer.backend.note)
    try:
        result = trainer.run(directory)
    except TrainingDivergedError as error:
        raise TrainingDivergedError(error.step, _advice(error, plan.options, directory)) from None
    samples = sample_names(result.model, result.corpus.vocabulary, num_samples, seed=plan.options.seed)
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
    return INTERRUPTED if result.interrupted else 0


def _advice(error: TrainingDivergedError, options: TrainOptions, directory: RunDirectory) -> str:
    advice = f"{error}; try a --learning-rate below {options.learning_rate:g}"
    if options.init == "plain":
        advice += " or --init kaiming"
    if directory.state.is_file():
        return f"{advice}; {directory.path} keeps the model of step {read_state(directory).step:,}"
    return f"{advice}; {directory.path} holds no model, as none was saved before"


def _is_out_of_memory(error: Exception) -> bool:
    # On the CPU, torch tells of both by a plain RuntimeError.
    told = ("can't allocate memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(text in str(error) for text in told)


def _fail(prog: str, message: str) -> int:
    print(f"{prog}: error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
