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
from namegen_ext.data import Vocabulary, load_words
from namegen_ext.models.specs import MODELS
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.options.run_settings import RunSettings
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.errors import RunError, one_line
from namegen_ext.runs.files import is_directory, is_file, read_json_object, read_text, write_bytes, write_json

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
# What a value of another type or size than expected makes of the code that takes it.
_MISFITS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)

_DATA_KEYS = ("name", "source", "num_words", "words_sha256", "split_seed")

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
        words_sha256: of the words, joined by line feeds.
        fused: what ``--fused`` asked for; None for the stock layers.
        device: what ``--device`` asked for.
        run: what is told and saved of the run.

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

    def write(self, directory: RunDirectory, words: Sequence[str]) -> None:
        """Write config.json, and words.txt where the words do not come with the package."""
        if not self._comes_with_package():
            write_bytes(directory.words, "".join(word + "\n" for word in words).encode())
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
                "split_seed": self.options.split_seed,
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
        # A file of the user's may have one of the names too.
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
        if words_sha256(words) != self.words_sha256:
            raise RunError(f"{origin}: is not the word list of the run in {directory.path} (SHA-256 differs)")
        unknown = set("".join(words)) - set(self.vocabulary.symbols)
        if unknown:
            raise RunError(
                f"{origin}: has {min(unknown)!r}, which the vocabulary in {directory.config} lacks"
            )
        return words


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
    # Last, as what is told above is more to the point; this finds what would be taken for another value.
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
    _check_model(model, options, len(vocabulary))
    return RunConfig(
        recipe=_text(content["recipe"], "recipe"),
        options=options,
        model_config=model,
        vocabulary=vocabulary,
        data_name=_text(data["name"], "data: name"),
        data_source=_text(data["source"], "data: source"),
        words_sha256=_text(data["words_sha256"], "data: words_sha256"),
        fused=_fused(content["fused"]),
        device=_text(content["device"], "device"),
        run=RunSettings.from_json(content["run"]),
    )


_OF_COUNTS = {"estimator", "smoothing"}


def _check_keys(content: dict[str, Any], known: Collection[str], what: str) -> None:
    unknown = sorted(content.keys() - set(known))
    if unknown:
        raise ValueError(f"{what} holds {_short(unknown[0])}, which is unknown")


def _check_model(model: dict[str, Any], options: TrainOptions, vocab_size: int) -> None:
    """The sizes stand in two places for the reader's sake; the options' ranges hold for both."""
    found = MODELS[options.model].found
    if found:  # whether it can be built is seen when it is
        _check_keys(model, ("vocab_size", *found), "model")
        expected: dict[str, Any] = {"vocab_size": vocab_size}
    else:
        expected = options.model_config(vocab_size)
    if options.is_counted and not _OF_COUNTS & model.keys():  # a version that kept counts in a table wrote it
        expected = {name: value for name, value in expected.items() if name not in _OF_COUNTS}
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


def _fused(value: Any) -> str | None:
    if value is not None and value not in FUSED_CHOICES:
        raise ValueError(f"fused is {_short(value)}, expected null or one of {', '.join(FUSED_CHOICES)}")
    return value


def _short(value: Any) -> str:
    return reprlib.repr(value)


def _sha256(content: dict[str, Any]) -> str:
    """Return the SHA-256 of what a JSON object means, whatever its spaces and the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def words_sha256(words: Sequence[str]) -> str:
    """Return the SHA-256 of the words joined by line feeds."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def directory_stem(model: str, data_name: str) -> str:
    """Return what a run directory is called when nobody names it, less its number: "mlp-census"."""
    safe = "".join(character if character.isalnum() or character in "-_." else "-" for character in data_name)
    return f"{model}-{Path(safe).stem.strip('.-') or 'words'}"
