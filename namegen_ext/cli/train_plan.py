"""Finds out without torch what the arguments of ``train`` ask for, so that a wrong one is reported at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from namegen_ext.cli.command import ArgumentError
from namegen_ext.cli.train_flags import (
    DEFAULT_DATA,
    DEFAULT_DEVICE,
    flag_of,
    given_format,
    given_options,
    given_settings,
)
from namegen_ext.data import DataError, ListFormat, WordList, load_words
from namegen_ext.models.specs import MODELS
from namegen_ext.options.block_size import fitted_block_size
from namegen_ext.options.effects import check_effects
from namegen_ext.options.ranges import shown
from namegen_ext.options.recipes import DEFAULT_RECIPE, RECIPES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import OptionError, TrainOptions, problem_with_categories
from namegen_ext.runs.config import read_config, words_sha256
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.run_errors import RunError


@contextmanager
def blamed(flag: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors inside the context into a wrong value of a flag."""
    try:
        yield
    except OptionError as error:
        raise ArgumentError(f"argument {flag_of(error.option)}: {error.problem}") from None
    except errors as error:
        raise ArgumentError(f"argument {flag}: {error}") from None


@dataclass(frozen=True)
class TrainPlan:
    """What the arguments ask for.

    Attributes:
        out: the new run directory that was asked for; None for one with a default name.
        recipe: name of the recipe.
        options: the recipe's options, with the flags' in their place.
        words: the whole word list.
        weights: how often each word counts; None for once each.
        reading: how the list was read.
        categories: the names of the words' categories; none where they have none.
        notes: what is to be told before the training, a sentence each.
        data_name: its name.
        data_source: where it came from.
        fused: None, "auto", "layers" or "step".
        device: "cpu", "cuda" or "auto".
        settings: what is reported and saved.
        resumed: the directory to go on in; None for a new run.
        planned_steps: how many steps a resumed run was to have; None for a new run.
        list_argument: what the command calls the list in messages.

    """

    out: Path | None
    recipe: str
    options: TrainOptions
    words: list[str]
    data_name: str
    data_source: str
    fused: str | None
    device: str
    settings: RunSettings
    weights: list[float] | None = None
    reading: ListFormat = field(default_factory=ListFormat)
    categories: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    resumed: RunDirectory | None = None
    planned_steps: int | None = None
    list_argument: str = "--data"

    def word_list(self) -> WordList:
        """Return the words with where they came from."""
        sha256 = words_sha256(self.words)
        return WordList(
            name=self.data_name,
            words=self.words,
            source=self.data_source,
            sha256=sha256,
            weights=self.weights,
            categories=self.categories,
        )


def train_plan(parsed: argparse.Namespace) -> TrainPlan:
    """Find out what the arguments ask for.

    Raises:
        ArgumentError: it cannot be had; the message names the flag.

    """
    return _new_run(parsed) if parsed.resume is None else _resumed_run(parsed)


def _new_run(parsed: argparse.Namespace) -> TrainPlan:
    name = DEFAULT_RECIPE if parsed.recipe is None else parsed.recipe
    if name not in RECIPES:
        came = f"got {shown(name)}" if name else "got no name"
        raise ArgumentError(f"argument --recipe: {came}, expected one of {', '.join(RECIPES)}")
    with blamed("--recipe"):
        given = given_options(parsed)
        options = RECIPES[name].train_options(given)
        check_effects(given, options)
    settings = RunSettings(**given_settings(parsed))
    _check_settings(parsed, settings, options)
    reading = ListFormat(**given_format(parsed))
    with blamed("--data", DataError):
        words = load_words(parsed.data or DEFAULT_DATA, reading)
    check_learns_categories(words, options)
    options, block_notes = fitted_block_size(options, given, words.words)
    plan = plan_of_words(
        words,
        recipe=name,
        options=options,
        out=parsed.out,
        settings=settings,
        reading=reading,
        notes=block_notes,
    )
    return replace(plan, fused=parsed.fused, device=parsed.device or DEFAULT_DEVICE)


def check_learns_categories(words: WordList, options: TrainOptions) -> None:
    """See that a model can learn the categories of a list that has some.

    Raises:
        ArgumentError: it cannot.

    """
    problem = problem_with_categories(options) if words.categories else None
    if problem is not None:
        raise ArgumentError(f"argument --data: a list with categories: {problem}")


def plan_of_words(
    words: WordList,
    *,
    recipe: str,
    options: TrainOptions,
    out: Path | None,
    settings: RunSettings,
    reading: ListFormat,
    notes: Sequence[str] = (),
) -> TrainPlan:
    """Plan a new run, on the CPU and by stock layers."""
    return TrainPlan(
        out=out,
        recipe=recipe,
        options=options,
        words=words.words,
        data_name=_as_utf8(words.name),
        data_source=_as_utf8(words.source),
        fused=None,
        device=DEFAULT_DEVICE,
        settings=settings,
        weights=words.weights,
        categories=words.categories,
        reading=reading,
        notes=tuple(map(_as_utf8, (*words.notes, *notes))),
    )


def _check_settings(parsed: argparse.Namespace, settings: RunSettings, options: TrainOptions) -> None:
    """See that evaluations on dev were not asked for something where there are none.

    Raises:
        ArgumentError: there are none.

    """
    needed = ""
    if MODELS[options.model].found:
        needed = "another model"
    elif options.steps == 0:
        needed = "--steps above 0"
    elif settings.eval_every == 0:
        needed = "--eval-every above 0"
    elif options.split != "80-10-10":
        needed = "--split 80-10-10"
    if needed and settings.patience > 0:
        _refuse_useless("--patience", settings.patience, needed)
    if needed and getattr(parsed, "keep", None) == "best":
        _refuse_useless("--keep", "best", needed)


def _refuse_useless(flag: str, value: object, needed: str) -> None:
    raise ArgumentError(
        f"argument {flag}: got {value}, which changes nothing here, expected {needed} with it"
    )


def _as_utf8(name: str) -> str:
    """Escape the bytes of a file's name that are not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _resumed_run(parsed: argparse.Namespace) -> TrainPlan:
    given = given_options(parsed)
    fixed = [flag_of(option) for option in given if option != "steps"]
    fixed += [f"--{name}" for name in ("recipe", "data", "out") if getattr(parsed, name) is not None]
    fixed += [flag_of(name) for name in given_format(parsed)]
    if fixed:
        raise ArgumentError(f"argument {fixed[0]}: a run that is resumed keeps its own; leave it out")
    directory = RunDirectory(parsed.resume)
    with blamed("--resume", RunError):
        config = read_config(directory)
        words, weights = config.load_weighted_words(directory)
        options = replace(config.options, **given)
    settings = replace(config.run, **given_settings(parsed))
    _check_settings(parsed, settings, options)
    return TrainPlan(
        out=parsed.out,
        recipe=config.recipe,
        options=options,
        words=words,
        data_name=config.data_name,
        data_source=config.data_source,
        fused=parsed.fused or config.fused,
        device=parsed.device or config.device,
        settings=settings,
        weights=weights,
        categories=config.categories,
        reading=config.reading,
        resumed=directory,
        planned_steps=config.options.steps,
    )
