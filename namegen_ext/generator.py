"""Two lines from a list of names to new ones: ``fit(names).sample(20)``."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namegen_ext.data import (
    DataError,
    Splits,
    Vocabulary,
    WordList,
    load_words,
    split_words,
)
from namegen_ext.models.specs import MODELS
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.options.recipes import BEST_RECIPE, DEFAULT_RECIPE, RECIPES
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.runs.config import RunConfig, read_config, words_sha256
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.saved_model import SavedModel, read_saved_model
from namegen_ext.sampling.api import iter_names
from namegen_ext.sampling.predictors import Predictor
from namegen_ext.sampling.sampler import DEFAULT_MAX_LENGTH
from namegen_ext.sampling.saved_network import saved_predictor
from namegen_ext.sampling.stream import NameStream

if TYPE_CHECKING:
    from torch import nn

# What `fit` calls a word list that came as an iterable.
_GIVEN = "names"


def fit(
    names: Iterable[str] | str | os.PathLike[str],
    *,
    recipe: str | None = None,
    fused: bool | str = False,
    device: str = "cpu",
    progress: bool = False,
    **options: Any,
) -> Generator:
    """Train a name generator.

    Args:
        names: the names, or the name of a list ("census", "surnames", "makemore"), or the path of a UTF-8
            file with a name on each line.
        recipe: a named set of options, see `namegen_ext.training.RECIPES`. None takes "best", which finds the best
            model for the names by itself; or "default", the lecture's perceptron, where an option says how a model is
            to be trained.
        fused: True or "auto" for the fastest kernels that can be had, "layers" or "step" for these and
            nothing else, False for the stock torch.nn layers.
        device: "cpu", "cuda" or "auto".
        progress: whether to show the progress on standard output.
        options: the options of `namegen_ext.training.TrainOptions`, which are the flags of
            ``python -m namegen_ext.train``: steps, seed, model, hidden_size, learning_rate and so on. They
            take precedence over the recipe's.

    Returns:
        The trained generator.

    Raises:
        TypeError: an option that there is not, or names that are not strings.
        ValueError: an option or the names have a value that cannot be; the message says which.
        TrainingDivergedError: the loss is no longer finite.

    """
    recipe = _recipe(recipe, options)
    train_options = _train_options(recipe, options)
    word_list = _word_list(names)
    fused_choice = _fused_choice(fused)
    needs_torch("training")
    from namegen_ext.training.backends import choose_device

    if MODELS[train_options.model].found:
        return _fit_mixture(word_list, train_options, recipe, progress, device)
    from namegen_ext.training.progress import reporter_for
    from namegen_ext.training.trainer import Trainer

    trainer = Trainer(
        word_list.words,
        train_options,
        fused=fused_choice,
        device=choose_device(device),
        reporter=reporter_for(sys.stdout) if progress else None,
        eval_every=0,
    )
    result = trainer.run()
    vocabulary = trainer.corpus.vocabulary
    config = RunConfig(
        recipe=recipe,
        options=train_options,
        model_config=train_options.model_config(len(vocabulary)),
        vocabulary=vocabulary,
        data_name=word_list.name,
        data_source=word_list.source,
        words_sha256=words_sha256(word_list.words),
        fused=fused_choice,
        device=device,
    )
    return Generator(result.model, config, word_list.words, steps=result.steps)


def _fit_mixture(
    words: WordList, options: TrainOptions, recipe: str, progress: bool, device: str
) -> Generator:
    from namegen_ext.training.backends import choose_device

    chosen = choose_device(device)
    from namegen_ext.fitting.mixture_run import fit_mixture
    from namegen_ext.fitting.report import describe_search

    tell = (lambda what, share: print(f"{share:4.0%}  {what}")) if progress else (lambda what, share: None)
    fitted = fit_mixture(words, options, recipe=recipe, progress=tell)
    if progress:
        print(describe_search(fitted.search))
    model = fitted.search.model.to(chosen)
    return Generator(model, fitted.config, words.words, steps=fitted.search.steps)


def load(run_dir: str | os.PathLike[str], device: str = "cpu") -> Generator:
    """Load a run directory, wherever it was moved to: what training or `Generator.save` wrote.

    Args:
        run_dir: the directory.
        device: "cpu", "cuda" or "auto".

    Raises:
        RunError: it is not a run directory, or a file in it is missing or damaged.

    """
    return Generator.from_run(run_dir, device)


class Generator:
    """A trained model with its vocabulary and its names; made by `fit` or by `Generator.from_run`.

    A generator that was read from a run directory draws its names natively from the arrays that stand there, and
    needs no torch, as long as nobody asks for `model`. The names are the same either way.

    Args:
        model: the trained model.
        config: how it was trained, and on what.
        words: all names, the dev and test ones included.
        steps: how many steps it was trained for.

    Attributes:
        config: as given.
        vocabulary: the symbols.
        splits: the names it was trained on (``splits.train``), and those kept for ``dev`` and ``test``.
        steps: as given.

    """

    def __init__(self, model: nn.Module, config: RunConfig, words: list[str], *, steps: int) -> None:
        self._set_up(config, words, steps)
        self.model = model

    def _set_up(self, config: RunConfig, words: list[str], steps: int) -> None:
        self.config = config
        self.vocabulary: Vocabulary = config.vocabulary
        options = config.options
        self.splits: Splits = split_words(words, options.split_seed, options.split)
        self.steps = steps
        self._words = words
        # A mixture has learnt all names where it was trained on them in the end.
        self._training_names = frozenset(words if options.refit else self.splits.train)
        self._model: nn.Module | None = None
        # What a model that is not built yet is built from, and what is drawn from until then.
        self._saved: SavedModel | None = None
        self._network: Predictor | None = None

    @classmethod
    def from_run(cls, path: str | os.PathLike[str], device: str = "cpu") -> Generator:
        """Load what `save` or ``python -m namegen_ext.train`` wrote; nothing in it is executed.

        Raises:
            RunError: it is not a run directory, or a file in it is missing or damaged.
            ImportError: torch is needed, for a gpt or another device than the CPU, and is not installed.

        """
        if device != "cpu":
            return cls._from_torch(path, device)
        directory = RunDirectory(Path(path))
        config = read_config(directory)
        saved = read_saved_model(directory, config)
        if saved is None:
            return cls._from_torch(path, device)
        generator = cls.__new__(cls)
        generator._set_up(config, config.load_words(directory), saved.step)
        generator._saved = saved
        generator._network = saved_predictor(saved.layout, saved.arrays)
        return generator

    @classmethod
    def _from_torch(cls, path: str | os.PathLike[str], device: str) -> Generator:
        needs_torch("this run")
        from namegen_ext.runs.saved_run import load_run
        from namegen_ext.training.backends import choose_device

        run = load_run(path, choose_device(device))
        return cls(run.model, run.config, run.words, steps=run.step)

    @property
    def model(self) -> nn.Module:
        """The trained model, of stock layers, in evaluation mode.

        It is built when it is first asked for, which needs torch. From then on names are drawn from it as it is at
        that moment, so that whoever changes it draws from what it has become.

        Raises:
            ImportError: torch is not installed.

        """
        if self._model is None:
            needs_torch("the model")
            from namegen_ext.runs.saved_run import built_model

            assert self._saved is not None  # a generator has the one or the other
            self.model = built_model(self.config, self._saved)
        assert self._model is not None
        return self._model

    @model.setter
    def model(self, model: nn.Module) -> None:
        self._model = model
        self._saved = self._network = None

    def sample(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        prefix: str = "",
        seed: int | None = None,
        novel: bool = False,
        unique: bool = False,
    ) -> list[str]:
        """Draw n names; the arguments are those of `namegen_ext.sampling.iter_names`.

        Args:
            n: how many names.
            temperature: below 1 the names become likelier, above 1 more varied.
            top_k: draw each letter among the k likeliest only; None for all.
            prefix: stands at the start of each name.
            seed: the same seed draws the same names; None takes one from torch's global generator, or from the
                system where torch is not loaded.
            novel: leave out the names that it was trained on.
            unique: leave out repeats.

        Raises:
            ValueError: an argument that cannot be; the message names it.
            SamplingError: there are not so many novel or unique names to be found.

        """
        return self.stream(
            n,
            temperature=temperature,
            top_k=top_k,
            prefix=prefix,
            seed=seed,
            novel=novel,
            unique=unique,
        ).to_list()

    def stream(self, n: int, **options: Any) -> NameStream:
        """Draw names one after another, with the options of `sample` or `namegen_ext.sampling.iter_names`.

        Returns:
            An iterator; its ``counts`` tell how many of the names are not among those that it was trained on.

        """
        options.setdefault("max_length", self.max_length)
        # The Python backend asks torch.
        network = None if options.get("backend") == "python" else self._network
        model = self.model if network is None else network
        return iter_names(model, self.vocabulary, n, training_names=self._training_names, **options)

    @property
    def max_length(self) -> int:
        """After so many letters a name is cut: as many as the longest training name has, and 64 at least."""
        return max(DEFAULT_MAX_LENGTH, *map(len, self._training_names))

    def nll(self, names: Iterable[str]) -> float:
        """Compute the mean negative log-likelihood per character, in nats; the end of a name counts as one.

        Raises:
            TypeError: ``names`` is one string, or holds something else than strings.
            ValueError: there are no names, or one has a letter that the model does not know.

        """
        words = _as_strings(names)
        if not words:
            raise ValueError("names must hold a name at least, but got none")
        model = self.model
        from namegen_ext.training.corpus import build_examples
        from namegen_ext.training.evaluation import evaluate

        device = next(chain(model.parameters(), model.buffers())).device
        options = self.config.options
        tokens, targets = build_examples(options.model, words, self.vocabulary, options.block_size)
        loss = evaluate(model, tokens.to(device), targets.to(device))
        assert loss is not None  # there are examples: every name has an end
        return loss

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a run directory that `from_run` and ``python -m namegen_ext.sample`` read.

        It holds config.json, model.safetensors and, where the names do not come with the package, words.txt.

        Raises:
            RunError: it exists and is not empty, or cannot be written.

        """
        model = self.model
        from namegen_ext.runs.checkpoint import save_model

        directory = RunDirectory.create(Path(path))
        self.config.write(directory, self._words)
        save_model(directory, model, self.steps)

    def __repr__(self) -> str:
        if self._saved is not None:
            num_values = self._saved.num_values
        else:
            from namegen_ext.models.number_of_values import number_of_values

            num_values = number_of_values(self.model)
        return (
            f"Generator({self.config.options.model}, {num_values:,} parameters, "
            f"{len(self.vocabulary)} symbols, {self.steps:,} steps on {len(self.splits.train):,} names of "
            f"{self.config.data_name!r})"
        )


