"""Fit a model to a list of names: ``fit(names).sample(20)``."""

from __future__ import annotations

import io
import math
import numbers
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeGuard

from namegen_ext.data import (
    DataError,
    ListFormat,
    WordList,
    load_words,
)
from namegen_ext.data.categories import (
    check_unmarked,
    marked_words,
)
from namegen_ext.data.prepared_words import prepare_words
from namegen_ext.data.strings import as_strings
from namegen_ext.generator import Generator, needs_torch
from namegen_ext.models.specs import MODELS
from namegen_ext.options.block_size import fitted_block_size
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.options.recipes import BEST_RECIPE, DEFAULT_RECIPE, RECIPES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import TrainOptions, problem_with_categories
from namegen_ext.runs.config import RunConfig, weights_sha256, words_sha256

# The name of a word list that `fit` was given as an iterable.
_GIVEN = "names"

_FIT_PARAMETERS = (
    "recipe",
    "fused",
    "device",
    "progress",
    "keep",
    "patience",
    "eval_every",
    "column",
    "count_column",
    "category_column",
    "comment",
    "case",
    "normalize",
    "rare",
)


def fit(
    names: Iterable[str] | Mapping[str, float] | Mapping[str, Iterable[str]] | str | os.PathLike[str],
    *,
    recipe: str | None = None,
    fused: bool | str = False,
    device: str = "cpu",
    progress: bool = False,
    keep: str = RunSettings.keep,
    patience: int = RunSettings.patience,
    eval_every: int = RunSettings.eval_every,
    column: str | int | None = None,
    count_column: str | int | None = None,
    category_column: str | int | None = None,
    comment: str | None = None,
    case: str = ListFormat.case,
    normalize: str = ListFormat.normalize,
    rare: int = ListFormat.rare,
    **options: Any,
) -> Generator:
    """Train a name generator.

    Args:
        names: the names, or an open text file with a name on each line; a mapping from names to how often each counts,
            such as a `collections.Counter`; a mapping from categories to the names of each; or the name of a list
            ("census", "surnames", "makemore"), or the path of a UTF-8 file with a name on each line or of a table
            (.csv, .tsv), which gzip may have packed.
        recipe: a named set of options, see `namegen_ext.training.RECIPES`. None takes "best", which finds the best
            model for the names by itself; or "default", the lecture's perceptron, where an option says how a model is
            to be trained.
        fused: True or "auto" for the fastest kernels that can be had, "layers" or "step" for these and
            nothing else, False for the stock torch.nn layers.
        device: "cpu", "cuda" or "auto".
        progress: whether to show the progress on standard output.
        keep: "best" for the model that had the least dev loss at an evaluation, "last" for that of the last step.
        patience: end once so many evaluations in a row brought no lower dev loss; 0 for never.
        eval_every: evaluate on the dev names every so many steps, and before the first time after a half, a quarter
            and so on of these, down to 100; 0 only at the end.
        column: of a table, the name or the number (from 1) of the column with the names; None for the one called
            "name" or the like, else the first.
        count_column: of a table, the column with how often each name counts; None for once each.
        category_column: of a table, the column with the category of each name; None for names without categories. One
            model learns the names of all categories, and `Generator.sample` draws those of each.
        comment: lines of a file that begin with this are passed over.
        case: "lower" learns names in lower case; "title" does too, and draws them with capital initials.
        normalize: the Unicode normal form that names are brought to: "none", "nfc" or "nfkc".
        rare: leave out the names with a character that fewer names than this have.
        options: the options of `namegen_ext.training.TrainOptions`, which are the flags of
            ``python -m namegen_ext.train``: steps, seed, model, hidden_size, learning_rate and so on. They
            take precedence over the recipe's.

    Returns:
        The trained generator.

    Raises:
        TypeError: an option does not exist, or names are not strings.
        ValueError: an option, or the names, have a value that is not allowed; the message names it.
        TrainingDivergedError: the loss is no longer finite.
        ImportError: torch is not installed.

    Example:
        >>> generator = fit("census", steps=50, fused=True)
        >>> generator
        Generator(mlp, 12,297 parameters, 27 symbols, 50 steps on 4,130 names of 'census')

    """
    kept = (keep, patience, eval_every)
    is_searched = kept == (RunSettings.keep, RunSettings.patience, RunSettings.eval_every)
    recipe = _recipe(recipe, options, is_searched=is_searched)
    train_options = _train_options(recipe, options)
    settings = _settings(keep=keep, patience=patience, eval_every=eval_every)
    reading = ListFormat(
        column=_column(column, "column"),
        count_column=_column(count_column, "count_column"),
        category_column=_column(category_column, "category_column"),
        comment=comment,
        case=case,
        normalize=normalize,
        rare=rare,
    )
    word_list = _word_list(names, reading)
    if word_list.categories:
        problem = problem_with_categories(train_options)
        if problem is not None:
            raise DataError(f"names with categories: {problem}")
    train_options, block_notes = fitted_block_size(train_options, options, word_list.words)
    if progress:
        for note in (*word_list.notes, *block_notes):
            print(note)
    fused_choice = _fused_choice(fused)
    needs_torch("training")
    from namegen_ext.training.backends import choose_device

    if MODELS[train_options.model].found:
        return _fit_mixture(word_list, train_options, recipe, reading, progress, device)
    from namegen_ext.training.progress import reporter_for
    from namegen_ext.training.summary import describe_result
    from namegen_ext.training.trainer import Trainer

    trainer = Trainer(
        word_list.words,
        train_options,
        weights=word_list.weights,
        fused=fused_choice,
        device=choose_device(device),
        reporter=reporter_for(sys.stdout) if progress else None,
        eval_every=settings.eval_every,
        keep=settings.keep,
        patience=settings.patience,
    )
    result = trainer.run()
    vocabulary = trainer.corpus.vocabulary
    config = RunConfig(
        recipe=recipe,
        options=train_options,
        model_config=train_options.model_config(len(vocabulary), len(word_list.categories)),
        vocabulary=vocabulary,
        data_name=word_list.name,
        data_source=word_list.source,
        words_sha256=words_sha256(word_list.words),
        weights_sha256=weights_sha256(word_list.weights),
        reading=reading,
        categories=word_list.categories,
        fused=fused_choice,
        device=device,
        run=settings,
    )
    if progress:
        print(describe_result(result))
    generator = Generator(
        result.model, config, word_list.words, steps=result.kept_step, weights=word_list.weights
    )
    generator.losses = {"train": result.train_loss, "dev": result.dev_loss, "test": result.test_loss}
    return generator


