"""What a training run gives: the model that is kept, its losses, and how the run went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from namegen_ext.training.backends import Backend
from namegen_ext.training.best_model import TELLING_RISE
from namegen_ext.training.corpus import Corpus


@dataclass(frozen=True)
class TrainResult:
    """The result of a run.

    Attributes:
        model: the model that is kept, in evaluation mode.
        corpus: what it was trained on.
        backend: what ran the steps.
        steps: how many were run.
        kept_step: after which of them the model is the one that is kept.
        train_loss, dev_loss, test_loss: mean negative log-likelihood of the kept model over the whole split, in nats
            per character; None for a split without words.
        unseen_dev_loss: over the dev words that are not among the training words.
        train_seconds: time spent in the steps, without evaluating and saving.
        interrupted: whether it was stopped before its end.
        best_step, best_dev_loss: the evaluation with the least dev loss; None where there are no dev words.
        last_dev_loss: the dev loss of the last step's model.
        out_of_patience: whether the run ended early, as its dev loss fell no more.
        ema_losses: those of the moving average of the last step's weights, by the names above; None where there is
            none.

    Example:
        >>> from namegen_ext.training import Trainer, TrainOptions
        >>> names = ["anna", "ben", "cleo", "dan", "eva", "finn", "gail"]
        >>> result = Trainer(names, TrainOptions(steps=20, hidden_size=16), device="cpu").run()
        >>> result.steps, result.interrupted, result.backend.name
        (20, False, 'stock')

    """

    model: nn.Module
    corpus: Corpus
    backend: Backend
    steps: int
    kept_step: int
    train_loss: float | None
    dev_loss: float | None
    test_loss: float | None
    unseen_dev_loss: float | None
    train_seconds: float
    interrupted: bool
    best_step: int | None = None
    best_dev_loss: float | None = None
    last_dev_loss: float | None = None
    out_of_patience: bool = False
    ema_losses: Mapping[str, float | None] | None = None

    @property
    def steps_per_second(self) -> float:
        """Steps divided by the time spent in them."""
        return self.steps / self.train_seconds if self.train_seconds > 0 else 0.0

    @property
    def has_overfitted(self) -> bool:
        """Whether the dev loss rose by more than 0.05 nats per character from its best to the end."""
        if self.best_dev_loss is None or self.last_dev_loss is None:
            return False
        return self.last_dev_loss > self.best_dev_loss + TELLING_RISE
