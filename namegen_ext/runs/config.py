"""config.json: everything needed to rebuild the model, the vocabulary and the splits of a run."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from namegen_ext._version import __version__
from namegen_ext.data import ListFormat, Vocabulary, load_words
from namegen_ext.data.categories import (
    category_of,
    check_categories,
    mark_of,
    num_categories,
    without_mark,
)
from namegen_ext.models.specs import MODELS
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import is_directory, is_file, read_json_object, read_text, write_bytes, write_json
from namegen_ext.runs.run_errors import RunError, one_line

FORMAT = 1

_KEYS = (
    "format",
    "namegen_ext",
    "recipe",
    "model",
    "vocabulary",
    "data",
    "training",
    "fused",
    "device",
    "run",
    "sha256",
)
# The errors that a value of another type or size than expected causes in the code that takes it.
_MISFITS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)

_DATA_KEYS = (
    "name",
    "source",
    "num_words",
    "words_sha256",
    "weights_sha256",
    "split_seed",
    "reading",
    "categories",
)

# These word lists come with the package; all others are kept in the run directory.
_EMBEDDED = ("census", "surnames")


@dataclass(frozen=True)
class RunConfig:
    """What config.json holds.

    Attributes:
        recipe: name of the recipe that the options come from.
        options: the options of the run.
        model_config: the model's constructor arguments.
        vocabulary: its symbols.
        data_name: the word list's name, such as "census".
        data_source: where the words came from, in words.
        words_sha256: the SHA-256 of the words, joined by line feeds.
        weights_sha256: the SHA-256 of the lines of weights.txt; None where each word counts once.
        reading: how the list was read, and what was done to its words.
        fused: what ``--fused`` asked for; None for the stock layers.
        device: what ``--device`` asked for.
        run: what is reported and saved of the run.
        categories: the names of the categories of its words; see :mod:`namegen_ext.data.categories`.

    Example:
        >>> options = TrainOptions(hidden_size=16)
        >>> config = RunConfig(
        ...     recipe="default",
        ...     options=options,
        ...     model_config=options.model_config(vocab_size=3),
        ...     vocabulary=Vocabulary("ab"),
        ...     data_name="made up",
        ...     data_source="this example",
        ...     words_sha256=words_sha256(["a", "ab"]),
        ...     fused=None,
        ...     device="cpu",
        ... )
        >>> config.model_config["hidden_size"], config.run.samples
        (16, 20)

    """

    recipe: str
    options: TrainOptions
    model_config: dict[str, Any]
    vocabulary: Vocabulary
    data_name: str
    data_source: str
    words_sha256: str
    fused: str | None
    device: str
    run: RunSettings = field(default_factory=RunSettings)
    weights_sha256: str | None = None
    reading: ListFormat = field(default_factory=ListFormat)
    categories: tuple[str, ...] = ()

    def write(
        self, directory: RunDirectory, words: Sequence[str], weights: Sequence[float] | None = None
    ) -> None:
        """Write config.json; words.txt where the words do not come with the package; weights.txt where they count."""
        if self.categories:
            names = (self.categories[category_of(word)] for word in words)
            write_bytes(directory.categories, "".join(name + "\n" for name in names).encode())
        if not self._comes_with_package():
            write_bytes(directory.words, "".join(without_mark(word) + "\n" for word in words).encode())
        if weights is not None:
            write_bytes(directory.weights, _weight_lines(weights).encode())
        content = {
            "format": FORMAT,
            "namegen_ext": __version__,
            "recipe": self.recipe,
            "model": {"name": self.options.model, **self.model_config},
            "vocabulary": self.vocabulary.to_json(),
            "data": {
                "name": self.data_name,
                "source": self.data_source,
                "num_words": len(words),
                "words_sha256": self.words_sha256,
                "weights_sha256": self.weights_sha256,
                "split_seed": self.options.split_seed,
                "reading": self.reading.to_json(),
                **({"categories": list(self.categories)} if self.categories else {}),
            },
            "training": self.options.to_json(),
            "fused": self.fused,
            "device": self.device,
            "run": self.run.to_json(),
        }
        write_json(directory.config, {**content, "sha256": _sha256(content)})

    def _comes_with_package(self) -> bool:
        if self.data_name not in _EMBEDDED:
            return False
        # A file of the user's may have the name of a list that comes with the package.
        return words_sha256(load_words(self.data_name).words) == self.words_sha256

    def load_words(self, directory: RunDirectory) -> list[str]:
        """Return the words that the run was made with, checked.

        Raises:
            RunError: words.txt is missing or damaged, or the package's list is another one by now.

        """
        if is_file(directory.words) or self.data_name not in _EMBEDDED:
            words, origin = read_text(directory.words).split("\n")[:-1], str(directory.words)
        else:
            words = load_words(self.data_name).words
            origin = f"the word list {self.data_name!r} of this version"
        if self.categories:
            words = self._marked(words, directory)
        text = "\n".join(words)
        if hashlib.sha256(text.encode()).hexdigest() != self.words_sha256:
            raise RunError(f"{origin}: is not the word list of the run in {directory.path} (SHA-256 differs)")
        unknown = _characters(text) - {"\n", *self.vocabulary.symbols}
        if unknown:
            raise RunError(
                f"{origin}: has {min(unknown)!r}, which the vocabulary in {directory.config} lacks"
            )
        return words

    def _marked(self, words: list[str], directory: RunDirectory) -> list[str]:
        """Put the marks of categories.txt before words."""
        names = read_text(directory.categories).split("\n")[:-1]
        marks = {name: mark_of(number) for number, name in enumerate(self.categories)}
        if len(names) != len(words) or not marks.keys() >= set(names):
            raise RunError(f"{directory.categories}: is not that of the words of the run in {directory.path}")
        return [marks[name] + word for name, word in zip(names, words, strict=True)]

    def load_weighted_words(self, directory: RunDirectory) -> tuple[list[str], list[float] | None]:
        """Return the words that the run was made with, and how often each counts, checked.

        Raises:
            RunError: a file is missing or damaged, or they are not as many.

        """
        words, weights = self.load_words(directory), self.load_weights(directory)
        if weights is not None and len(weights) != len(words):
            raise RunError(
                f"{directory.weights}: has {len(weights):,} lines, expected {len(words):,}, one a word"
            )
        return words, weights

    def load_weights(self, directory: RunDirectory) -> list[float] | None:
        """Return how often each word counts, checked; None where each counts once.

        Raises:
            RunError: weights.txt is missing or damaged.

        """
        if self.weights_sha256 is None:
            return None
        text = read_text(directory.weights)
        if hashlib.sha256(text.encode()).hexdigest() != self.weights_sha256:
            raise RunError(
                f"{directory.weights}: is not that of the run in {directory.path} (SHA-256 differs)"
            )
        try:
            weights = list(map(float, text.split("\n")[:-1]))
        except ValueError as error:
            raise RunError(f"{directory.weights}: {one_line(error)}") from None
        if not all(0 < weight < float("inf") for weight in weights):
            raise RunError(f"{directory.weights}: holds a weight that is no finite number above 0")
        return weights


def read_config(directory: RunDirectory) -> RunConfig:
    """Read and check config.json.

    Raises:
        RunError: it is missing or damaged, or of another format.

    """
    if not is_directory(directory.path):
        raise RunError(f"{directory.path}: there is no such directory")
    if not is_file(directory.config):
        raise RunError(f"{directory.path}: is not a run directory (it has no config.json)")
    content = read_json_object(directory.config)
    found = content.get("format")
    if found != FORMAT:
        newer = " (a newer version wrote it)" if isinstance(found, int) and found > FORMAT else ""
        raise RunError(f"{directory.config}: format is {_short(found)}, expected {FORMAT}{newer}")
    try:
        config = _parse(content)
    except _MISFITS as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise RunError(f"{directory.config}: {one_line(reason)}") from None
    # Checked last, because the messages above are more precise. This finds a value that was changed to a valid one.
    sha256 = content.pop("sha256", None)
    if sha256 != _sha256(content):
        raise RunError(f"{directory.config}: was changed after training wrote it (its SHA-256 differs)")
    return config


def _parse(content: dict[str, Any]) -> RunConfig:
    _check_keys(content, _KEYS, "config.json")
    data, model = content["data"], dict(content["model"])
    _check_keys(data, _DATA_KEYS, "data")
    options = TrainOptions.from_json(content["training"])
    if model.pop("name") != options.model:
        raise ValueError("model and training name different models")
    vocabulary = Vocabulary.from_json(content["vocabulary"])
    categories = tuple(data.get("categories", ()))
    if categories or num_categories(vocabulary):
        check_categories(categories, "data: categories")
        if len(categories) != num_categories(vocabulary):
            raise ValueError("data: categories are not as many as the vocabulary's marks")
    _check_model(model, options, len(vocabulary), len(categories))
    return RunConfig(
        recipe=_text(content["recipe"], "recipe"),
        options=options,
        model_config=model,
        vocabulary=vocabulary,
        data_name=_text(data["name"], "data: name"),
        data_source=_text(data["source"], "data: source"),
        words_sha256=_text(data["words_sha256"], "data: words_sha256"),
        # Earlier versions had neither counts nor formats.
        weights_sha256=_text_or_none(data.get("weights_sha256"), "data: weights_sha256"),
        reading=ListFormat.from_json(data.get("reading", {})),
        categories=categories,
        fused=_fused(content["fused"]),
        device=_text(content["device"], "device"),
        run=RunSettings.from_json(content["run"]),
    )


_OF_COUNTS = {"estimator", "smoothing"}
# A version that had one kind of GPT did not write these.
_OF_GPTS = {"norm", "activation", "biases", "final_norm", "embedding_norm"}


def _check_keys(content: dict[str, Any], known: Collection[str], what: str) -> None:
    unknown = sorted(content.keys() - set(known))
    if unknown:
        raise ValueError(f"{what} holds {_short(unknown[0])}, which is unknown")


def _check_model(model: dict[str, Any], options: TrainOptions, vocab_size: int, categories: int) -> None:
    """Check that the model's sizes are those of the options. They are written twice, so that people can read them."""
    found = MODELS[options.model].found
    if found:  # whether it can be built is seen when it is
        in_model = found + (MODELS[options.model].with_categories if categories else ())
        _check_keys(model, ("vocab_size", *in_model), "model")
        expected: dict[str, Any] = {"vocab_size": vocab_size}
        if categories:
            expected["num_categories"] = categories
    else:
        expected = options.model_config(vocab_size, categories)
    if options.is_counted and not _OF_COUNTS & model.keys():  # a version that kept counts in a table wrote it
        expected = {name: value for name, value in expected.items() if name not in _OF_COUNTS}
    if options.model == "gpt" and not _OF_GPTS & model.keys():
        expected = {name: value for name, value in expected.items() if name not in _OF_GPTS}
    if (
        "category_newest" not in model
    ):  # a version that had the category at the oldest place of all contexts wrote it
        expected.pop("category_newest", None)
    if not found:
        _check_keys(model, expected, "model")
    for name, value in expected.items():
        if model.get(name) != value or type(model[name]) is not type(value):
            came = _short(model.get(name))
            raise ValueError(f"model: {name} is {came}, expected {value!r} by training and vocabulary")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_short(value)}, expected a text")
    return value


