"""A trained model with its alphabet: draws names, scores them, is saved and exported."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from namegen_ext.data import (
    ListFormat,
    Splits,
    Vocabulary,
    split_words,
)
from namegen_ext.data.categories import (
    category_of,
    letters_of,
    mark_of,
    parse_categories,
    without_mark,
)
from namegen_ext.data.strings import as_strings
from namegen_ext.models.model_sizes import block_size_of
from namegen_ext.models.specs import MODELS
from namegen_ext.runs.config import RunConfig, read_config
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.saved_losses import saved_categories, saved_losses
from namegen_ext.runs.saved_model import SavedModel, read_saved_model
from namegen_ext.sampling.category_models import Part, iter_mixed_names, of_category
from namegen_ext.sampling.predictors import Predictor
from namegen_ext.sampling.sampler import DEFAULT_MAX_LENGTH
from namegen_ext.sampling.saved_network import saved_predictor
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.sampling.stream import NameStream
from namegen_ext.scoring.likelihood import Likelihood, symbol_nlls
from namegen_ext.scoring.mixed import MixedLikelihood
from namegen_ext.scoring.near import DEFAULT_WITHIN
from namegen_ext.scoring.scorer import NameLikelihood, Scorer
from namegen_ext.scoring.scores import Scores
from namegen_ext.scoring.similar import UnlikeStream
from namegen_ext.scoring.streams import near_names, without_similar
from namegen_ext.steering import take_constraints

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from namegen_ext.mix import GeneratorMix


def load(run_dir: str | os.PathLike[str], device: str = "cpu") -> Generator:
    """Load a run directory, wherever it was moved to: what training or `Generator.save` wrote.

    Args:
        run_dir: the directory.
        device: "cpu", "cuda" or "auto".

    Raises:
        RunError: it is not a run directory, or a file in it is missing or damaged.
        ImportError: torch is needed, for another device than the CPU, and is not installed.

    Example:
        >>> import namegen_ext
        >>> import tempfile
        >>> generator = namegen_ext.fit("census", steps=5)
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
        vocabulary: the symbols of names.
        steps: as given.
        categories: the names of the categories of its list; none where it has none.
        losses: of "train", "dev" and "test" names, in nats per character, as far as they are known.
        summary: of a mixture that `fit` has just found, what summary.json tells of it: what was tried, and the losses
            of before it was trained on all names; else None.

    Example:
        >>> import namegen_ext
        >>> generator = namegen_ext.fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
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
        self.categories = config.categories
        self.vocabulary: Vocabulary = (
            letters_of(config.vocabulary) if config.categories else config.vocabulary
        )
        self.steps = steps
        self.summary: dict[str, object] | None = None
        self._marked_words = words  # each with the mark of its category, where there are categories
        self._words = [without_mark(word) for word in words] if config.categories else words
        self._weights = weights
        self._model: nn.Module | None = None
        # The model is built from the first when it is asked for. Until then names are drawn from the second.
        self._saved: SavedModel | None = None
        self._network: Predictor | None = None
        self.losses: dict[str, float | None] = {}
        self._report: dict[str, Any] | None = None  # of the model before it learnt all names
        self._saved_scorer: Scorer | None = None  # of a model that is only read, and so stays as it is

    @cached_property
    def splits(self) -> Splits:
        """The names it learnt from (``splits.train``), and those kept for ``dev`` and ``test``.

        A mixture with the option ``refit`` was trained on all of them in the end. The losses of before are in
        ``summary`` and in the run directory's summary.json.
        """
        splits = self._marked_splits
        if not self.categories:
            return splits
        train, dev, test = (
            [without_mark(word) for word in part] for part in (splits.train, splits.dev, splits.test)
        )
        return Splits(train, dev, test, splits.train_weights)

    @cached_property
    def _marked_splits(self) -> Splits:
        options = self.config.options
        return split_words(self._marked_words, options.split_seed, options.split, self._weights)

    @staticmethod
    def mix(parts: Sequence[tuple[Generator, float]]) -> GeneratorMix:
        """Make one generator of several finished ones: a mixture of their distributions.

        Each name is drawn from one of them, chosen by its weight. Their alphabets need not be the same.

        Args:
            parts: the generators, each with its weight; the weights sum to 1.

        Raises:
            ValueError: they cannot be mixed; the message says why.

        Example:
            >>> import namegen_ext
            >>> first = namegen_ext.fit(["anna", "ben", "cleo", "dan", "eva", "finn"], steps=5)
            >>> second = namegen_ext.fit(["xu", "yi", "zoe", "xi", "yu", "zo"], steps=5)
            >>> mixed = Generator.mix([(first, 0.7), (second, 0.3)])
            >>> len(mixed.sample(10, seed=1)), mixed.nearest("zoey")
            (10, ('zoe', 1))

        """
        from namegen_ext.mix import GeneratorMix

        return GeneratorMix(parts)

    @property
    def reading(self) -> ListFormat:
        """How its list was read, and what was done to its names."""
        return self.config.reading

    @property
    def words(self) -> list[str]:
        """The names of its list as they were learnt, those of ``dev`` and ``test`` among them."""
        return list(self._words)

    @property
    def _training_names(self) -> list[str]:
        return self._words if self.config.options.refit else self.splits.train

    @property
    def num_names(self) -> int:
        """How many names its list has, those of ``dev`` and ``test`` among them."""
        return len(self._words)

    @classmethod
    def from_run(cls, path: str | os.PathLike[str], device: str = "cpu") -> Generator:
        """Load what `save` or ``python -m namegen_ext.train`` wrote; nothing in it is executed.

        Raises:
            RunError: it is not a run directory, or a file in it is missing or damaged.
            ImportError: torch is needed, for another device than the CPU, and is not installed.

        """
        if device != "cpu":
            return cls._from_torch(path, device)
        directory = RunDirectory(Path(path))
        config = read_config(directory)
        saved = read_saved_model(directory, config)
        generator = cls.__new__(cls)
        words, weights = config.load_weighted_words(directory)
        generator._set_up(config, words, saved.step, weights)
        generator._saved = saved
        generator._network = saved_predictor(saved.layout, saved.arrays)
        generator._take_summary(directory)
        return generator

    @classmethod
    def _from_torch(cls, path: str | os.PathLike[str], device: str) -> Generator:
        needs_torch("this run")
        from namegen_ext.runs.saved_run import load_run
        from namegen_ext.training.backends import choose_device

        run = load_run(path, choose_device(device))
        generator = cls(run.model, run.config, run.words, steps=run.step, weights=run.weights)
        generator._take_summary(RunDirectory(Path(path)))
        return generator

    def _take_summary(self, directory: RunDirectory) -> None:
        self.losses = saved_losses(directory)
        if self.categories and self.config.options.refit:
            self._report = saved_categories(directory)

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
        category: str | Mapping[str, float] | None = None,
        **constraints: Any,
    ) -> list[str]:
        """Draw n names; the arguments are those of `namegen_ext.sampling.iter_names`.

        With constraints the names are the model's own, given that they meet all of these: no letter is forced, which
        would give some names too often. Names that do not end within the attribute ``max_length`` are left out; the
        ``counts`` of `stream` tell how many (``cut``). The constraint ``max_length`` sets another limit.

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
            category: of a list with categories: one of them, or a mixture of their distributions, "elf:0.7,dwarf:0.3"
                or {"elf": 0.7, "dwarf": 0.3}, by weights that sum to 1. None takes all, each by its share of the
                training names.
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
            >>> import namegen_ext
            >>> generator = namegen_ext.fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
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
            category=category,
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
        category: str | Mapping[str, float] | None = None,
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
        options["constraints"] = take_constraints(options, reading)
        options["max_length"] = self.max_length  # of names without constraints, which are cut there
        options.setdefault("leave_out_cut", True)
        if isinstance(options.get("prefix"), str):
            options["prefix"] = reading.as_learnt(options["prefix"])
        options.setdefault("case", reading.case)
        known = self._training_names if novel == "train" else self._words
        options |= {"training_names": known, "novel": novel is not False}
        weights = self._weights_of(category)
        draw = (
            partial(self._draw, weights) if like is None else partial(self._draw_near, like, within, weights)
        )
        if max_similarity is None:
            return draw(n, **options)
        return without_similar(draw, n, self._scorer().near, max_similarity, **options)

    def parts(self, weights: Mapping[str, float] | None = None, *, by_torch: bool = False) -> list[Part]:
        """Return what names are drawn from: a part for each category; one for a list without categories.

        Args:
            weights: how often each category is drawn; None takes all, each by its share of the training names.
            by_torch: whether modules are wanted, where the arrays of a run directory would do.

        """
        weights = self._weights_of(None) if weights is None else weights
        return [
            Part(*self._model_of(category, by_torch=by_torch), weight) for category, weight in weights.items()
        ]

    def _draw(self, weights: Mapping[str, float], n: int, **options: Any) -> NameStream:
        # The Python backend asks torch.
        parts = self.parts(weights, by_torch=options.get("backend") == "python")
        return iter_mixed_names(parts, n, **options)

    def _draw_near(
        self, name: str, within: int, weights: Mapping[str, float], n: int, **options: Any
    ) -> NameStream:
        if not isinstance(name, str):
            raise ValueError(f"like must be a string, but got {name!r}")
        likelihood = partial(self.likelihood, weights)
        return near_names(
            likelihood, self.vocabulary, self.config.reading.as_learnt(name), within, n, **options
        )

    def _weights_of(self, category: str | Mapping[str, float] | None) -> dict[str, float]:
        """Return how often each category is drawn; {"": 1.0} for a list without categories."""
        if category is not None:
            return parse_categories(category, self.categories)
        return self._prior if self.categories else {"": 1.0}

    @cached_property
    def _prior(self) -> dict[str, float]:
        """The share that each category has of the training names, where it has one."""
        splits = self._marked_splits
        weights = [1.0] * len(splits.train) if splits.train_weights is None else splits.train_weights
        sums = dict.fromkeys(self.categories, 0.0)
        for word, weight in zip(splits.train, weights, strict=True):
            sums[self.categories[category_of(word)]] += weight
        total = sum(sums.values())
        return {name: weight / total for name, weight in sums.items() if weight > 0}

    def _model_of(self, category: str, *, by_torch: bool = False) -> tuple[nn.Module | Predictor, Vocabulary]:
        """Return what names of a category, or of a list without categories, are drawn from."""
        model = self.model if self._network is None or by_torch else self._network
        if not self.categories:
            return model, self.vocabulary
        return of_category(model, self.config.vocabulary, self.categories.index(category))

    @property
    def max_length(self) -> int:
        """The number of letters after which a name is cut: one more than any of the list has, and at least 64."""
        return max(DEFAULT_MAX_LENGTH, max(map(len, self._words), default=0) + 1)

    def score(
        self,
        names: Iterable[str],
        *,
        nearest: bool = True,
        category: str | Mapping[str, float] | None = None,
        classify: bool = False,
    ) -> Scores:
        """Tell how likely names are, and what in the list they resemble.

        Natively where the native sampler covers the model, else through torch. Names are brought to the case and the
        normal form in which they were learnt.

        Args:
            names: any strings. One with a letter that the model does not know has an infinite nll.
            nearest: whether the nearest name of the list is looked for, which takes most of the time. Measured: 0.2 ms
                a name (32,033 names in the list), 0.002 ms without.
            category: of a list with categories: that of which the likelihood is meant, and with whose training names
                it is compared; as `sample` takes it.
            classify: of a list with categories: also tell the likeliest category, and the posterior of all.

        Returns:
            A sequence with a row, a dict, for each name: name, nll (in nats, its end included), nll_per_character (nll
            divided by its letters and its end), percentile (of how many percent of the training names the nll per
            character is larger), novel (whether it is not in the list), nearest, distance (the edit distance), and
            unknown, the first letter that the model does not know, where there is one. With ``classify`` also category
            and posterior, a dict of the probability of each category given the name: by Bayes' rule, each category's
            share of the training names being its prior.

        Raises:
            TypeError: ``names`` is one string, or holds something else than strings.
            ValueError: the list has no categories, or not those that are asked for.
            SamplingError: the model's logits are not all finite.
            ImportError: ``nearest``, and rapidfuzz is not installed.

        Example:
            >>> import namegen_ext
            >>> generator = namegen_ext.fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
            >>> row = generator.score(["hanna", "xy"])[1]
            >>> row["nll"], row["unknown"], row["nearest"], row["distance"]
            (inf, 'x', 'ben', 3)

        """
        names = as_strings(names)
        if classify and not self.categories:
            raise ValueError("classify is for a list with categories, but this run's list has none")
        scores = self._scorer(category).score(names, nearest=nearest)
        if not classify:
            return scores
        posterior = self._posterior(names)  # (n, K)
        chosen = [list(self._prior)[place] for place in posterior.argmax(axis=1).tolist()] if names else []
        rows = [dict(zip(self._prior, row, strict=True)) for row in posterior.tolist()]
        return replace(scores, extra={"category": chosen, "posterior": rows})

    def _posterior(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return P(category | name) of the categories that have training names: (n, K)."""
        if not names:
            return np.zeros((0, len(self._prior)))
        likelihood = self.likelihood(self._prior)
        assert isinstance(likelihood, MixedLikelihood)
        return likelihood.posterior([self.config.reading.as_learnt(name) for name in names])

    def category_report(self) -> dict[str, Any]:
        """Tell how well the categories of held-out names are found, and how likely the names of each are.

        Returns:
            accuracy and most_frequent: of the dev and the test names together, the share whose likeliest category is
            the right one, and the share of the commonest category; losses: by category, of its dev and of its test
            names, the nll per character in nats, given the category, None where there are none. Of a mixture that was
            trained on all names in the end, as `fit` does, it is that of the model before, as far as it is known.

        Raises:
            ValueError: the list has no categories.

        """
        if not self.categories:
            raise ValueError("there is no report of categories: this run's list has none")
        if self._report is not None:
            return self._report
        splits = self._marked_splits
        names = list(self._prior)
        held_out = [*splits.dev, *splits.test]
        right = [self.categories[category_of(word)] for word in held_out]
        posterior = self._posterior([without_mark(word) for word in held_out])  # (n, K)
        chosen = [names[place] for place in posterior.argmax(axis=1).tolist()] if held_out else []
        common = max(self._prior, key=self._prior.__getitem__)
        losses: dict[str, dict[str, float | None]] = {}
        for category in names:
            likelihood = self.likelihood({category: 1.0})
            losses[category] = {}
            for split in ("dev", "test"):
                own = [
                    without_mark(word)
                    for word in getattr(splits, split)
                    if self.categories[category_of(word)] == category
                ]
                characters = sum(len(word) + 1 for word in own)
                losses[category][split] = float(likelihood.nll(own)[0].sum()) / characters if own else None
        return {
            "accuracy": _share([a == b for a, b in zip(chosen, right, strict=True)]),
            "most_frequent": _share([name == common for name in right]),
            "held_out": len(held_out),
            "losses": losses,
        }

    def rank(self, names: Iterable[str]) -> list[float]:
        """Tell of how many percent of the training names the nll per character is larger; 100 for the likeliest.

        Raises:
            TypeError: ``names`` is one string, or holds something else than strings.
            SamplingError: the model's logits are not all finite.

        """
        return self._scorer().score(as_strings(names), nearest=False).percentile.tolist()

    def nearest(self, name: str) -> tuple[str, int]:
        """Find the name of its list that is nearest to a given one, and their edit distance.

        Names are compared whatever their case and the writing of their accents.

        Raises:
            TypeError: ``name`` is not a string.
            ImportError: rapidfuzz is not installed.

        """
        (found,), (distance,) = self._scorer().near.find(as_strings([name]))
        return found, distance

    def _scorer(self, category: str | Mapping[str, float] | None = None) -> Scorer:
        if category is None and self._saved_scorer is not None:
            return self._saved_scorer
        weights = self._weights_of(category)
        train = self._training_names
        if self.categories and category is not None:
            own = {mark_of(self.categories.index(name)) for name in weights}
            train = [without_mark(word) for word in self._marked_splits.train if word[0] in own]
        scorer = Scorer(self.likelihood(weights), self.config.reading.as_learnt, self._words, train)
        if category is None and self._network is not None:
            self._saved_scorer = scorer
        return scorer

    def likelihood(
        self,
        weights: Mapping[str, float] | None = None,
        shaping: Shaping | None = None,
        *,
        drawn: bool = False,
    ) -> NameLikelihood:
        """Return what computes the likelihoods of names, in the form in which they were learnt.

        Args:
            weights: how often each category is drawn; None takes all, each by its share of the training names.
            shaping: temperature and top-k of the probabilities; None for those of the model itself.
            drawn: whether the first symbol of a name is never its end, as where names are drawn without a prefix.

        """
        weights = self._weights_of(None) if weights is None else weights
        parts = []
        for part in self.parts(weights):
            nlls = symbol_nlls(
                part.model,
                len(part.vocabulary),
                block_size_of(part.model),
                sequences=MODELS[self.config.options.model].sequences,
                shaping=shaping,
                drawn=drawn,
            )
            parts.append(Likelihood(nlls, part.vocabulary))
        return MixedLikelihood(parts, list(weights.values())) if self.categories else parts[0]

    def nll(self, names: Iterable[str]) -> float:
        """Compute the mean negative log-likelihood per character, in nats. The end of a name counts as a character.

        Names are brought to the case and the normal form in which they were learnt.

        Raises:
            TypeError: ``names`` is one string, or holds something else than strings.
            ValueError: there are no names, or one has a letter that the model does not know.

        """
        words = [self.config.reading.as_learnt(name) for name in as_strings(names)]
        if not words:
            raise ValueError("names must hold a name at least, but got none")
        if self.categories:
            for word in words:
                self.vocabulary.encode(word)  # raises at a letter that the model does not know
            total = float(self.likelihood().nll(words)[0].sum())
            return total / sum(len(word) + 1 for word in words)
        model = self.model
        from namegen_ext.training.corpus import build_examples
        from namegen_ext.training.whole_set_loss import evaluate

        device = next(chain(model.parameters(), model.buffers())).device
        options = self.config.options
        tokens, targets = build_examples(options.model, words, self.vocabulary, options.block_size)
        loss = evaluate(model, tokens.to(device), targets.to(device))
        assert loss is not None  # every name has an end, so there are examples
        return loss

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a run directory that `from_run` and ``python -m namegen_ext.sample`` read.

        It holds config.json, model.safetensors and, where the names do not come with the package, words.txt; where they
        have counts, weights.txt; of a mixture that was just found, summary.json.

        Raises:
            RunError: it exists and is not empty, or cannot be written.

        """
        model = self.model
        from namegen_ext.runs.checkpoint import save_model

        directory = RunDirectory.create(Path(path))
        self.config.write(directory, self._marked_words, self._weights)
        save_model(directory, model.state_dict(), self.steps)
        if self.summary is not None:
            directory.write_summary(self.summary)

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
            >>> import namegen_ext
            >>> import tempfile
            >>> generator = namegen_ext.fit(["anna", "ben", "cleo", "dan", "eva", "finn", "gail"], steps=5)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     [path.name for path in generator.export(Path(folder) / "names.mjs", to="js")]
            ['names.mjs', 'names.d.mts']

        """
        from namegen_ext.exporting.document import Exported
        from namegen_ext.exporting.export_errors import ExportError
        from namegen_ext.exporting.export_model import OF_MODULES, export_document, export_module, target_of

        path = Path(path)
        to = target_of(path, to)
        if self.categories and to in OF_MODULES:
            raise ExportError(f"to must be html, js or json for a list with categories, but got {to!r}")
        if to in OF_MODULES:
            return export_module(self.model, path, to)
        exported = Exported(
            config=self.config,
            arrays=self._arrays(),
            words=self._words if with_names else None,
            num_words=self.num_names,
            num_values=self._num_values(),
            steps=self.steps,
            shares={name: self._prior.get(name, 0.0) for name in self.categories},
            max_length=self.max_length,
            losses=self.losses,
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
            f"{len(self.vocabulary)} symbols, {self.steps:,} steps on {len(self._training_names):,} names of "
            f"{self.config.data_name!r})"
        )


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def needs_torch(what: str) -> None:
    """Make sure that torch is there.

    Raises:
        ImportError: it is not installed; one line that says how to get it.

    """
    if importlib.util.find_spec("torch") is None:
        raise ImportError(f"{what} needs torch, which is not installed: pip install torch", name="torch")