def needs_torch(what: str) -> None:
    """Make sure that torch is there.

    Raises:
        ImportError: it is not installed; one line that says how to get it.

    """
    if importlib.util.find_spec("torch") is None:
        raise ImportError(f"{what} needs torch, which is not installed: pip install torch", name="torch")


# What may be asked of the search for a model, and leaves open which one it is.
_OF_SEARCHES = {"seed", "split_seed", "split", "budget", "refit"}


def _recipe(recipe: str | None, options: dict[str, Any]) -> str:
    if recipe is not None:
        return recipe
    model = options.get("model")
    is_open = _OF_SEARCHES.issuperset(options.keys() - {"model"})
    return BEST_RECIPE if model == "mixture" or (model is None and is_open) else DEFAULT_RECIPE


def _train_options(recipe: str, options: dict[str, Any]) -> TrainOptions:
    known = [field.name for field in fields(TrainOptions)]
    for name in options:
        if name not in known:
            expected = ", ".join(["recipe", "fused", "device", "progress", *known])
            raise TypeError(f"fit() got an unknown option {name!r}; the options are {expected}")
    if recipe not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, but got {recipe!r}")
    if recipe == BEST_RECIPE:
        options = {"refit": True, **options}
    options = {name: 0.0 if name == "budget" and value is None else value for name, value in options.items()}
    if isinstance(options.get("budget"), int) and not isinstance(options["budget"], bool):
        options["budget"] = float(options["budget"])
    return RECIPES[recipe].train_options(options)


def _fused_choice(fused: bool | str) -> str | None:
    if isinstance(fused, bool):
        return "auto" if fused else None
    if fused not in FUSED_CHOICES:
        raise ValueError(f"fused must be True, False or one of {', '.join(FUSED_CHOICES)}, but got {fused!r}")
    return fused


def _word_list(names: Iterable[str] | str | os.PathLike[str]) -> WordList:
    if isinstance(names, (str, os.PathLike)):
        return load_words(names)
    words = _as_strings(names)
    if len(set(words)) < 2:
        raise DataError(f"names must hold at least two distinct names, but got {len(set(words))}")
    if "" in words:
        raise DataError(f"names must not be empty, but names[{words.index('')}] is")
    return WordList(name=_GIVEN, words=words, source="given to fit", sha256=words_sha256(words))


def _as_strings(names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"names must be a list of strings, but got the string {names!r}")
    words = list(names)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"names must be strings, but got {word!r}")
    return words
