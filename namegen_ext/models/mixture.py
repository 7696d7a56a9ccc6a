"""Several models in one: the product of their probabilities, each to the power of its weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.models import known_names
from namegen_ext.models.build import build_model
from namegen_ext.models.count_model import LOG_OF_ZERO
from namegen_ext.models.distribution_model import DistributionModel
from namegen_ext.models.model_arguments import check_sizes
from namegen_ext.models.model_sizes import block_size_of
from namegen_ext.models.number_of_values import number_of_values
from namegen_ext.models.specs import MODELS

# Contexts that go through the components at a time.
_CHUNK = 8192

# Buffers whose size is that of the names, which no configuration tells.
_KNOWN = ("known_keys", "known_adjustments")


class Mixture(DistributionModel):
    """Predicts the next character by several models, combined.

    P(c | context) is proportional to the product over the models k of P_k(c | context) ** w_k. Where the weights' sum
    is above 1, it is more certain than an average of the models. The names of a list may be left out of it in part: see
    :mod:`namegen_ext.models.known_names`.

    Args:
        vocab_size: number of symbols V, the end marker included.
        block_size: number of characters of context: that of the model with the longest one at least. What
            :meth:`leave_out` leaves out is shorter.
        components: for each model its name and its options, as in ``[{"name": "wavenet", "hidden_size": 128}]``.
        generator: where the initial weights are drawn from; None takes torch's global generator.
        num_categories: how many of the symbols, the last ones, are marks of categories. With any, the oldest place of a
            context holds the mark, and each component takes it before as many characters as it sees.

    Raises:
        ValueError: there are no components, one is unknown or sees more than ``block_size`` characters, or a size is
            not a positive integer.

    Attributes:
        components: the models.
        weights: float64 (number of components,): all 1 / number at first.

    Sources: Genest and Zidek, "Combining probability distributions", 1986 (logarithmic opinion pools); Hinton,
    "Products of experts", 1999.

    Example:
        >>> model = Mixture(27, components=[{"name": "ngram", "estimator": "witten-bell"}, {"name": "mlp"}]).eval()
        >>> logits, _ = model(torch.zeros(1, 16, dtype=torch.int64))
        >>> bool(torch.isclose(logits.exp().sum(), torch.tensor(1.0, dtype=torch.float64)))
        True

    """

    name = "mixture"

    def __init__(
        self,
        vocab_size: int,
        block_size: int = 16,
        components: Sequence[Mapping[str, Any]] = (),
        generator: torch.Generator | None = None,
        num_categories: int = 0,
    ) -> None:
        super().__init__()
        check_sizes({"vocab_size": vocab_size, "block_size": block_size})
        if num_categories:
            check_sizes({"num_categories": num_categories})
        if not components:
            raise ValueError("components must hold one model at least, but got none")
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.num_categories = num_categories
        self.components = nn.ModuleList(
            _build_component(config, vocab_size, block_size, generator) for config in components
        )
        even = torch.full((len(self.components),), 1 / len(self.components), dtype=torch.float64)
        self.register_buffer("weights", even)  # (C,)
        self.register_buffer("known_keys", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("known_adjustments", torch.zeros(0, dtype=torch.float64))

    def log_probabilities(self, tokens: Tensor) -> Tensor:
        """Compute the logarithms of the probabilities of the next character: (n, V), float64."""
        chunks = [self._log_probabilities(chunk) for chunk in tokens.split(_CHUNK)]
        return torch.cat(chunks) if chunks else tokens.new_zeros(0, self.vocab_size, dtype=torch.float64)

    def _log_probabilities(self, tokens: Tensor) -> Tensor:
        logits = torch.zeros(
            len(tokens), self.vocab_size, dtype=torch.float64, device=tokens.device
        )  # (n, V)
        for component, weight in zip(self.components, self.get_buffer("weights"), strict=True):
            logits += weight * component_log_probabilities(
                component, tokens, has_mark=self.num_categories > 0
            )
        if self.num_categories:  # no mark is ever predicted
            logits[:, self.vocab_size - self.num_categories :] = LOG_OF_ZERO
        keys = self.get_buffer("known_keys")
        if len(keys):
            words = tokens.long()
            if self.num_categories:
                words = known_names.marks_before_letters(words)  # (n, block_size)
            nodes = known_names.find_nodes(keys, words, self.vocab_size)  # (n,)
            known_names.adjust(logits, nodes, keys, self.get_buffer("known_adjustments"), self.vocab_size)
        return logits.log_softmax(dim=1)

    @torch.no_grad()
    def leave_out(self, symbols: Tensor, factor: float) -> float:
        """Have the names of a list drawn ``factor`` times as often, against all others; in place of an earlier list.

        Names of ``block_size`` characters or more stay as they are.

        Args:
            symbols: int64 (n, L), the symbols of each name, zeros behind them, one at least.
            factor: above 0.

        Returns:
            The share of all probability that the names have had before.

        Raises:
            ValueError: ``factor`` is not above 0.

        """
        if not factor > 0:
            raise ValueError(f"factor must be above 0, but got {factor!r}")
        self.register_buffer("known_keys", torch.zeros(0, dtype=torch.int64))
        mass = self.known_mass(symbols)  # (nodes,)
        keys = self._keys(symbols)
        self.register_buffer("known_keys", keys)
        self.register_buffer("known_adjustments", torch.log1p((factor - 1) * mass[1:]))
        return float(mass[0])

    @torch.no_grad()
    def known_mass(self, symbols: Tensor) -> Tensor:
        """Compute what :func:`namegen_ext.models.known_names.known_mass` does, for names (n, L) of this model."""
        keys = self._keys(symbols)
        contexts = known_names.beginnings(keys, self.vocab_size, self.block_size)  # (nodes, B)
        if self.num_categories:
            contexts = known_names.marks_oldest(contexts, self.vocab_size - self.num_categories)  # (nodes, B)
        parents = keys // self.vocab_size  # (nodes - 1,), ascending
        going_on, parent_rows = torch.unique(parents, return_inverse=True)
        found = [self(chunk)[0] for chunk in contexts[going_on].split(_CHUNK)]
        log_probabilities = torch.cat([torch.zeros(0, self.vocab_size, dtype=torch.float64), *found])
        chosen = log_probabilities[parent_rows, keys % self.vocab_size]  # (nodes - 1,)
        if self.num_categories:  # a category is no prediction: each has its share of the names
            is_mark = parents == 0  # (nodes - 1,)
            often = torch.bincount(symbols[:, 0], minlength=self.vocab_size).double()  # (V,)
            chosen[is_mark] = (often[keys[is_mark]] / len(symbols)).log()
        return known_names.known_mass(keys, chosen, self.vocab_size)

    def _keys(self, symbols: Tensor) -> Tensor:
        is_short = (symbols != 0).sum(dim=1) < self.block_size  # (n,)
        return known_names.prefix_keys(symbols[is_short], self.vocab_size)

    @property
    def num_values(self) -> int:
        """Parameters of the networks and counts, together."""
        return sum(number_of_values(component) for component in self.components)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        for name in _KNOWN:
            found = state_dict.get(prefix + name)
            if isinstance(found, Tensor):
                self.register_buffer(name, torch.empty_like(found, device="cpu"))
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments (less the generator), as JSON can hold them."""
        return {
            "vocab_size": self.vocab_size,
            "block_size": self.block_size,
            "components": [_component_config(component) for component in self.components],
            **({"num_categories": self.num_categories} if self.num_categories else {}),
        }


