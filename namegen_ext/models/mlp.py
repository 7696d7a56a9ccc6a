"""The multi-layer perceptron over the last few characters (Bengio et al. 2003)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from namegen_ext.models.initialisation import SCHEMES, fill_embedding, fill_linear


class MLP(nn.Module):
    """Predicts the next character from the last ``block_size`` ones: embedding, hidden tanh layers, logits.

    ``net`` is an ``nn.Sequential`` of stock layers: Embedding, Flatten, then Linear, BatchNorm1d (where
    asked for) and Tanh for each hidden layer, then Linear. The hidden layers keep their biases beside batch
    norm, as the models it is compared with do.

    Args:
        vocab_size: number of symbols V, the end marker included.
        block_size: number of characters of context.
        embedding_dim: length E of a character's embedding.
        hidden_size: width H of each hidden layer.
        num_hidden_layers: number of hidden layers, at least 1.
        batch_norm: whether each hidden layer is normalised before its tanh.
        init: a scheme of :data:`namegen_ext.models.SCHEMES`.
        generator: where the initial weights are drawn from; None takes torch's global generator.

    Raises:
        ValueError: a size is not a positive integer, ``batch_norm`` not a bool, or ``init`` unknown.

    Sources: Bengio et al., "A Neural Probabilistic Language Model", 2003; Ioffe and Szegedy, "Batch
    Normalization", 2015.

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
    ) -> None:
        super().__init__()
        sizes = {
            "vocab_size": vocab_size,
            "block_size": block_size,
            "embedding_dim": embedding_dim,
            "hidden_size": hidden_size,
            "num_hidden_layers": num_hidden_layers,
        }
        for argument, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{argument} must be a positive integer, but got {value!r}")
        if not isinstance(batch_norm, bool):
            raise ValueError(f"batch_norm must be True or False, but got {batch_norm!r}")
        if init not in SCHEMES:
            raise ValueError(f"init must be one of {', '.join(SCHEMES)}, but got {init!r}")
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.embedding_dim = embedding_dim
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.batch_norm = batch_norm
        self.init = init
        self.net = nn.Sequential(*self._layers())
        self.reset_parameters(generator)

    def _layers(self) -> list[nn.Module]:
        # skip_init leaves the weights unset: reset_parameters draws them, and torch's global generator
        # is not touched.
        layers: list[nn.Module] = [
            skip_init(nn.Embedding, self.vocab_size, self.embedding_dim),
            nn.Flatten(-2),  # (..., block_size, E) -> (..., block_size * E)
        ]
        fan_in = self.block_size * self.embedding_dim
        for _ in range(self.num_hidden_layers):
            layers.append(skip_init(nn.Linear, fan_in, self.hidden_size))
            if self.batch_norm:
                layers.append(nn.BatchNorm1d(self.hidden_size))
            layers.append(nn.Tanh())
            fan_in = self.hidden_size
        layers.append(skip_init(nn.Linear, fan_in, self.vocab_size))
        return layers

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew by the scheme ``init``: embedding first, then layer by layer."""
        scheme = SCHEMES[self.init]
        linears = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        for layer in self.net:
            if isinstance(layer, nn.Embedding):
                fill_embedding(layer, generator)
            elif isinstance(layer, nn.BatchNorm1d):
                layer.reset_parameters()
            elif layer is linears[-1]:
                fill_linear(linears[-1], scheme.output_weight, scheme.output_bias, generator)
            elif isinstance(layer, nn.Linear):
                factor = scheme.hidden_weight_factor(layer.in_features)
                fill_linear(layer, factor, scheme.hidden_bias, generator)

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
        }

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Compute the logits of the next character and, given the right ones, the loss.

        Args:
            tokens: (..., block_size), integers in [0, vocab_size), oldest character first.
            targets: (...), int64, the characters that follow; or None.

        Returns:
            The logits (..., vocab_size), and the mean negative log-likelihood in nats (a scalar; None
            without targets).

        Raises:
            ValueError: the last dimension of ``tokens`` is not ``block_size``.
            IndexError: a token lies outside [0, vocab_size).

        """
        if tokens.dim() == 0 or tokens.shape[-1] != self.block_size:
            raise ValueError(
                f"tokens must be (..., {self.block_size}), the last dimension being block_size,"
                f" but got {tuple(tokens.shape)}"
            )
        if tokens.dim() != 2:  # batch norm knows one batch dimension only
            flat_targets = None if targets is None else targets.reshape(-1)  # (B,)
            logits, loss = self(tokens.reshape(-1, self.block_size), flat_targets)  # (B, V)
            return logits.view(*tokens.shape[:-1], self.vocab_size), loss
        logits = self.net(tokens)  # (B, V)
        return logits, None if targets is None else F.cross_entropy(logits, targets)