def _fit_mixture(
    words: WordList, options: TrainOptions, recipe: str, reading: ListFormat, progress: bool, device: str
) -> Generator:
    from namegen_ext.training.backends import choose_device

    chosen = choose_device(device)
    from namegen_ext.fitting.mixture_run import fit_mixture, mixture_summary
    from namegen_ext.fitting.search_report import describe_search

    tell = (lambda what, share: print(f"{share:4.0%}  {what}")) if progress else (lambda what, share: None)
    fitted = fit_mixture(words, options, recipe=recipe, reading=reading, progress=tell)
    if progress:
        print(describe_search(fitted.search))
    model = fitted.search.model.to(chosen)
    steps = fitted.search.steps
    generator = Generator(model, fitted.config, words.words, steps=steps, weights=words.weights)
    generator.summary = mixture_summary(fitted, samples=())
    if words.categories:
        judged = Generator(
            fitted.search.before_refit, fitted.config, words.words, steps=steps, weights=words.weights
        )
        generator._report = generator.summary["categories"] = judged.category_report()
    generator.losses = dict(fitted.search.losses)
    return generator


# What may be asked of the search for a model, and leaves open which one it is.
_OF_SEARCHES = {"seed", "split_seed", "split", "budget", "refit"}


def _recipe(recipe: str | None, options: dict[str, Any], *, is_searched: bool) -> str:
    if recipe is not None:
        return recipe
    model = options.get("model")
    is_open = is_searched and _OF_SEARCHES.issuperset(options.keys() - {"model"})
    return BEST_RECIPE if model == "mixture" or (model is None and is_open) else DEFAULT_RECIPE


