"""The multi-layer perceptron over the last few characters (Bengio et al. 2003)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from namegen_ext.models.initial_weights import unfilled
from namegen_ext.models.model_arguments import check_choice, check_flags, check_sizes
from namegen_ext.models.schemes import SCHEMES
from namegen_ext.models.window_model import WindowModel, hidden_layers
from namegen_ext.nn.variances import VARIANCES


class MLP(WindowModel):
    """Predicts the next character from the last ``block_size`` ones: embedding, hidden tanh layers, logits.

    ``net`` is an ``nn.Sequential`` of stock layers: Embedding, Flatten, then Linear, BatchNorm1d (where
    asked for) and Tanh for each hidden layer, then Linear. With batch norm, the hidden layers still have
    biases by default, because most of the models that it is compared with have them.

    Args:
        vocab_size: number of symbols V, the end marker included.
        block_size: number of characters of context.
        embedding_dim: length E of a character's embedding.
        hidden_size: width H of each hidden layer.
        num_hidden_layers: number of hidden layers, at least 1.
        batch_norm: whether each hidden layer is normalised before its tanh.
        init: a scheme of :data:`namegen_ext.models.SCHEMES`.
        generator: where the initial weights are drawn from; None takes torch's global generator.
        hidden_bias: whether the hidden linear layers have biases.
        batch_norm_variance: "biased", with torch's nn.BatchNorm1d; or "unbiased", with
            :class:`namegen_ext.nn.ChannelsLastBatchNorm1d`.

    Raises:
        ValueError: a size is not a positive integer, ``batch_norm`` not a bool, or ``init`` unknown.

    Sources: Bengio et al., "A Neural Probabilistic Language Model", 2003; Ioffe and Szegedy, "Batch
    Normalization", 2015.

    Example:
        >>> import torch
        >>> model = MLP(27, block_size=3, embedding_dim=10, hidden_size=200)
        >>> logits, loss = model(torch.zeros(32, 3, dtype=torch.int64), torch.zeros(32, dtype=torch.int64))
        >>> logits.shape
        torch.Size([32, 27])

    """

    name = "mlp"

    def __init__(
        self,
        vocab_size: int,
        block_size: int = 3,
        embedding_dim: int = 10,
        hidden_size: int = 200,
        num_hidden_layers: int = 1,
        batch_norm: bool = True,
        init: str = "kaiming",
        generator: torch.Generator | None = None,
        *,
        hidden_bias: bool = True,
        batch_norm_variance: str = "biased",
    ) -> None:
        super().__init__()
        check_sizes(
            {
                "vocab_size": vocab_size,
                "block_size": block_size,
                "embedding_dim": embedding_dim,
                "hidden_size": hidden_size,
                "num_hidden_layers": num_hidden_layers,
            }
        )
        check_flags({"batch_norm": batch_norm, "hidden_bias": hidden_bias})
        check_choice("batch_norm_variance", batch_norm_variance, VARIANCES)
        check_choice("init", init, SCHEMES)
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.embedding_dim = embedding_dim
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.batch_norm = batch_norm
        self.init = init
        self.hidden_bias = hidden_bias
        self.batch_norm_variance = batch_norm_variance
        self.net = nn.Sequential(*self._layers())
        self.reset_parameters(generator)

    def _layers(self) -> list[nn.Module]:
        layers: list[nn.Module] = [
            unfilled(nn.Embedding, self.vocab_size, self.embedding_dim),
            nn.Flatten(-2),  # (..., block_size, E) -> (..., block_size * E)
        ]
        fan_in = self.block_size * self.embedding_dim
        for _ in range(self.num_hidden_layers):
            layers += hidden_layers(
                fan_in,
                self.hidden_size,
                bias=self.hidden_bias,
                batch_norm=self.batch_norm,
                variance=self.batch_norm_variance,
                channels_last=False,
            )
            fan_in = self.hidden_size
        layers.append(unfilled(nn.Linear, fan_in, self.vocab_size))
        return layers

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments (less the generator), as JSON can hold them."""
        return {
            "vocab_size": self.vocab_size,
            "block_size": self.block_size,
            "embedding_dim": self.embedding_dim,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_hidden_layers,
            "batch_norm": self.batch_norm,
            "init": self.init,
            "hidden_bias": self.hidden_bias,
            "batch_norm_variance": self.batch_norm_variance,
        }
