"""The model with the least dev loss so far, kept beside the one that is trained on."""

from __future__ import annotations

from torch import Tensor, nn

from namegen_ext.runs.checkpoint import BestSoFar

# A dev loss that rises by more than this from its best, in nats per character, is told of.
TELLING_RISE = 0.05


class BestModel:
    """Watches the dev loss at each evaluation, and copies the model where it is the least.

    Args:
        keeps_copies: whether the model is copied; else only its step and loss are known.

    Attributes:
        found: the best so far; None before the first evaluation.

    """

    def __init__(self, *, keeps_copies: bool) -> None:
        self.keeps_copies = keeps_copies
        self.found: BestSoFar | None = None

    def offer(self, step: int, dev_loss: float, model: nn.Module) -> None:
        """Take up an evaluation; of equal losses the earliest is the best."""
        if self.found is not None and dev_loss >= self.found.dev_loss:
            self.found = BestSoFar(
                self.found.step, self.found.dev_loss, self.found.evaluations_since + 1, self.found.model
            )
            return
        self.found = BestSoFar(step, dev_loss, 0, self._copy(model))

    def has_copy(self) -> bool:
        """Whether there is a model to go back to."""
        return self.found is not None and bool(self.found.model)

    def _copy(self, model: nn.Module) -> dict[str, Tensor]:
        if not self.keeps_copies:
            return {}
        return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