def _text_or_none(value: Any, name: str) -> str | None:
    return None if value is None else _text(value, name)


def _fused(value: Any) -> str | None:
    if value is not None and value not in FUSED_CHOICES:
        raise ValueError(f"fused is {_short(value)}, expected null or one of {', '.join(FUSED_CHOICES)}")
    return value


def _short(value: Any) -> str:
    return reprlib.repr(value)


def _sha256(content: dict[str, Any]) -> str:
    """Return the SHA-256 of what a JSON object means. Spaces and the order of keys do not change it."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _characters(text: str) -> set[str]:
    """Return the different characters of a text.

    Measured: 0.15 s by set(), 0.03 s by taking out the bytes that are known (17 MB of ASCII).
    """
    if not text.isascii():
        return set(text)
    first = set(text[:10_000])
    return first | set(text.encode().translate(None, "".join(first).encode()).decode())


def words_sha256(words: Sequence[str]) -> str:
    """Return the SHA-256 of the words joined by line feeds."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def weights_sha256(weights: Sequence[float] | None) -> str | None:
    """Return the SHA-256 of the lines of weights.txt; None where there are no weights."""
    return None if weights is None else hashlib.sha256(_weight_lines(weights).encode()).hexdigest()


def _weight_lines(weights: Sequence[float]) -> str:
    """Write each weight so that reading it gives the same bits."""
    return "".join(f"{weight:.0f}\n" if weight.is_integer() else f"{weight!r}\n" for weight in weights)


def directory_stem(model: str, data_name: str) -> str:
    """Return the default name of a run directory, without its number: "mlp-census"."""
    safe = "".join(character if character.isalnum() or character in "-_." else "-" for character in data_name)
    return f"{model}-{Path(safe).stem.strip('.-') or 'words'}"
