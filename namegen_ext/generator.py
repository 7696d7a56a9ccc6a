"""From a list of names to new ones in two lines: ``fit(names).sample(20)``."""

from __future__ import annotations

import importlib.util
import io
import math
import numbers
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namegen_ext.data import (
    DataError,
    ListFormat,
    Splits,
    Vocabulary,
    WordList,
    load_words,
    split_words,
)
from namegen_ext.data.prepared_words import prepare_words
from namegen_ext.models.specs import MODELS
from namegen_ext.options.block_size import fitted_block_size
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.options.recipes import BEST_RECIPE, DEFAULT_RECIPE, RECIPES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.runs.config import RunConfig, read_config, weights_sha256, words_sha256
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.losses import saved_losses
from namegen_ext.runs.saved_model import SavedModel, read_saved_model
from namegen_ext.sampling.api import iter_names
from namegen_ext.sampling.predictors import Predictor
from namegen_ext.sampling.sampler import DEFAULT_MAX_LENGTH
from namegen_ext.sampling.saved_network import saved_predictor
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.sampling.stream import NameStream
from namegen_ext.scoring.likelihood import Likelihood, symbol_nlls
from namegen_ext.scoring.near import DEFAULT_WITHIN
from namegen_ext.scoring.scorer import Scorer
from namegen_ext.scoring.scores import Scores
from namegen_ext.scoring.similar import UnlikeStream
from namegen_ext.scoring.streams import near_names, without_similar
from namegen_ext.steering import Constraints

if TYPE_CHECKING:
    from torch import nn

# The name of a word list that `fit` was given as an iterable.
_GIVEN = "names"

# What the names that are drawn can be asked to be.
_CONSTRAINTS = ("min_length", "max_length", "suffix", "contains", "without", "match", "avoid")

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
    "comment",
    "case",
    "normalize",
    "rare",
)


