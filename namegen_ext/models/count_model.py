"""The counting model: how often each symbol followed each context, kept sparsely and smoothed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from namegen_ext._native.core import _core
from namegen_ext.models.count_arrays import TRIE_DTYPES, native_count_model, native_trie, start_of
from namegen_ext.models.distribution_model import DistributionModel
from namegen_ext.models.model_arguments import check_choice, check_flags, check_sizes
from namegen_ext.models.schemes import COUNTS
from namegen_ext.models.specs import ESTIMATORS, KNESER_NEY

# The logarithm of a probability of 0, kept finite: exp(-10,000) is 0 in every floating-point type.
LOG_OF_ZERO = -1e4

# Of Kneser and Ney's estimator, before they are tuned: discounts of counts of 1, 2 and 3 or more, the concentration.
DEFAULT_DISCOUNTS = (0.7, 1.1, 1.4)
DEFAULT_CONCENTRATION = 0.5


class CountModel(DistributionModel):
    """Predicts the next character from counts of what followed the characters before it.

    Contexts of every length up to ``block_size`` are kept, those that occurred alone, so that the memory goes with the
    words, whatever the alphabet. It has no parameters that gradient descent could train. Until :meth:`count` is called
    all symbols are equally likely.

    Args:
        vocab_size: number of symbols V, the end marker included.
        block_size: number of characters of the longest context.
        init: "counts", as there are no weights to draw.
        estimator: "add-k" counts the longest context alone; "witten-bell" interpolates all lengths by how many
            different symbols followed; "kneser-ney" counts a short context by how many longer ones it ends, and takes
            discounts off, which :meth:`set_discounts` sets.
        smoothing: the k of add-k, at least 0.
        generator: not used; every model's constructor takes one.
        category_newest: for names with categories. The mark of the category, which stands at the oldest place of the
            tokens, then counts as the newest character of their contexts. So each category has counts of its own at
            every length of context, backed off to what all categories have in common.

    Raises:
        ValueError: an argument is out of range.

    Sources: Witten and Bell, "The zero-frequency problem", 1991; Kneser and Ney, "Improved backing-off for m-gram
    language modeling", 1995, in the modified form of Chen and Goodman, 1999.

    Example:
        >>> from namegen_ext.data import Vocabulary, build_windows
        >>> vocabulary = Vocabulary("abn")
        >>> model = CountModel(len(vocabulary), block_size=2, estimator="witten-bell")
        >>> model.count(*build_windows(["anna", "banana"], vocabulary, 2))
        >>> logits, _ = model(torch.tensor([[0, 2]]))  # behind a "b" at the start
        >>> "-abn"[int(logits.argmax())]
        'a'

    """

    name = "ngram"

    def __init__(
        self,
        vocab_size: int,
        block_size: int = 3,
        init: str = COUNTS,
        estimator: str = "add-k",
        smoothing: float = 1.0,
        generator: torch.Generator | None = None,
        category_newest: bool = False,
    ) -> None:
        super().__init__()
        check_sizes({"vocab_size": vocab_size, "block_size": block_size})
        check_flags({"category_newest": category_newest})
        check_choice("init", init, (COUNTS,))
        check_choice("estimator", estimator, ESTIMATORS)
        if not 0 <= smoothing < float("inf"):
            raise ValueError(f"smoothing must be a finite number of at least 0, but got {smoothing!r}")
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.estimator = estimator
        self.smoothing = smoothing
        self.category_newest = category_newest
        self._native: tuple[Any, Any] | None = None  # the native model, and what it was made of
        nothing = {
            "oldest_symbol": [0],
            "first_child": [1, 1],
            "first_pair": [0, 0],
            "pair_symbol": [],
            "pair_count": [],
        }
        for name, values in nothing.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.int32))
        if estimator == KNESER_NEY:
            lengths = block_size + 1
            discounts = torch.tensor(DEFAULT_DISCOUNTS, dtype=torch.float64).repeat(
                lengths, 1
            )  # (lengths, 3)
            self.register_buffer("discounts", discounts)
            concentrations = torch.full((lengths,), DEFAULT_CONCENTRATION, dtype=torch.float64)  # (lengths,)
            self.register_buffer("concentrations", concentrations)

    @property
    def num_values(self) -> int:
        """How many counts the model holds; it has no parameters."""
        return int(self.get_buffer("pair_count").numel())

    def count(self, tokens: Tensor, targets: Tensor, counts: Tensor | None = None) -> None:
        """Count examples, in place of those counted before.

        Args:
            tokens: (n, block_size) integers, the contexts, oldest character first.
            targets: (n,) integers, what follows them.
            counts: (n,), how often each example counts, at least 0; None for once. Kneser and Ney's estimator counts
                how often by whole numbers: it takes the next larger ones.

        Raises:
            IndexError: a token or a target lies outside [0, vocab_size).
            ValueError: a shape does not fit, or a count is negative or not finite.

        """
        if tokens.shape != (len(targets), self.block_size):
            raise ValueError(
                f"tokens must be ({len(targets)}, {self.block_size}), as many as targets and block_size wide, "
                f"but got {tuple(tokens.shape)}"
            )
        if counts is not None:
            if counts.shape != targets.shape or not bool((counts.isfinite() & (counts >= 0)).all()):
                raise ValueError("counts must be (n,), as many as targets, and finite numbers of at least 0")
            tokens, targets, counts = tokens[counts > 0], targets[counts > 0], counts[counts > 0]
        trie = _core.counts.count(
            self._contexts(tokens),
            _numpy(targets),
            None if counts is None else _numpy(counts),
            self.vocab_size,
            self.block_size,
            start_of(self.estimator),
        )
        for name, values in trie.arrays().items():
            self._set(name, _narrowed(torch.from_numpy(values)))

    def set_discounts(self, discounts: Tensor, concentrations: Tensor) -> None:
        """Set what Kneser and Ney's estimator takes off, for contexts of each length.

        Args:
            discounts: (block_size + 1, 3), of counts of 1, 2, and 3 or more: in [0, 1], [0, 2] and [0, 3].
            concentrations: (block_size + 1,), at least 0.

        Raises:
            ValueError: a shape does not fit, a value is out of range, or the estimator is another one.

        """
        if self.estimator != KNESER_NEY:
            raise ValueError(f"estimator must be 'kneser-ney' for discounts, but is {self.estimator!r}")
        lengths = self.block_size + 1
        if discounts.shape != (lengths, 3) or concentrations.shape != (lengths,):
            raise ValueError(
                f"discounts must be ({lengths}, 3) and concentrations ({lengths},), one more than block_size,"
                f" but got {tuple(discounts.shape)} and {tuple(concentrations.shape)}"
            )
        self._set("discounts", discounts.detach().double().clone())
        self._set("concentrations", concentrations.detach().double().clone())
        self.native()  # raises what is wrong

    def evidence(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return what each length of context knows of a held-out symbol: all that tuning the discounts needs.

        Args:
            tokens: (n, block_size) integers.
            targets: (n,) integers.

        Returns:
            (n, block_size + 1, 5) float64: the count of the target, the sum of all counts (0 for a context that never
            occurred), and of how many symbols the count is 1, 2, and 3 or more; counts as Kneser and Ney's.

        """
        return torch.from_numpy(self._trie().evidence(self._contexts(tokens), _numpy(targets)))

    def log_probabilities(self, tokens: Tensor) -> Tensor:
        """Compute the logarithms of the probabilities of the next character: (n, V), float64, -10,000 for 0."""
        probabilities = torch.from_numpy(self.native().distributions(self._contexts(tokens)))  # (n, V)
        return probabilities.log().clamp_(min=LOG_OF_ZERO).to(tokens.device)

    def _contexts(self, tokens: Tensor) -> np.ndarray:
        """Return contexts as they are counted: (n, block_size), the mark of the category behind the characters."""
        return _numpy(tokens.roll(-1, dims=1) if self.category_newest else tokens)

    def native(self) -> Any:
        """Return the model of ``namegen_ext._core`` with the counts as they are now.

        Raises:
            ValueError: the buffers are no counts: they come from a damaged file.

        """
        made_of = [(id(buffer), buffer._version) for buffer in self.buffers()]
        if self._native is None or self._native[1] != made_of:
            arrays = {name: _numpy(buffer) for name, buffer in self.named_buffers()}
            native = native_count_model(
                self.vocab_size, self.block_size, self.estimator, self.smoothing, arrays
            )
            self._native = (native, made_of)
        return self._native[0]

    def _trie(self) -> Any:
        arrays = {name: _numpy(self.get_buffer(name)) for name in TRIE_DTYPES}
        return native_trie(self.vocab_size, self.block_size, self.estimator, arrays)

    def _set(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values.to(self.get_buffer(name).device))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        for name in TRIE_DTYPES:
            found = state_dict.get(prefix + name)
            if isinstance(found, Tensor):
                self._set(name, torch.empty_like(found, device="cpu"))
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the native model out of copies: each makes its own."""
        return {**self.__dict__, "_native": None}

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments (less the generator), as JSON can hold them."""
        return {
            "vocab_size": self.vocab_size,
            "block_size": self.block_size,
            "init": COUNTS,
            "estimator": self.estimator,
            "smoothing": self.smoothing,
            **({"category_newest": True} if self.category_newest else {}),
        }

    def extra_repr(self) -> str:
        """Show what was counted."""
        return f"{self.vocab_size}, {self.block_size}, {self.estimator}, {self.num_values:,} counts"


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _narrowed(values: Tensor) -> Tensor:
    """Keep 64 bits only where int32 does not hold the values."""
    narrow = values.to(torch.int32)
    return narrow if bool((narrow == values).all()) else values
