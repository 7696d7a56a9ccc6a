"""config.json: everything needed to rebuild the model, the vocabulary and the splits of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namegen_ext._version import __version__
from namegen_ext.data import Vocabulary, load_words
from namegen_ext.training.errors import RunError
from namegen_ext.training.files import read_json_object, read_text, write_bytes, write_json
from namegen_ext.training.options import OptionError, TrainOptions
from namegen_ext.training.run_directory import RunDirectory

FORMAT = 1

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
        }
        write_json(directory.config, content)

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
        if directory.words.exists() or self.data_name not in _EMBEDDED:
            words, origin = read_text(directory.words).split("\n")[:-1], str(directory.words)
        else:
            words = load_words(self.data_name).words
            origin = f"the word list {self.data_name!r} of this version"
        if words_sha256(words) != self.words_sha256:
            raise RunError(f"{origin}: is not the word list of the run in {directory.path} (SHA-256 differs)")
        return words


def read_config(directory: RunDirectory) -> RunConfig:
    """Read and check config.json.

    Raises:
        RunError: it is missing or damaged, or of another format.

    """
    if not directory.path.is_dir():
        raise RunError(f"{directory.path}: there is no such directory")
    if not directory.config.is_file():
        raise RunError(f"{directory.path}: is not a run directory (it has no config.json)")
    content = read_json_object(directory.config)
    if content.get("format") != FORMAT:
        raise RunError(f"{directory.config}: format is {content.get('format')!r}, expected {FORMAT}")
    try:
        return _parse(content)
    except (OptionError, ValueError, TypeError, KeyError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise RunError(f"{directory.config}: {reason}") from None


def _parse(content: dict[str, Any]) -> RunConfig:
    data, model = content["data"], dict(content["model"])
    options = TrainOptions.from_json(content["training"])
    if model.pop("name") != options.model:
        raise ValueError("model and training name different models")
    vocabulary = Vocabulary.from_json(content["vocabulary"])
    if model.get("vocab_size") != len(vocabulary):
        raise ValueError(
            f"the model has vocab_size {model.get('vocab_size')!r}, the vocabulary {len(vocabulary)} symbols"
        )
    return RunConfig(
        recipe=str(content["recipe"]),
        options=options,
        model_config=model,
        vocabulary=vocabulary,
        data_name=str(data["name"]),
        data_source=str(data["source"]),
        words_sha256=str(data["words_sha256"]),
        fused=content["fused"],
        device=str(content["device"]),
    )


def words_sha256(words: Sequence[str]) -> str:
    """Return the SHA-256 of the words joined by line feeds."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def directory_stem(model: str, data_name: str) -> str:
    """Return what a run directory is called when nobody names it, less its number: "mlp-census"."""
    safe = "".join(character if character.isalnum() or character in "-_." else "-" for character in data_name)
    return f"{model}-{Path(safe).stem.strip('.-') or 'words'}"
