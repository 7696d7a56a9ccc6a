"""A search from options and words to all that a run directory holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from namegen_ext.data import Vocabulary, WordList, split_words
from namegen_ext.fitting.search import Search, Searcher
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import OptionError, TrainOptions
from namegen_ext.runs.config import RunConfig, words_sha256


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
    settings: RunSettings | None = None,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> MixtureRun:
    """Find the mixture for a list.

    Args:
        words: the list.
        options: its model is "mixture".
        recipe: where the options come from.
        settings: of the run; None takes the defaults, of one thread.
        progress: see :class:`namegen_ext.fitting.search.Searcher`.

    Raises:
        DataError: there are too few names.
        OptionError: the split keeps no names to choose by.

    """
    settings = RunSettings() if settings is None else settings
    vocabulary = Vocabulary.from_words(words.words)
    splits = split_words(words.words, options.split_seed, options.split)
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
            seed=options.seed,
            budget=options.budget or None,
            refit=options.refit,
            progress=progress,
        ).run()
    finally:
        torch.set_num_threads(threads)
    options = replace(options, block_size=search.model.block_size)
    config = RunConfig(
        recipe=recipe,
        options=options,
        model_config=search.model.config,
        vocabulary=vocabulary,
        data_name=words.name,
        data_source=words.source,
        words_sha256=words_sha256(words.words),
        fused=None,
        device="cpu",
        run=settings,
    )
    return MixtureRun(search, config)


def mixture_summary(run: MixtureRun, samples: Sequence[str]) -> dict[str, object]:
    """Return the content of summary.json, with the keys of other runs as far as they mean something here."""
    from namegen_ext.fitting.report import search_summary
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