def _build_component(
    config: Mapping[str, Any], vocab_size: int, block_size: int, generator: torch.Generator | None
) -> nn.Module:
    options = dict(config)
    name = options.pop("name", None)
    if name not in MODELS or name == Mixture.name:
        known = ", ".join(model for model in MODELS if model != Mixture.name)
        raise ValueError(f"a component's name must be one of {known}, but got {name!r}")
    component = build_model(name, {"vocab_size": vocab_size, **options}, generator)
    if block_size_of(component) > block_size:
        raise ValueError(
            f"block_size must be at least that of each component, but got {block_size} and {name} with"
            f" {component.block_size}"
        )
    return component


def _component_config(component: nn.Module) -> dict[str, Any]:
    config: dict[str, Any] = component.config  # type: ignore[assignment]
    options = {name: value for name, value in config.items() if name != "vocab_size"}
    return {"name": component.name, **options}


def component_log_probabilities(component: nn.Module, tokens: Tensor, *, has_mark: bool = False) -> Tensor:
    """Ask one model: tokens (n, block_size or more) -> log-probabilities (n, V), float64.

    With ``has_mark`` the oldest token is the mark of a category, which the model sees beside the newest characters.
    """
    own = newest_tokens(tokens, block_size_of(component), has_mark=has_mark)  # (n, its block_size)
    # A model over sequences tells by itself where in a context the word begins.
    output = getattr(component, "next_logits", component)(own)
    logits = output[0] if isinstance(output, tuple) else output  # (n, V)
    return logits.double().log_softmax(dim=1)


def newest_tokens(tokens: Tensor, block_size: int, *, has_mark: bool) -> Tensor:
    """Return the newest tokens (n, block_size) of contexts (n, T); with ``has_mark`` the mark stands before them."""
    if not has_mark:
        return tokens[:, tokens.shape[1] - block_size :]
    return torch.cat([tokens[:, :1], tokens[:, tokens.shape[1] - block_size + 1 :]], dim=1)
