"""Networks as components of a mixture: which there are, and their training for some number of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.engine import StepEngine
from namegen_ext.engine.engine_evaluation import distinct_contexts
from namegen_ext.fitting.held_out import Examples
from namegen_ext.models import build_model
from namegen_ext.models.model_sizes import block_size_of, vocab_size_of
from namegen_ext.options.schedules import Schedule
from namegen_ext.training.minibatches import MinibatchIndices

_BETAS = (0.9, 0.99)
# The weights are decayed by about so much over a whole run: rate * decay * steps / 2 with a cosine schedule. More decay
# hinders long runs. Measured: dev loss 2.010 with decay 0.1, 1.991 with 0.03 (names.txt, 20,000 steps of 128 examples).
_MOST_DECAY = 0.1
_DECAY_OF_A_RUN = 1.0

_STEPS_A_CALL = 512
_PREDICTED = 16384  # contexts at a time


@dataclass(frozen=True)
class Network:
    """A network to try.

    Attributes:
        label: what the report calls it.
        model: its name in :data:`namegen_ext.models.MODELS`.
        options: of the model.
        learning_rate: of the first step; a cosine goes down to 0.
        pretrained: whether it starts from a network that has learnt the embedded lists.
        seed_offset: is added to the seed of its weights and minibatches: another number makes another network of the
            same kind.

    """

    label: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 0.003
    pretrained: bool = False
    seed_offset: int = 0

    def build(self, vocab_size: int, seed: int) -> nn.Module:
        """Build it with fresh weights."""
        generator = torch.Generator().manual_seed(seed + self.seed_offset)
        return build_model(self.model, {"vocab_size": vocab_size, **self.options}, generator)

    @property
    def config(self) -> dict[str, Any]:
        """What :class:`namegen_ext.models.Mixture` takes."""
        return {"name": self.model, **self.options}

    def with_categories(self) -> Network:
        """Return the network for names with categories: the mark has a place of its own before eight letters.

        The other width stays, as 16 has the small factors that a wavenet wants.
        """
        block_size = {8: 9}.get(self.options["block_size"], self.options["block_size"])
        return replace(self, options={**self.options, "block_size": block_size})


_WAVENET = {"block_size": 8, "embedding_dim": 24, "hidden_size": 128, "hidden_bias": False}

WAVENET = Network("wavenet", "wavenet", _WAVENET)
PRETRAINED = Network("wavenet, pre-trained", "wavenet", _WAVENET, learning_rate=0.001, pretrained=True)
# What stands beside the first wavenet where there is time, in this order.
FURTHER = (
    Network("wavenet, block 16", "wavenet", {**_WAVENET, "block_size": 16}),
    Network("wavenet, wider", "wavenet", {**_WAVENET, "embedding_dim": 32, "hidden_size": 200}),
    Network("mlp", "mlp", {"block_size": 8, "embedding_dim": 24, "hidden_size": 300}),
    Network("wavenet, another", "wavenet", _WAVENET, seed_offset=1),
)


def train_network(
    model: nn.Module, examples: Examples, *, steps: int, batch_size: int, learning_rate: float, seed: int
) -> nn.Module:
    """Train a network in place by AdamW, with a cosine schedule down to 0; return it in evaluation mode.

    Args:
        model: one that :class:`namegen_ext.engine.StepEngine` covers.
        examples: what it learns.
        steps: how many.
        batch_size: examples a step.
        learning_rate: of the first step.
        seed: of the minibatches.

    """
    decay = min(_MOST_DECAY, 2 * _DECAY_OF_A_RUN / (learning_rate * steps))
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=_BETAS, weight_decay=decay)
    engine = StepEngine(model, optimizer)
    tokens = examples.last(block_size_of(model))
    indices = MinibatchIndices(seed, len(examples.targets), batch_size, examples.weights)
    schedule = Schedule("cosine", learning_rate, 0.0, steps)
    model.train()
    for first in range(0, steps, _STEPS_A_CALL):
        end = min(first + _STEPS_A_CALL, steps)
        rates = [schedule(step) for step in range(first, end)]
        engine.run(tokens, examples.targets, indices.steps(first, end), rates)
    return model.eval()


@torch.no_grad()
def predict(model: nn.Module, examples: Examples) -> Tensor:
    """Compute the log-probabilities behind each context: (n, V) float32."""
    model.eval()
    tokens = examples.last(block_size_of(model))
    vocab_size = vocab_size_of(model)
    contexts, numbers = distinct_contexts(tokens, vocab_size)  # (m, block_size), (n,)
    logits = [model(chunk)[0] for chunk in contexts.split(_PREDICTED)]  # (chunk, V)
    return torch.cat(logits).float().log_softmax(dim=1)[numbers]  # (n, V)
