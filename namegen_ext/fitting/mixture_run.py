"""A search from options and words to all that a run directory holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from namegen_ext.data import DataError, ListFormat, Splits, Vocabulary, WordList, split_words
from namegen_ext.data.splits import MIN_WORDS
from namegen_ext.fitting.search import Search, Searcher
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import OptionError, TrainOptions
from namegen_ext.runs.config import RunConfig, weights_sha256, words_sha256


@dataclass(frozen=True)
class MixtureRun:
    """What a search came to.

    Attributes:
        search: what was found.
        config: of the run.

    """

    search: Search
    config: RunConfig


def fit_mixture(
    words: WordList,
    options: TrainOptions,
    *,
    recipe: str,
    reading: ListFormat | None = None,
    settings: RunSettings | None = None,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> MixtureRun:
    """Find the mixture for a list.

    Args:
        words: the list.
        options: its model is "mixture".
        recipe: where the options come from.
        reading: how the list was read.
        settings: of the run; None takes the defaults, of one thread.
        progress: see :class:`namegen_ext.fitting.search.Searcher`.

    Raises:
        DataError: there are too few names.
        OptionError: the split keeps no names to choose by.

    """
    settings = RunSettings() if settings is None else settings
    check_number_of_names(len(words.words))
    vocabulary = Vocabulary.from_words(words.words)
    splits = split_words(words.words, options.split_seed, options.split, words.weights)
    if not splits.dev:
        raise OptionError(
            "split", f"got {options.split!r}, expected '80-10-10': names to choose by are kept from it"
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        search = Searcher(
            splits,
            vocabulary,
            weights=_in_order(words, splits),
            seed=options.seed,
            budget=options.budget or None,
            refit=options.refit,
            threads=settings.threads,
            progress=progress,
        ).run()
    finally:
        torch.set_num_threads(threads)
    num_marks = 1 if words.categories else 0  # of a context
    options = replace(options, block_size=search.model.block_size - num_marks)
    config = RunConfig(
        recipe=recipe,
        options=options,
        model_config=search.model.config,
        vocabulary=vocabulary,
        data_name=words.name,
        data_source=words.source,
        words_sha256=words_sha256(words.words),
        weights_sha256=weights_sha256(words.weights),
        reading=ListFormat() if reading is None else reading,
        categories=words.categories,
        fused=None,
        device="cpu",
        run=settings,
    )
    return MixtureRun(search, config)


def check_number_of_names(number: int) -> None:
    """Make sure that names can be held out.

    Raises:
        DataError: there are too few.

    """
    if number < MIN_WORDS:
        raise DataError(
            f"expected at least {MIN_WORDS} names, as some are held out to choose a model by, but got {number}"
        )


def _in_order(words: WordList, splits: Splits) -> list[float] | None:
    """Return the weights of the names in the order of train, dev and test; with weights no name is there twice."""
    if words.weights is None:
        return None
    weight_of = dict(zip(words.words, words.weights, strict=True))
    return [weight_of[word] for part in (splits.train, splits.dev, splits.test) for word in part]


def mixture_summary(run: MixtureRun, samples: Sequence[str]) -> dict[str, object]:
    """Return the content of summary.json, with the keys of other runs as far as they mean something here."""
    from namegen_ext.fitting.search_report import search_summary
    from namegen_ext.models.number_of_values import number_of_values

    search, options = run.search, run.config.options
    return {
        "model": options.model,
        "recipe": run.config.recipe,
        "backend": "fused-step",
        "device": "cpu",
        "parameters": number_of_values(search.model),
        "steps": search.steps,
        **{f"{name}_loss": loss for name, loss in search.losses.items()},
        "train_seconds": search.seconds,
        "interrupted": False,
        "data": run.config.data_name,
        "seed": options.seed,
        "search": search_summary(search),
        "samples": list(samples),
    }
