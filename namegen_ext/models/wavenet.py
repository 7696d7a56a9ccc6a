"""The hierarchical model: neighbouring characters are joined level by level, as in a WaveNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from namegen_ext.models.initial_weights import unfilled
from namegen_ext.models.model_arguments import check_choice, check_factors, check_flags, check_sizes
from namegen_ext.models.schemes import SCHEMES
from namegen_ext.models.window_model import WindowModel, hidden_layers
from namegen_ext.nn import FlattenConsecutive
from namegen_ext.nn.variances import VARIANCES


class WaveNet(WindowModel):
    """Predicts the next character by joining neighbouring positions level by level.

    ``net`` is an ``nn.Sequential``: Embedding, then for each factor FlattenConsecutive, Linear, batch norm
    over all dimensions but the last (where asked for) and Tanh, then Linear. Everything keeps its channels
    last, so nothing is transposed. With one factor, the whole block, it is a flat perceptron.

    Args:
        vocab_size: number of symbols V, the end marker included.
        block_size: number of characters of context.
        embedding_dim: length E of a character's embedding.
        hidden_size: width H of each level.
        factors: how many neighbours each level joins; their product is ``block_size``. None takes its prime
            factors: 8 is 2 x 2 x 2.
        batch_norm: whether each level is normalised, over batch and positions together, before its tanh.
        init: a scheme of :data:`namegen_ext.models.SCHEMES`.
        generator: where the initial weights are drawn from; None takes torch's global generator.
        hidden_bias: whether the levels' linear layers have biases, which have no effect behind batch norm.
        batch_norm_variance: "biased" as in nn.BatchNorm1d, or "unbiased".

    Raises:
        ValueError: a size is not a positive integer, the factors' product is not ``block_size``, a flag is not
            a bool, or a name unknown.

    Sources: van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016; A. Karpathy's lecture
    "Building makemore part 5: building a WaveNet", 2022.

    Example:
        >>> import torch
        >>> model = WaveNet(27, block_size=8, embedding_dim=6, hidden_size=16)
        >>> model.factors
        (2, 2, 2)
        >>> model(torch.zeros(32, 8, dtype=torch.int64))[0].shape
        torch.Size([32, 27])

    """

    name = "wavenet"

    def __init__(
        self,
        vocab_size: int,
        block_size: int = 8,
        embedding_dim: int = 24,
        hidden_size: int = 128,
        factors: Sequence[int] | None = None,
        batch_norm: bool = True,
        init: str = "kaiming",
        generator: torch.Generator | None = None,
        *,
        hidden_bias: bool = False,
        batch_norm_variance: str = "biased",
    ) -> None:
        super().__init__()
        check_sizes(
            {
                "vocab_size": vocab_size,
                "block_size": block_size,
                "embedding_dim": embedding_dim,
                "hidden_size": hidden_size,
            }
        )
        check_flags({"batch_norm": batch_norm, "hidden_bias": hidden_bias})
        check_choice("batch_norm_variance", batch_norm_variance, VARIANCES)
        check_choice("init", init, SCHEMES)
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.embedding_dim = embedding_dim
        self.hidden_size = hidden_size
        self.factors = check_factors(factors, block_size)
        self.batch_norm = batch_norm
        self.init = init
        self.hidden_bias = hidden_bias
        self.batch_norm_variance = batch_norm_variance
        self.net = nn.Sequential(*self._layers())
        self.reset_parameters(generator)

    def _layers(self) -> list[nn.Module]:
        layers: list[nn.Module] = [unfilled(nn.Embedding, self.vocab_size, self.embedding_dim)]
        channels = self.embedding_dim
        for factor in self.factors:
            layers.append(FlattenConsecutive(factor))  # (B, T, C) -> (B, T / factor, factor * C)
            layers += hidden_layers(
                factor * channels,
                self.hidden_size,
                bias=self.hidden_bias,
                batch_norm=self.batch_norm,
                variance=self.batch_norm_variance,
                channels_last=True,
            )
            channels = self.hidden_size
        layers.append(unfilled(nn.Linear, channels, self.vocab_size))
        return layers

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments (less the generator), as JSON can hold them."""
        return {
            "vocab_size": self.vocab_size,
            "block_size": self.block_size,
            "embedding_dim": self.embedding_dim,
            "hidden_size": self.hidden_size,
            "factors": list(self.factors),
            "batch_norm": self.batch_norm,
            "init": self.init,
            "hidden_bias": self.hidden_bias,
            "batch_norm_variance": self.batch_norm_variance,
        }
