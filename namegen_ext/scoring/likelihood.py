"""Negative log-likelihoods of names: natively where the native sampler covers the model, else through torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.sampling.native import checked, native_predictor
from namegen_ext.sampling.predictors import Predictor
from namegen_ext.sampling.sampling_errors import NotCoveredError
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.scoring.name_symbols import name_symbols

if TYPE_CHECKING:
    from torch import nn

# Symbols int32 (n,) of names one after another, each with its 0 -> -log P of each in nats: float64 (n,).
SymbolNlls: TypeAlias = Callable[[NDArray[np.int32]], NDArray[np.float64]]


class Likelihood:
    """Computes how likely names are under a model.

    The negative log-likelihood of a name is the sum of -log P of each of its letters and of its end, each given what
    stands before it. The empty name is a name here, although none is drawn.

    Args:
        symbol_nlls: what computes -log P of symbols; :func:`symbol_nlls` makes it of a model.
        vocabulary: the model's symbols.

    """

    def __init__(self, symbol_nlls: SymbolNlls, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._symbol_nlls = symbol_nlls

    def nll(self, names: Sequence[str], *, given: int = 0) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Compute the negative log-likelihood of each name, as the model knows names: in its case and normal form.

        Args:
            names: any strings.
            given: the probability of the first so many letters of each is left out: they are given. No name is shorter.

        Returns:
            float64 (len(names),), in nats, infinite for a name with a letter that the model does not know; and the
            first such letter by the number of the name.

        Raises:
            SamplingError: the model's logits are not all finite.

        """
        found = name_symbols(names, self.vocabulary)
        if not len(names):
            return np.zeros(0), {}
        per_symbol = self._symbol_nlls(found.symbols)  # (n,)
        for place in range(given):
            per_symbol[found.begins + place] = 0.0
        per_name = np.add.reduceat(per_symbol, found.begins)  # (num_names,)
        per_name[list(found.unknown)] = np.inf
        return per_name, found.unknown


def symbol_nlls(
    model: nn.Module | Predictor,
    vocab_size: int,
    block_size: int,
    *,
    sequences: bool = False,
    shaping: Shaping | None = None,
    drawn: bool = False,
) -> SymbolNlls:
    """Make what computes -log P of symbols under a model.

    Args:
        model: a module, or what `namegen_ext.sampling.predictors` has, which needs no torch.
        vocab_size: V.
        block_size: the number of symbols in a context.
        sequences: whether a module predicts all characters of a sequence at once, as the gpt does.
        shaping: temperature and top-k of the probabilities; None for those of the model itself.
        drawn: whether the first symbol of a name is never its end, as where names are drawn without a prefix.

    Raises:
        ValueError: the native sampler does not cover a model without torch.

    """
    shaping = Shaping() if shaping is None else shaping
    if isinstance(model, Predictor):
        try:
            return _native(native_predictor(model), shaping, drawn)
        except NotCoveredError as error:
            raise ValueError(f"model must be one that the native sampler covers: {error}") from None
    from namegen_ext.sampling.distribution import ModelDistribution
    from namegen_ext.sampling.module_network import read_predictor

    try:
        read = read_predictor(ModelDistribution(model, vocab_size, block_size, shaping))
        return _native(native_predictor(read), shaping, drawn)
    except NotCoveredError:
        from namegen_ext.scoring.module_nlls import ModuleNlls

        return ModuleNlls(model, block_size, sequences=sequences, shaping=shaping, drawn=drawn)


def _native(predictor: Any, shaping: Shaping, drawn: bool) -> SymbolNlls:
    top_k = predictor.vocab_size if shaping.top_k is None else shaping.top_k

    def compute(symbols: NDArray[np.int32]) -> NDArray[np.float64]:
        return checked(
            lambda: _core.sampling.symbol_nlls(predictor, symbols, shaping.temperature, top_k, drawn)
        )

    return compute
