"""Models that hold the logits of every context in a table: the bigram, and n-grams of higher order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.models.counting import add_k, context_numbers, count_windows, witten_bell
from namegen_ext.models.initial_weights import fill_embedding, unfilled
from namegen_ext.models.model_arguments import check_choice, check_sizes
from namegen_ext.models.schemes import COUNTS, SCHEMES, TABLE_SCHEMES
from namegen_ext.models.specs import TABLE_ESTIMATORS, check_table_size
from namegen_ext.models.window_model import WindowModel

# Stands for the logarithm of a probability of 0. It is finite, and exp(-10,000) is 0 in every floating-point type.
LOG_OF_ZERO = -1e4


class ContextNumber(nn.Module):
    """Turns contexts (..., block_size) into their numbers (...) in base ``vocab_size``."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size

    def forward(self, tokens: Tensor) -> Tensor:
        """Number the contexts: (..., block_size) integers -> (...) int64."""
        # A token out of range would give the number of another context, without an error.
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.vocab_size:
            raise IndexError(f"tokens must lie in [0, {self.vocab_size}), but got {tokens}")
        return context_numbers(tokens, self.vocab_size)

    def extra_repr(self) -> str:
        """Show the base."""
        return str(self.vocab_size)


class NGram(WindowModel):
    """Predicts the next character from a table with a row of logits for each context of ``block_size``.

    It is a one-layer network over one-hot contexts, which gradient descent can train; or a counting model,
    whose logits :meth:`set_from_windows` sets to the logarithms of smoothed relative frequencies.

    Args:
        vocab_size: number of symbols V, the end marker included.
        block_size: number of characters of context.
        init: "counts", or a scheme of :data:`namegen_ext.models.SCHEMES`, whose factor for the output layer
            multiplies the standard normal logits.
        generator: where the initial logits are drawn from; None takes torch's global generator.

    Raises:
        ValueError: a size is not a positive integer, ``init`` unknown, or the table would have more than
            2**26 values.

    Source: Shannon, "A Mathematical Theory of Communication", 1948.

    Example:
        >>> import torch
        >>> model = NGram(3, block_size=1)
        >>> model.set_from_windows(torch.tensor([[0], [1], [1]]), torch.tensor([1, 2, 2]), smoothing=1.0)
        >>> model.table.weight.exp()
        tensor([[0.2500, 0.5000, 0.2500],
                [0.2000, 0.2000, 0.6000],
                [0.3333, 0.3333, 0.3333]], grad_fn=<ExpBackward0>)

    """

    name = "ngram"

    def __init__(
        self,
        vocab_size: int,
        block_size: int = 3,
        init: str = COUNTS,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes({"vocab_size": vocab_size, "block_size": block_size})
        check_choice("init", init, TABLE_SCHEMES)
        check_table_size(vocab_size, block_size)
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.init = init
        self.net = self._layers()
        self.reset_parameters(generator)

    def _layers(self) -> nn.Sequential:
        num_contexts = self.vocab_size**self.block_size
        return nn.Sequential(
            ContextNumber(self.vocab_size),  # (B, block_size) -> (B,)
            unfilled(nn.Embedding, num_contexts, self.vocab_size),  # -> (B, V)
        )

    @property
    def table(self) -> nn.Embedding:
        """The logits: its weight is (V**block_size, V)."""
        (embedding,) = (layer for layer in self.net if isinstance(layer, nn.Embedding))
        return embedding

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the logits anew by the scheme ``init``; with "counts" they are all 0."""
        if self.init == COUNTS:
            nn.init.zeros_(self.table.weight)
        else:
            fill_embedding(self.table, generator, SCHEMES[self.init].output_weight)

    @torch.no_grad()
    def set_from_windows(
        self,
        tokens: Tensor,
        targets: Tensor,
        *,
        estimator: str = "add-k",
        smoothing: float = 1.0,
        weights: Tensor | None = None,
    ) -> None:
        """Set the logits, in place, to the logarithms of probabilities estimated from counts.

        Args:
            tokens: (n, block_size) int64, the contexts.
            targets: (n,) int64, what follows them.
            estimator: "add-k", or "witten-bell", which interpolates all orders up to the model's.
            smoothing: the k of add-k, at least 0.
            weights: (n,) float64, how often each window counts; None for once each.

        Raises:
            ValueError: an argument is out of range, or a shape does not fit.

        """
        check_choice("estimator", estimator, TABLE_ESTIMATORS)
        if not 0 <= smoothing < float("inf"):
            raise ValueError(f"smoothing must be a finite number of at least 0, but got {smoothing!r}")
        if tokens.shape != (len(targets), self.block_size):
            raise ValueError(
                f"tokens must be ({len(targets)}, {self.block_size}), as many as targets and block_size wide, "
                f"but got {tuple(tokens.shape)}"
            )
        if estimator == "witten-bell":
            self._set_probabilities(witten_bell(tokens, targets, self.vocab_size, weights))
        else:
            counts = count_windows(tokens, targets, self.vocab_size, weights)  # (V**block_size, V)
            self._set_probabilities(add_k(counts, smoothing))

    def _set_probabilities(self, probabilities: Tensor) -> None:
        self.table.weight.copy_(probabilities.log().clamp(min=LOG_OF_ZERO))  # (V**block_size, V)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments (less the generator), as JSON can hold them."""
        return {"vocab_size": self.vocab_size, "block_size": self.block_size, "init": self.init}


class Bigram(NGram):
    """Predicts the next character from the last one: an embedding of logits, ``block_size`` 1.

    ``net`` is an ``nn.Sequential`` of stock layers, Embedding and Flatten. Gradient descent on the whole set
    approaches the logits that counting gives at once.

    Args:
        vocab_size: number of symbols V, the end marker included.
        init: "counts", or a scheme of :data:`namegen_ext.models.SCHEMES`, whose factor for the output layer
            multiplies the standard normal logits.
        generator: where the initial logits are drawn from; None takes torch's global generator.
        block_size: 1; or 2 for names with categories, where the mark of the category stands before the character.

    Raises:
        ValueError: ``vocab_size`` is not a positive integer, or ``init`` unknown.

    Example:
        >>> import torch
        >>> model = Bigram.from_counts(torch.tensor([[0, 3], [1, 0]]), smoothing=1.0)
        >>> model(torch.tensor([[0]]))[0].exp()
        tensor([[0.2000, 0.8000]], grad_fn=<ExpBackward0>)

    """

    name = "bigram"

    def __init__(
        self,
        vocab_size: int,
        init: str = "plain",
        generator: torch.Generator | None = None,
        block_size: int = 1,
    ) -> None:
        if block_size not in (1, 2):
            raise ValueError(f"block_size must be 1, or 2 with categories, but got {block_size!r}")
        super().__init__(vocab_size, block_size, init, generator)

    def _layers(self) -> nn.Sequential:
        if self.block_size > 1:
            return super()._layers()
        return nn.Sequential(
            unfilled(nn.Embedding, self.vocab_size, self.vocab_size),  # (B, 1) -> (B, 1, V)
            nn.Flatten(-2),  # (B, 1, V) -> (B, V)
        )

    @classmethod
    def from_counts(cls, counts: Tensor, smoothing: float = 1.0) -> Bigram:
        """Make the counting model.

        Args:
            counts: (V, V), how often the symbol of a column follows that of a row.
            smoothing: added to each count, at least 0.

        Raises:
            ValueError: ``counts`` is not square or has a negative value, or ``smoothing`` is out of range.

        """
        if counts.dim() != 2 or counts.shape[0] != counts.shape[1] or bool((counts < 0).any()):
            raise ValueError(f"counts must be (V, V), none of them negative, but got {tuple(counts.shape)}")
        if not 0 <= smoothing < float("inf"):
            raise ValueError(f"smoothing must be a finite number of at least 0, but got {smoothing!r}")
        model = cls(len(counts), init=COUNTS)
        with torch.no_grad():
            model._set_probabilities(add_k(counts.double(), smoothing))
        return model

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments (less the generator), as JSON can hold them."""
        of_categories = {"block_size": self.block_size} if self.block_size > 1 else {}
        return {"vocab_size": self.vocab_size, "init": self.init, **of_categories}
