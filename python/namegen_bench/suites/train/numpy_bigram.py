"""Training the bigram in numpy, with a gradient that was derived by hand.

It is written to be fast. Nothing is one-hot: all examples with the same symbol before them have the same probabilities,
so a step counts the pairs of the minibatch, and takes the softmax of the V rows of the table instead of B rows. A row
that occurs n times, with the counts N of its pairs, has the gradient

    (n * probabilities - N) / B

Arrays are float32 and updated in place.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from namegen_bench.suites.train.train_case import PeerUnavailableError, TrainCase, TrainData
from namegen_bench.suites.train.weights import read_weights


class NumpyBigramPeer:
    """Trains the table of logits, W (V, V)."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        # (V, V) float32
        self.W: NDArray[np.float32] = read_weights(case.build_model(data.vocab_size)).embedding.numpy()
        # The number of a pair is the place of its cell in the table: row of the first symbol, column of the second.
        self.pairs = (data.tokens[:, 0] * data.vocab_size + data.targets).numpy()  # (n,) int64
        self.indices = case.build_indices(len(data.targets))
        self.learning_rate = np.float32(case.learning_rate)

    def run(self, start: int, count: int) -> Tensor:
        """Run steps; see TrainPeer."""
        pairs = self.pairs[self.indices.steps(start, start + count).numpy()]  # (count, B)
        losses = np.empty(count, dtype=np.float32)
        for step in range(count):
            losses[step] = self._step(pairs[step])
        return torch.from_numpy(losses)

    def _step(self, pairs: NDArray[np.int64]) -> np.float32:
        vocab_size, batch_size = len(self.W), np.float32(len(pairs))
        counts = np.bincount(pairs, minlength=vocab_size**2).astype(np.float32)  # (V * V,)
        counts = counts.reshape(self.W.shape)  # (V, V)
        logits = self.W - self.W.max(axis=1, keepdims=True)  # (V, V)
        probs = np.exp(logits)  # (V, V)
        sums = probs.sum(axis=1, keepdims=True)  # (V, 1)
        probs /= sums
        # The mean of -log p over the pairs. Pairs that do not occur have the count 0.
        loss = np.float32((counts * (np.log(sums) - logits)).sum() / batch_size)
        gradient = probs * counts.sum(axis=1, keepdims=True) - counts  # (V, V)
        self.W -= (self.learning_rate / batch_size) * gradient
        return loss


def numpy_bigram(case: TrainCase, data: TrainData, threads: int) -> NumpyBigramPeer:
    """Train the bigram in numpy.

    Raises:
        PeerUnavailableError: the model is another one.

    """
    if case.model != "bigram":
        raise PeerUnavailableError("it is written for the bigram alone")
    return NumpyBigramPeer(case, data)
