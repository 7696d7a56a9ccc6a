"""What the arguments of ``train`` ask for, found out without torch; what is wrong with them is told of at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from namegen_ext.cli.command import ArgumentError
from namegen_ext.cli.train_flags import (
    DEFAULT_DATA,
    DEFAULT_DEVICE,
    flag_of,
    given_options,
    given_settings,
)
from namegen_ext.data import DataError, WordList, load_words
from namegen_ext.options.effects import check_effects
from namegen_ext.options.ranges import shown
from namegen_ext.options.recipes import DEFAULT_RECIPE, RECIPES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import OptionError, TrainOptions
from namegen_ext.runs.config import read_config, words_sha256
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.errors import RunError


@contextmanager
def blamed(flag: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors within into a wrong value of a flag."""
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
        out: the new run directory that was asked for; None for one of the default's names.
        recipe: name of the recipe.
        options: the recipe's options, with the flags' in their place.
        words: the whole word list.
        data_name: its name.
        data_source: where it came from.
        fused: None, "auto", "layers" or "step".
        device: "cpu", "cuda" or "auto".
        settings: what is told and saved.
        resumed: the directory to go on in; None for a new run.
        planned_steps: how many steps a resumed run was to have; None for a new run.

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
    resumed: RunDirectory | None = None
    planned_steps: int | None = None

    def word_list(self) -> WordList:
        """Return the words with where they came from."""
        sha256 = words_sha256(self.words)
        return WordList(name=self.data_name, words=self.words, source=self.data_source, sha256=sha256)


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
    with blamed("--data", DataError):
        words = named_list(DEFAULT_DATA if parsed.data is None else parsed.data)
    plan = plan_of_words(
        words, recipe=name, options=options, out=parsed.out, settings=RunSettings(**given_settings(parsed))
    )
    return replace(plan, fused=parsed.fused, device=parsed.device or DEFAULT_DEVICE)


def named_list(source: str) -> WordList:
    """Load a list by its name or from a file.

    Raises:
        DataError: it cannot be had.

    """
    return load_words(source)


def plan_of_words(
    words: WordList, *, recipe: str, options: TrainOptions, out: Path | None, settings: RunSettings
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
    )


def _as_utf8(name: str) -> str:
    """Escape what a file's name may hold and a text in UTF-8 may not."""
    return name.encode("utf-8", "backslashreplace").decode()


def _resumed_run(parsed: argparse.Namespace) -> TrainPlan:
    given = given_options(parsed)
    fixed = [flag_of(option) for option in given if option != "steps"]
    fixed += [f"--{name}" for name in ("recipe", "data", "out") if getattr(parsed, name) is not None]
    if fixed:
        raise ArgumentError(f"argument {fixed[0]}: a run that is resumed keeps its own; leave it out")
    directory = RunDirectory(parsed.resume)
    with blamed("--resume", RunError):
        config = read_config(directory)
        words = config.load_words(directory)
        options = replace(config.options, **given)
    return TrainPlan(
        out=parsed.out,
        recipe=config.recipe,
        options=options,
        words=words,
        data_name=config.data_name,
        data_source=config.data_source,
        fused=parsed.fused or config.fused,
        device=parsed.device or config.device,
        settings=replace(config.run, **given_settings(parsed)),
        resumed=directory,
        planned_steps=config.options.steps,
    )