def fit(
    names: Iterable[str] | Mapping[str, float] | str | os.PathLike[str],
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
    comment: str | None = None,
    case: str = ListFormat.case,
    normalize: str = ListFormat.normalize,
    rare: int = ListFormat.rare,
    **options: Any,
) -> Generator:
    """Train a name generator.

    Args:
        names: the names, or an open text file with a name on each line; a mapping from names to how often each counts,
            such as a `collections.Counter`; or the name of a list ("census", "surnames", "makemore"), or the path of
            a UTF-8 file with a name on each line or of a table (.csv, .tsv), which gzip may have packed.
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
        comment=comment,
        case=case,
        normalize=normalize,
        rare=rare,
    )
    word_list = _word_list(names, reading)
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
        model_config=train_options.model_config(len(vocabulary)),
        vocabulary=vocabulary,
        data_name=word_list.name,
        data_source=word_list.source,
        words_sha256=words_sha256(word_list.words),
        weights_sha256=weights_sha256(word_list.weights),
        reading=reading,
        fused=fused_choice,
        device=device,
        run=settings,
    )
    if progress:
        print(describe_result(result))
    generator = Generator(
        result.model, config, word_list.words, steps=result.kept_step, weights=word_list.weights
    )
    generator._losses = {"train": result.train_loss, "dev": result.dev_loss, "test": result.test_loss}
    return generator


def _fit_mixture(
    words: WordList, options: TrainOptions, recipe: str, reading: ListFormat, progress: bool, device: str
) -> Generator:
    from namegen_ext.training.backends import choose_device

    chosen = choose_device(device)
    from namegen_ext.fitting.mixture_run import fit_mixture
    from namegen_ext.fitting.report import describe_search

    tell = (lambda what, share: print(f"{share:4.0%}  {what}")) if progress else (lambda what, share: None)
    fitted = fit_mixture(words, options, recipe=recipe, reading=reading, progress=tell)
    if progress:
        print(describe_search(fitted.search))
    model = fitted.search.model.to(chosen)
    generator = Generator(model, fitted.config, words.words, steps=fitted.search.steps, weights=words.weights)
    generator._losses = dict(fitted.search.losses)
    return generator


def load(run_dir: str | os.PathLike[str], device: str = "cpu") -> Generator:
    """Load a run directory, wherever it was moved to: what training or `Generator.save` wrote.

    Args:
        run_dir: the directory.
        device: "cpu", "cuda" or "auto".

    Raises:
        RunError: it is not a run directory, or a file in it is missing or damaged.
        ImportError: torch is needed, for a gpt or another device than the CPU, and is not installed.

    Example:
        >>> import tempfile
        >>> generator = fit("census", steps=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     generator.save(folder)
        ...     load(folder).sample(10, seed=1) == generator.sample(10, seed=1)
        True

    """
    return Generator.from_run(run_dir, device)


class Generator:
    """A trained model with its vocabulary and its names; made by `fit` or by `Generator.from_run`.

    A generator that was read from a run directory draws its names natively from the arrays of that directory. It needs
    no torch until `model` is asked for. The names are the same either way.

    Args:
        model: the trained model.
        config: how it was trained, and on what.
        words: all names, the dev and test ones included.
        steps: how many steps it was trained for.
        weights: how often each name counts; None for once each.

    Attributes:
        config: as given.
        vocabulary: the symbols.
        steps: as given.

    Example:
        >>> generator = fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
        >>> names = generator.sample(3, seed=1, prefix="b")
        >>> len(names), generator.steps, len(generator.splits.train)
        (3, 5, 5)

    """

    def __init__(
        self,
        model: nn.Module,
        config: RunConfig,
        words: list[str],
        *,
        steps: int,
        weights: list[float] | None = None,
    ) -> None:
        self._set_up(config, words, steps, weights)
        self.model = model

    def _set_up(self, config: RunConfig, words: list[str], steps: int, weights: list[float] | None) -> None:
        self.config = config
        self.vocabulary: Vocabulary = config.vocabulary
        self.steps = steps
        self._words = words
        self._weights = weights
        self._model: nn.Module | None = None
        # The model is built from the first when it is asked for. Until then names are drawn from the second.
        self._saved: SavedModel | None = None
        self._network: Predictor | None = None
        # In nats per character, by the names of the splits: what a page says of the model.
        self._losses: dict[str, float | None] = {}
        self._saved_scorer: Scorer | None = None  # of a model that is only read, and so stays as it is

    @cached_property
    def splits(self) -> Splits:
        """The names it was trained on (``splits.train``), and those kept for ``dev`` and ``test``."""
        options = self.config.options
        return split_words(self._words, options.split_seed, options.split, self._weights)

    @property
    def num_names(self) -> int:
        """How many names its list has, those of ``dev`` and ``test`` among them."""
        return len(self._words)

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
        words, weights = config.load_weighted_words(directory)
        generator._set_up(config, words, saved.step, weights)
        generator._saved = saved
        generator._network = saved_predictor(saved.layout, saved.arrays)
        generator._losses = saved_losses(directory)
        return generator

    @classmethod
    def _from_torch(cls, path: str | os.PathLike[str], device: str) -> Generator:
        needs_torch("this run")
        from namegen_ext.runs.saved_run import load_run
        from namegen_ext.training.backends import choose_device

        run = load_run(path, choose_device(device))
        generator = cls(run.model, run.config, run.words, steps=run.step, weights=run.weights)
        generator._losses = saved_losses(RunDirectory(Path(path)))
        return generator

    @property
    def model(self) -> nn.Module:
        """The trained model, of stock layers, in evaluation mode.

        It is built when it is first asked for, which needs torch. From then on names are drawn from the model as it
        is when they are drawn, so that a change to it shows in the names.

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
        self._saved = self._network = self._saved_scorer = None

    def sample(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        prefix: str = "",
        seed: int | None = None,
        novel: bool | str = False,
        unique: bool = False,
        max_similarity: float | None = None,
        like: str | None = None,
        within: int = DEFAULT_WITHIN,
        **constraints: Any,
    ) -> list[str]:
        """Draw n names; the arguments are those of `namegen_ext.sampling.iter_names`.

        With constraints the names are the model's own, given that they meet all of these: no letter is forced, which
        would give some names too often.

        Args:
            n: how many names.
            temperature: below 1 the names become likelier, above 1 more varied.
            top_k: draw each letter among the k likeliest only; None for all.
            prefix: stands at the start of each name; in any case, where the names were learnt in lower case.
            seed: the same seed draws the same names; None takes one from torch's global generator, or from the
                system where torch is not loaded.
            novel: leave out all names of its list, the dev and test names too, whatever their case and the writing of
                their accents; "train" leaves out the names that it was trained on, and only these.
            unique: leave out repeats.
            max_similarity: leave out names that are more similar than this to any name of its list, 0 to 1: two names
                of n letters at most with an edit distance of d are 1 - d / n similar, whatever their case. 1 keeps all.
            like: draw names near this one alone: from the model's own distribution given that the edit distance is at
                most ``within``. See `namegen_ext.scoring.near`.
            within: the largest edit distance from ``like``, 1 to 3.
            constraints: what names are to be, the fields of `namegen_ext.steering.Constraints`: ``min_length``,
                ``max_length``, ``suffix``, ``contains``, ``without``, ``match`` and ``avoid``. They are brought to the
                case and the normal form in which the names were learnt. Where the names were learnt in lower case,
                ``match`` takes capital and small letters for the same.

        Raises:
            ValueError: an argument that cannot be; the message names it. Or no name can meet the constraints.
            SamplingError: not so many novel or unique names, or names that meet the constraints, can be found, or none
                that is near ``like``.
            ImportError: ``max_similarity`` is given, and rapidfuzz is not installed.

        Example:
            >>> generator = fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
            >>> names = generator.sample(50, seed=1, suffix="n", min_length=2, max_length=5)
            >>> {name[-1] for name in names}, max(map(len, names)) <= 5
            ({'n'}, True)

        """
        return self.stream(
            n,
            temperature=temperature,
            top_k=top_k,
            prefix=prefix,
            seed=seed,
            novel=novel,
            unique=unique,
            max_similarity=max_similarity,
            like=like,
            within=within,
            **constraints,
        ).to_list()

    def stream(
        self,
        n: int,
        *,
        novel: bool | str = False,
        max_similarity: float | None = None,
        like: str | None = None,
        within: int = DEFAULT_WITHIN,
        **options: Any,
    ) -> NameStream | UnlikeStream:
        """Draw names one after another, with the options of `sample` or `namegen_ext.sampling.iter_names`.

        Returns:
            An iterator; its ``counts`` tell how many of the names are not in the list, or, with novel="train", not
            among those that it was trained on.

        Raises:
            ValueError: an argument that cannot be; the message names it.

        """
        if novel not in (False, True, "train"):
            raise ValueError(f"novel must be True, False or 'train', but got {novel!r}")
        reading = self.config.reading
        options["constraints"] = self._constraints(options)
        options["max_length"] = self.max_length  # of names without constraints, which are cut there
        if isinstance(options.get("prefix"), str):
            options["prefix"] = reading.as_learnt(options["prefix"])
        options.setdefault("case", reading.case)
        known = self.splits.train if novel == "train" else self._words
        options |= {"training_names": known, "novel": novel is not False}
        draw = self._draw if like is None else partial(self._draw_near, like, within)
        if max_similarity is None:
            return draw(n, **options)
        return without_similar(draw, n, self._scorer.near, max_similarity, **options)

    def _draw(self, n: int, **options: Any) -> NameStream:
        # The Python backend asks torch.
        network = None if options.get("backend") == "python" else self._network
        return iter_names(self.model if network is None else network, self.vocabulary, n, **options)

    def _draw_near(self, name: str, within: int, n: int, **options: Any) -> NameStream:
        if not isinstance(name, str):
            raise ValueError(f"like must be a string, but got {name!r}")
        return near_names(self._likelihood, self.config.reading.as_learnt(name), within, n, **options)

    def _constraints(self, options: dict[str, Any]) -> Constraints:
        """Take the constraints out of the options."""
        given = {name: options.pop(name) for name in _CONSTRAINTS if name in options}
        reading = self.config.reading
        return Constraints(**given, ignore_case=reading.case != "keep").mapped(reading.as_learnt)

    @property
    def max_length(self) -> int:
        """The number of letters after which a name is cut: that of the longest name of the list, and at least 64."""
        return max(DEFAULT_MAX_LENGTH, max(map(len, self._words), default=0))

    def score(self, names: Iterable[str], *, nearest: bool = True) -> Scores:
        """Tell how likely names are, and what in the list they resemble.

        Natively where the native sampler covers the model, else through torch. Names are brought to the case and the
        normal form in which they were learnt.

        Args:
            names: any strings. One with a letter that the model does not know has an infinite nll.
            nearest: whether the nearest name of the list is looked for, which takes most of the time. Measured: 0.2 ms
                a name (32,033 names in the list), 0.002 ms without.

        Returns:
            A sequence with a row, a dict, for each name: name, nll (in nats, its end included), nll_per_character (nll
            divided by its letters and its end), percentile (of how many percent of the training names the nll per
            character is larger), novel (whether it is not in the list), nearest, distance (the edit distance), and
            unknown, the first letter that the model does not know, where there is one.

        Raises:
            TypeError: ``names`` is one string, or holds something else than strings.
            SamplingError: the model's logits are not all finite.
            ImportError: ``nearest``, and rapidfuzz is not installed.

        Example:
            >>> generator = fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
            >>> row = generator.score(["hanna", "xy"])[1]
            >>> row["nll"], row["unknown"], row["nearest"], row["distance"]
            (inf, 'x', 'ben', 3)

        """
        return self._scorer.score(_as_strings(names), nearest=nearest)

    def rank(self, names: Iterable[str]) -> list[float]:
        """Tell of how many percent of the training names the nll per character is larger; 100 for the likeliest.

        Raises:
            TypeError: ``names`` is one string, or holds something else than strings.
            SamplingError: the model's logits are not all finite.

        """
        return self._scorer.score(_as_strings(names), nearest=False).percentile.tolist()

    def nearest(self, name: str) -> tuple[str, int]:
        """Find the name of its list that is nearest to a given one, and their edit distance.

        Names are compared whatever their case and the writing of their accents.

        Raises:
            TypeError: ``name`` is not a string.
            ImportError: rapidfuzz is not installed.

        """
        (found,), (distance,) = self._scorer.near.find(_as_strings([name]))
        return found, distance

    @property
    def _scorer(self) -> Scorer:
        if self._saved_scorer is not None:
            return self._saved_scorer
        scorer = Scorer(self._likelihood(), self.config.reading.as_learnt, self._words, self.splits.train)
        if self._network is not None:
            self._saved_scorer = scorer
        return scorer

    def _likelihood(self, shaping: Shaping | None = None, *, drawn: bool = False) -> Likelihood:
        model = self.model if self._network is None else self._network
        nlls = symbol_nlls(
            model,
            len(self.vocabulary),
            model.block_size,  # type: ignore[arg-type]
            sequences=MODELS[self.config.options.model].sequences,
            shaping=shaping,
            drawn=drawn,
        )
        return Likelihood(nlls, self.vocabulary)

    def nll(self, names: Iterable[str]) -> float:
        """Compute the mean negative log-likelihood per character, in nats. The end of a name counts as a character.

        Names are brought to the case and the normal form in which they were learnt.

        Raises:
            TypeError: ``names`` is one string, or holds something else than strings.
            ValueError: there are no names, or one has a letter that the model does not know.

        """
        words = [self.config.reading.as_learnt(name) for name in _as_strings(names)]
        if not words:
            raise ValueError("names must hold a name at least, but got none")
        model = self.model
        from namegen_ext.training.corpus import build_examples
        from namegen_ext.training.evaluation import evaluate

        device = next(chain(model.parameters(), model.buffers())).device
        options = self.config.options
        tokens, targets = build_examples(options.model, words, self.vocabulary, options.block_size)
        loss = evaluate(model, tokens.to(device), targets.to(device))
        assert loss is not None  # every name has an end, so there are examples
        return loss

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a run directory that `from_run` and ``python -m namegen_ext.sample`` read.

        It holds config.json, model.safetensors and, where the names do not come with the package, words.txt; where they
        have counts, weights.txt.

        Raises:
            RunError: it exists and is not empty, or cannot be written.

        """
        model = self.model
        from namegen_ext.runs.checkpoint import save_model

        directory = RunDirectory.create(Path(path))
        self.config.write(directory, self._words, self._weights)
        save_model(directory, model.state_dict(), self.steps)

    def export(
        self, path: str | os.PathLike[str], to: str | None = None, *, with_names: bool = True
    ) -> list[Path]:
        """Write the model as one file that others can run, without this package.

        Args:
            path: the file; one that stands there is replaced.
            to: "html" for a page, "js" for a module of JavaScript, "json" for a document that docs/format.md describes,
                "onnx" or "pt2" (torch.export's archive) for a network's next-symbol logits; None goes by the path's
                ending.
            with_names: whether a page, a module or a document holds the names of the list, which it needs to tell new
                names from these.

        Returns:
            The files written: the types of a module stand beside it.

        Raises:
            ExportError: the model cannot be exported so; the message says why.
            RunError: a file cannot be written.
            ImportError: torch is needed, for "onnx" and "pt2", and is not installed.

        Example:
            >>> import tempfile
            >>> generator = fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     [path.name for path in generator.export(Path(folder) / "names.mjs", to="js")]
            ['names.mjs', 'names.d.mts']

        """
        from namegen_ext.exporting.document import Exported
        from namegen_ext.exporting.export import OF_MODULES, export_document, export_module, target_of

        path = Path(path)
        to = target_of(path, to)
        if to in OF_MODULES:
            return export_module(self.model, path, to)
        exported = Exported(
            config=self.config,
            arrays=self._arrays(),
            words=self._words if with_names else None,
            num_words=self.num_names,
            num_values=self._num_values(),
            steps=self.steps,
            max_length=self.max_length,
            losses=self._losses,
        )
        return export_document(exported, path, to)

    def _arrays(self) -> Mapping[str, Any]:
        """Return the parameters and buffers of the model, by their names in its state_dict."""
        if self._saved is not None:
            return self._saved.arrays
        state = self.model.state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    def _num_values(self) -> int:
        if self._saved is not None:
            return self._saved.num_values
        from namegen_ext.models.number_of_values import number_of_values

        return number_of_values(self.model)

    def __repr__(self) -> str:
        num_values = self._num_values()
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
    names: Iterable[str] | Mapping[str, float] | str | os.PathLike[str], reading: ListFormat
) -> WordList:
    if isinstance(names, (str, os.PathLike)):
        return load_words(names, reading)
    if reading.is_table or reading.comment is not None:
        which = "column" if reading.column is not None else "count_column"
        which = which if reading.is_table else "comment"
        raise ValueError(f"{which} is for names in a file, expected a path with it, but got {type(names)}")
    if isinstance(names, io.TextIOBase):  # its lines are meant
        names = [name for line in names if (name := line.strip())]
    words = _as_strings(names)
    if len(set(words)) < 2:
        raise DataError(f"names must hold at least two distinct names, but got {len(set(words))}")
    if "" in words:
        raise DataError(f"names must not be empty, but names[{words.index('')}] is")
    if all(word.endswith("\n") for word in words):
        raise DataError(
            f"names must not end with a line feed, but names[0] is {words[0]!r}; of the lines of a file, give the path"
            " or the open text file"
        )
    weights = _as_weights(names) if isinstance(names, Mapping) else None
    words, weights, notes = prepare_words(words, weights, reading, "names")
    return WordList(_GIVEN, words, "given to fit", words_sha256(words), weights, notes)


def _as_weights(names: Mapping[str, float]) -> list[float]:
    weights = []
    for name, count in names.items():
        is_number = isinstance(count, numbers.Real) and not isinstance(count, bool)
        if not is_number or not 0 <= float(count) < math.inf:
            raise DataError(f"the counts of names must be numbers of at least 0, but {name!r} has {count!r}")
        weights.append(float(count))
    return weights


def _as_strings(names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"names must be a list of strings, but got the string {names!r}")
    words = list(names)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"names must be strings, but got {word!r}")
    return words