def _train_options(recipe: str, options: dict[str, Any]) -> TrainOptions:
    known = [field.name for field in fields(TrainOptions)]
    for name in options:
        if name not in known:
            expected = ", ".join([*_FIT_PARAMETERS, *known])
            raise TypeError(f"fit() got an unknown option {name!r}; the options are {expected}")
    if recipe not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, but got {recipe!r}")
    if recipe == BEST_RECIPE:
        options = {"refit": True, **options}
    options = {name: 0.0 if name == "budget" and value is None else value for name, value in options.items()}
    if isinstance(options.get("budget"), int) and not isinstance(options["budget"], bool):
        options["budget"] = float(options["budget"])
    return RECIPES[recipe].train_options(options)


def _settings(**settings: Any) -> RunSettings:
    """Check the settings of a run as those of config.json are checked."""
    return RunSettings.from_json({**RunSettings().to_json(), **settings})


def _fused_choice(fused: bool | str) -> str | None:
    if isinstance(fused, bool):
        return "auto" if fused else None
    if fused not in FUSED_CHOICES:
        raise ValueError(f"fused must be True, False or one of {', '.join(FUSED_CHOICES)}, but got {fused!r}")
    return fused


def _column(column: str | int | None, name: str) -> str | None:
    if isinstance(column, int) and not isinstance(column, bool):
        return str(column)
    if column is not None and not isinstance(column, str):
        raise TypeError(f"{name} must be the name of a column or its number from 1, but got {column!r}")
    return column


def _word_list(
    names: Iterable[str] | Mapping[str, float] | Mapping[str, Iterable[str]] | str | os.PathLike[str],
    reading: ListFormat,
) -> WordList:
    if isinstance(names, (str, os.PathLike)):
        return load_words(names, reading)
    if reading.is_table or reading.comment is not None:
        which = "column" if reading.column is not None else "count_column"
        which = which if reading.is_table else "comment"
        raise ValueError(f"{which} is for names in a file, expected a path with it, but got {type(names)}")
    if isinstance(names, io.TextIOBase):  # its lines are meant
        names = [name for line in names if (name := line.strip())]
    categories: tuple[str, ...] = ()
    if _is_by_category(names):
        of_words = [(category, word) for category, own in names.items() for word in as_strings(own)]
        words, categories = marked_words(
            [word for _, word in of_words], [str(category) for category, _ in of_words], "names"
        )
    else:
        words = as_strings(names)
        check_unmarked(words, "names")
    if len(set(words)) < 2:
        raise DataError(f"names must hold at least two distinct names, but got {len(set(words))}")
    if "" in words:
        raise DataError(f"names must not be empty, but names[{words.index('')}] is")
    if all(word.endswith("\n") for word in words):
        raise DataError(
            f"names must not end with a line feed, but names[0] is {words[0]!r}; of the lines of a file, give the path"
            " or the open text file"
        )
    weights = _as_weights(names) if isinstance(names, Mapping) and not categories else None
    words, weights, notes = prepare_words(words, weights, reading, "names")
    return WordList(_GIVEN, words, "given to fit", words_sha256(words), weights, notes, categories)


def _is_by_category(names: object) -> TypeGuard[Mapping[str, Iterable[str]]]:
    """Tell a mapping from categories to their names from one from names to counts."""
    return (
        isinstance(names, Mapping)
        and len(names) > 0
        and all(isinstance(own, Iterable) and not isinstance(own, str | bytes) for own in names.values())
    )


def _as_weights(names: Mapping[str, Any]) -> list[float]:
    weights = []
    for name, count in names.items():
        is_number = isinstance(count, numbers.Real) and not isinstance(count, bool)
        if not is_number or not 0 <= float(count) < math.inf:
            raise DataError(f"the counts of names must be numbers of at least 0, but {name!r} has {count!r}")
        weights.append(float(count))
    return weights
