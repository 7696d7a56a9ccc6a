"""What is trained, and the protocol that each way to train it follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from namegen_bench.measuring.workers import PeerUnavailableError
from namegen_ext.models import GPT, MLP, Bigram, WaveNet
from namegen_ext.training import Corpus, MinibatchIndices, build_optimizer

__all__ = ["PeerUnavailableError", "TrainCase", "TrainData", "TrainPeer", "build_data"]

_SPLIT_SEED = 42


class TrainPeer(Protocol):
    """One way to run training steps.

    A step gathers a minibatch, runs the model forward and backward, and makes an update by SGD or AdamW. The examples
    of each step come from MinibatchIndices, and are drawn while the steps run.
    """

    def run(self, start: int, count: int) -> Tensor:
        """Run ``count`` steps from step ``start`` on. Each begins with the weights that the step before left.

        Returns:
            (count,), the loss of each step in nats, before the step's update.

        """


@dataclass(frozen=True)
class AdamW:
    """The settings of AdamW; its eps is 1e-8."""

    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.01


@dataclass(frozen=True)
class TrainCase:
    """A model at one batch size.

    Attributes:
        batch_norm: whether the hidden layers have batch norm.
        batch_size: number of examples in a step.
        steps: how many steps are checked, in calls of ``timed_steps``.
        timed_steps: how many steps one timed call runs. They are so many that the work that is done once per call
            weighs as little as in a training loop.
        target: the speedup over stock that fused layers should reach; None where none is set.
        step_targets: the speedups over other peers that the step engine should reach, by peer.
        model: "bigram", "mlp", "wavenet", which joins positions two by two, or "gpt".
        embedding_dim: E; the bigram has none.
        block_size: number of characters of context.
        hidden_size: H of the MLP and the WaveNet.
        num_layers: number of layers of the GPT.
        num_heads: number of attention heads of the GPT.
        learning_rate: the learning rate of every step.
        is_adamw: whether the optimizer is AdamW; else plain SGD.
        adamw: its settings.
        gpt_options: options of the GPT beside its sizes.
        seed: the seed of the weights and of the choice of examples.

    """

    batch_norm: bool
    batch_size: int
    steps: int
    timed_steps: int
    target: float | None = None
    step_targets: Mapping[str, float] = field(default_factory=dict)
    model: str = "mlp"
    embedding_dim: int = 10
    block_size: int = 3
    hidden_size: int = 200
    num_layers: int = 4
    num_heads: int = 4
    learning_rate: float = 0.1
    is_adamw: bool = False
    adamw: AdamW = AdamW()
    gpt_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 2147483647

    def build_optimizer(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """Make torch's optimizer."""
        if not self.is_adamw:
            return build_optimizer("sgd", parameters, learning_rate=self.learning_rate)
        return build_optimizer("adamw", parameters, learning_rate=self.learning_rate, **asdict(self.adamw))

    @property
    def name(self) -> str:
        """The case's name in the tables."""
        if self.model == "gpt" and self.embedding_dim == 16:
            return "microgpt"
        return f"{self.model} with batch norm" if self.batch_norm else self.model

    def sizes(self, vocab_size: int) -> dict[str, int]:
        """Return the sizes other than the batch."""
        if self.model == "bigram":
            return {"V": vocab_size}
        sizes = {"V": vocab_size, "E": self.embedding_dim, "block": self.block_size}
        if self.model == "gpt":
            return sizes | {"layers": self.num_layers, "heads": self.num_heads}
        return sizes | {"H": self.hidden_size}

    def build_model(self, vocab_size: int) -> nn.Module:
        """Build the model of stock layers. Every call gives the same weights."""
        generator = torch.Generator().manual_seed(self.seed)
        if self.model == "bigram":
            return Bigram(vocab_size, generator=generator)
        if self.model == "gpt":
            return GPT(
                vocab_size,
                block_size=self.block_size,
                embedding_dim=self.embedding_dim,
                num_layers=self.num_layers,
                num_heads=self.num_heads,
                **self.gpt_options,
                generator=generator,
            )
        models: dict[str, type[MLP | WaveNet]] = {"mlp": MLP, "wavenet": WaveNet}
        return models[self.model](
            vocab_size,
            block_size=self.block_size,
            embedding_dim=self.embedding_dim,
            hidden_size=self.hidden_size,
            batch_norm=self.batch_norm,
            generator=generator,
        )

    def build_indices(self, num_examples: int) -> MinibatchIndices:
        """Make the choice of examples. Every call gives the same choice."""
        return MinibatchIndices(self.seed, num_examples, self.batch_size)


@dataclass(frozen=True)
class TrainData:
    """The training examples.

    Attributes:
        vocab_size: number of symbols.
        tokens: int64 (n, block_size).
        targets: int64 (n,); for a GPT (n, block_size), with -1 where nothing is predicted.

    """

    vocab_size: int
    tokens: Tensor
    targets: Tensor


def build_data(case: TrainCase, words: list[str]) -> TrainData:
    """Cut words into the examples that a case trains on."""
    corpus = Corpus.build(words, block_size=case.block_size, split_seed=_SPLIT_SEED, model=case.model)
    return TrainData(len(corpus.vocabulary), *corpus.train)
