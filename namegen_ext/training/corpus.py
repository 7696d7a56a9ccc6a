"""Makes words ready for training: the vocabulary, the splits, and the windows of each split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from namegen_ext.data import Splits, Vocabulary, split_words
from namegen_ext.models.examples import Windows, build_examples, example_weights


@dataclass(frozen=True)
class Corpus:
    """The data that a run trains on and is judged by.

    Attributes:
        vocabulary: the symbols of all the words.
        splits: the words of each split.
        train: the windows of the training words.
        dev: those of the dev words.
        test: those of the test words.
        unseen_dev: those of the dev words that are not among the training words.
        train_weights: how often each example of ``train`` counts: float64 (n,), on the CPU; None for once each.

    Example:
        >>> words = ["anna", "ben", "cleo", "dan", "eva", "finn", "gail", "hugo", "ines", "jo"]
        >>> corpus = Corpus.build(words, block_size=3, split_seed=42)
        >>> tokens, targets = corpus.train
        >>> tokens.shape, targets.shape
        (torch.Size([36, 3]), torch.Size([36]))

    """

    vocabulary: Vocabulary
    splits: Splits
    train: Windows
    dev: Windows
    test: Windows
    unseen_dev: Windows
    train_weights: Tensor | None = None

    @classmethod
    def build(
        cls,
        words: Sequence[str],
        *,
        block_size: int,
        split_seed: int,
        device: torch.device | str = "cpu",
        model: str = "mlp",
        split: str = "80-10-10",
        weights: Sequence[float] | None = None,
    ) -> Corpus:
        """Split the words and cut them into windows.

        Args:
            words: the whole list.
            block_size: number of characters of context.
            split_seed: decides which word goes into which split.
            device: where the windows are put.
            model: name of the model; it decides between windows and whole sequences.
            split: how they are divided, one of :data:`namegen_ext.data.SPLITS`.
            weights: how often each word counts; None for once each.

        Raises:
            DataError: the words are not fit to train on.

        """
        vocabulary = Vocabulary.from_words(words)
        splits = split_words(words, split_seed, split, weights)

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
            train_weights=None
            if splits.train_weights is None
            else example_weights(model, splits.train, splits.train_weights, block_size),
        )
