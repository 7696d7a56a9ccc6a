"""Words made ready for training: vocabulary, splits, and the windows of each split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from namegen_ext.data import Splits, Vocabulary, build_sequences, build_windows, split_words
from namegen_ext.models import model_spec

# (tokens int64 (n, block_size), targets int64 (n,)), or targets (n, block_size) for a model over sequences
Windows: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Corpus:
    """What a run trains and is judged on.

    Attributes:
        vocabulary: the symbols of all the words.
        splits: the words of each split.
        train: the windows of the training words.
        dev: those of the dev words.
        test: those of the test words.
        unseen_dev: those of the dev words that are not among the training words.

    """

    vocabulary: Vocabulary
    splits: Splits
    train: Windows
    dev: Windows
    test: Windows
    unseen_dev: Windows

    @classmethod
    def build(
        cls,
        words: Sequence[str],
        *,
        block_size: int,
        split_seed: int,
        device: torch.device | str = "cpu",
        model: str = "mlp",
        all_names: bool = False,
    ) -> Corpus:
        """Split the words and cut them into windows.

        Args:
            words: the whole list.
            block_size: number of characters of context.
            split_seed: decides which word goes into which split.
            device: where the windows are put.
            model: name of the model; it decides between windows and whole sequences.
            all_names: whether all words are to train on, and none are kept for dev and test.

        Raises:
            DataError: the words are not fit to train on.

        """
        vocabulary = Vocabulary.from_words(words)
        splits = split(words, split_seed=split_seed, all_names=all_names)

        def windows(part: Sequence[str]) -> Windows:
            tokens, targets = build_examples(model, part, vocabulary, block_size)
            return tokens.to(device), targets.to(device)

        return cls(
            vocabulary=vocabulary,
            splits=splits,
            train=windows(splits.train),
            dev=windows(splits.dev),
            test=windows(splits.test),
            unseen_dev=windows(splits.unseen_dev),
        )


def split(words: Sequence[str], *, split_seed: int, all_names: bool) -> Splits:
    """Split the words into train, dev and test, or put all of them into train.

    Raises:
        DataError: there are too few of them.

    """
    return Splits(list(words), [], []) if all_names else split_words(words, seed=split_seed)


def build_examples(model: str, words: Sequence[str], vocabulary: Vocabulary, block_size: int) -> Windows:
    """Turn words into what a model trains on and is judged by: windows, or whole sequences.

    Args:
        model: a key of :data:`namegen_ext.models.MODELS`.
        words: the words.
        vocabulary: gives the numbers.
        block_size: of the model.

    Raises:
        DataError: a word has a character that is not in the vocabulary.

    """
    build = build_sequences if model_spec(model).sequences else build_windows
    return build(words, vocabulary, block_size)
