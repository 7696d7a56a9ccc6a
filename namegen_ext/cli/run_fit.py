"""Runs ``fit``, and ``train`` of a mixture: the search, the run directory, and what is told of it."""

from __future__ import annotations

import sys
from typing import Any

from namegen_ext.cli.category_text import describe_categories
from namegen_ext.cli.command import OK, ArgumentError, CommandError
from namegen_ext.cli.train_plan import TrainPlan, blamed
from namegen_ext.data import DataError
from namegen_ext.fitting.mixture_run import MixtureRun, check_number_of_names, fit_mixture, mixture_summary
from namegen_ext.fitting.search_report import describe_search
from namegen_ext.generator import Generator
from namegen_ext.options.train_options import OptionError
from namegen_ext.runs.checkpoint import save_model
from namegen_ext.runs.config import directory_stem
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import is_file
from namegen_ext.runs.lock import locked
from namegen_ext.runs.run_errors import RunError
from namegen_ext.sampling.category_models import sample_of_all
from namegen_ext.training.summary import describe_losses, describe_samples


def run(plan: TrainPlan) -> int:
    """Search as planned.

    Returns:
        OK.

    Raises:
        ArgumentError: what was asked for cannot be had of a mixture.
        CommandError: memory ran out, or a file cannot be written.

    """
    _check(plan)
    try:
        directory = _new_directory(plan)
        with locked(directory):
            if is_file(directory.config):
                raise RunError(f"{directory.path}: already holds a run; name a new directory")
            return _search(plan, directory)
    except RunError as error:
        raise CommandError(str(error)) from None
    except MemoryError as error:
        raise CommandError(f"out of memory{f' ({error})' if str(error) else ''}") from None


def _check(plan: TrainPlan) -> None:
    if plan.resumed is not None:
        raise ArgumentError(
            f"argument --resume: {plan.resumed.path} holds a mixture, which is whole once it is written: fit anew"
        )
    if plan.device == "cuda":
        raise ArgumentError("argument --device: got 'cuda', but a mixture is searched for on the CPU")
    if plan.fused == "layers":
        raise ArgumentError(
            "argument --fused: got 'layers', but a mixture's networks are trained by whole native steps"
        )
    with blamed(plan.list_argument, DataError):
        check_number_of_names(len(plan.words))


def _new_directory(plan: TrainPlan) -> RunDirectory:
    with blamed("--out", RunError):
        if plan.out is not None:
            return RunDirectory.create(plan.out)
        return RunDirectory.create_numbered(directory_stem(plan.options.model, plan.data_name))


def _search(plan: TrainPlan, directory: RunDirectory) -> int:
    for note in plan.notes:
        print(note)
    print(f"{plan.data_name}: {len(plan.words):,} names")
    with blamed(plan.list_argument, DataError, OptionError), _Progress() as progress:
        fitted = fit_mixture(
            plan.word_list(),
            plan.options,
            recipe=plan.recipe,
            reading=plan.reading,
            settings=plan.settings,
            progress=progress,
        )
    fitted.config.write(directory, plan.words, plan.weights)
    save_model(directory, fitted.search.model.state_dict(), fitted.search.steps)
    samples = sample_of_all(
        fitted.search.model,
        fitted.config.vocabulary,
        plan.settings.samples,
        seed=plan.options.seed,
        case=plan.reading.case,
    )
    summary = mixture_summary(fitted, samples)
    report = None
    if plan.categories:
        judged, steps = fitted.search.before_refit, fitted.search.steps
        generator = Generator(judged, fitted.config, plan.words, steps=steps, weights=plan.weights)
        summary["categories"] = report = generator.category_report()
    directory.write_summary(summary)
    _tell(fitted, directory, samples, report)
    return OK


def _tell(
    fitted: MixtureRun, directory: RunDirectory, samples: list[str], report: dict[str, Any] | None
) -> None:
    search = fitted.search
    print(describe_search(search))
    when = " before all names were learnt" if search.refit else ""
    print(f"{describe_losses(search.losses)}{when}")
    if report is not None:
        print(describe_categories(report))
    print(f"{search.seconds:.1f} s of {search.budget:.0f}")
    print(f"run directory: {directory.path}")
    if samples:
        print(f"\n{describe_samples(samples)}")


class _Progress:
    """One line that says what is being done and how much of the budget is spent; on a terminal only."""

    def __init__(self) -> None:
        self._shows = sys.stdout.isatty()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._write("")

    def __call__(self, what: str, share: float) -> None:
        """Show it."""
        self._write(f"{share:4.0%}  {what} ...")

    def _write(self, text: str) -> None:
        if self._shows:
            print(f"\r\033[K{text}", end="", flush=True)
