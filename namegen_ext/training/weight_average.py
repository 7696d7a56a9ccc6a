"""A moving average of a model's weights, kept beside them while it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of a model's parameters: the weights of the last steps, each a little less.

    After update t, counted from 0, the average a of a weight w becomes d * a + (1 - d) * w with

        d = min(decay, (1 + t) / (10 + t)),

    so that the first weights are soon forgotten. Buffers, such as a batch norm's running statistics, are not averaged:
    those of the model serve both.

    Args:
        model: whose parameters are averaged; the average begins as they are.
        decay: in (0, 1).

    Attributes:
        tensors: the average of each parameter, by its name.
        updates: how many updates it has taken up.

    Sources: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; the first steps as
    TensorFlow's tf.train.ExponentialMovingAverage has them with num_updates.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> average = WeightAverage(layer, decay=0.99)
        >>> average.shares(2)  # (1 - d) of the next two updates
        [0.9, 0.8181818181818181]

    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._model = model
        self.tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def shares(self, count: int) -> list[float]:
        """Return the shares 1 - d of the next updates."""
        return [1.0 - min(self.decay, (1 + t) / (10 + t)) for t in range(self.updates, self.updates + count)]

    def advance(self, count: int) -> None:
        """Count updates that the tensors have taken up."""
        self.updates += count

    @torch.no_grad()
    def update(self) -> None:
        """Take up the parameters as they are now."""
        (share,) = self.shares(1)
        torch._foreach_lerp_(list(self.tensors.values()), list(self._model.parameters()), share)
        self.advance(1)

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Go on from an average that was saved."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])
        self.updates = updates

    def by_parameter(self) -> dict[Tensor, Tensor]:
        """Return the average of each parameter."""
        return {parameter: self.tensors[name] for name, parameter in self._model.named_parameters()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the model's state_dict with the average in place of the parameters. Names of one tensor share it."""
        averages = {parameter.data_ptr(): tensor for parameter, tensor in self.by_parameter().items()}
        return {
            name: averages.get(value.data_ptr(), value) for name, value in self._model.state_dict().items()
        }

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the place of the parameters meanwhile."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for parameter, tensor in self.by_parameter().items():
            held = parameter.detach().clone()
            parameter.copy_(tensor)
            tensor.copy_(held)
