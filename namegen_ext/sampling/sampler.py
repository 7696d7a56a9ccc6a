"""Draws the names at any place of a seed's stream, from a model that is made ready once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.sampling.native import (
    Spelling,
    checked,
    direct_sampler,
    lines,
    native_predictor,
    network_table_sampler,
    rows_table_sampler,
)
from namegen_ext.sampling.plan import BACKENDS, METHODS, Backend, Method, make_plan
from namegen_ext.sampling.predictors import Predictor
from namegen_ext.sampling.sampling_arguments import (
    check_choice,
    check_count,
    check_prefix,
    check_temperature,
    check_top_k,
    known_form,
)
from namegen_ext.sampling.sampling_errors import (
    NOT_FINITE,
    NotCoveredError,
    SamplingError,
    TooFewAcceptedError,
)
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.sampling.steered import MOST_TRIES, Steered, steered_native, steered_python
from namegen_ext.steering import Constraints, demand_of

if TYPE_CHECKING:
    from torch import nn

    from namegen_ext.sampling.distribution import ModelDistribution, NextSymbolDistribution
    from namegen_ext.sampling.python_names import PythonNames
    from namegen_ext.sampling.steered_names import MessageNames, RejectionNames

DEFAULT_MAX_LENGTH = 64
DEFAULT_TRIES = 100_000


class NameSampler:
    """Draws the names of a seed's stream. Each depends on the seed and on its place in the stream alone.

    That holds to the bit where the native sampler evaluates the model's network, whatever the method, and where the
    model is tabulated. Where torch is asked each time, a matrix product may round differently for another number of
    rows, which changes about one drawn letter in a million. As many letters differ between Python and the native
    sampler of a network, and between instruction sets.

    Args:
        model: maps (N, block_size) int64 tokens to logits (N, len(vocabulary)), or to a tuple that starts
            with them. Or what `namegen_ext.sampling.predictors` has, which needs no torch.
        vocabulary: the symbols.
        expected_names: about how many names will be drawn; "auto" chooses the method by it.
        block_size: the number of symbols in a context; None takes ``model.block_size``.
        temperature: the logits are divided by it; greater than 0.
        top_k: draw among the k likeliest symbols only; None for all.
        prefix: stands at the start of each name.
        max_length: a name, its prefix included, is cut after so many letters.
        method: "direct" asks the model for each symbol; "table" asks it once for every context there is;
            "auto" takes the table where it has few contexts against the names to be drawn. Both draw the
            same names: to the bit where the native sampler evaluates the network, else up to float rounding.
        use_cache: whether "direct" keeps the keys and values of the symbols before, where the model can.
        backend: "native" draws with csrc/core/engine/sampling, "python" with this package's Python, which is
            slower and easier to read; "auto" takes the native one where it covers the model: every model that
            is tabulated, networks of the layers in module_network.py, counting models and mixtures.
        constraints: what names are to be; None for anything. The names are then the model's own, given that they
            meet the constraints and end by themselves within ``max_length`` letters, or the number of the constraints.
            "table" draws by messages, without a rejection; "direct" draws anew until a name is accepted. "auto" takes
            the first where there are few contexts. The two draw other names of the same distribution.
        tries: give a name up after so many draws, where draws are rejected.
        once: for mixtures, which draw a rejected name anew from any of their parts: where draws are rejected, a name is
            drawn once, and `draw` gives "\\0" in place of one that was rejected.

    Attributes:
        vocabulary: as given.
        method: "table" or "direct", as chosen.
        accepted: how likely one of the model's names meets the constraints. For "direct" it is an upper bound. None
            without constraints.
        native: the native sampler, or None where Python draws.
        why_not_native: the reason why Python draws; None where it does not.
        distribution: what Python draws from; None for a model without torch.

    Raises:
        ValueError: an argument that cannot be; the message names it.
        SamplingError: the model's logits are not all finite, or it gives no name that meets the constraints.

    Example:
        >>> from namegen_ext.models import Bigram
        >>> sampler = NameSampler(Bigram(5), Vocabulary("abcd"), 100)
        >>> sampler.method, sampler.why_not_native
        ('table', None)
        >>> sampler.draw(seed=1, first=40, count=2) == sampler.draw(seed=1, first=0, count=100)[40:42]
        True

    """

    def __init__(
        self,
        model: nn.Module | Predictor,
        vocabulary: Vocabulary,
        expected_names: int,
        *,
        block_size: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        prefix: str = "",
        max_length: int = DEFAULT_MAX_LENGTH,
        method: Method = "auto",
        use_cache: bool = True,
        backend: Backend = "auto",
        constraints: Constraints | None = None,
        tries: int = DEFAULT_TRIES,
        once: bool = False,
    ) -> None:
        max_length = check_count(max_length, minimum=1, name="max_length")
        shaping = Shaping(
            temperature=check_temperature(temperature),
            top_k=None if top_k is None else check_top_k(top_k, len(vocabulary)),
        )
        self.vocabulary = vocabulary
        prefix_symbols = check_prefix(prefix, vocabulary, max_length)
        prefix = known_form(prefix, vocabulary)
        max_steps = max_length - len(prefix)
        self.max_length: int | None = max_length  # None where no name is cut
        check_choice(method, METHODS, name="method")
        check_choice(backend, BACKENDS, name="backend")
        block_size = _block_size(model, block_size)
        direct: ModelDistribution | None = None
        if isinstance(model, Predictor):
            network, why_no_network = _of_network(model, vocabulary, block_size, backend), None
        else:
            direct = _distribution(model, len(vocabulary), block_size, shaping)
            network, why_no_network = _of_module(direct, backend)
        self.distribution: NextSymbolDistribution | None = direct
        self._prefix_symbols, self._shaping = prefix_symbols, shaping
        self._network = network
        self._direct = direct if network is None else None  # where the native sampler cannot ask the model
        self.native: Any = None
        self.accepted: float | None = None
        tries = min(check_count(tries, minimum=1, name="tries"), MOST_TRIES)
        self._python: PythonNames | MessageNames | RejectionNames | None = None
        if constraints is not None and not constraints.is_empty:
            demand = demand_of(constraints, vocabulary, prefix=prefix, max_length=max_length)
            if network is not None:
                steered = steered_native(
                    network,
                    shaping,
                    vocabulary,
                    prefix_symbols,
                    demand,
                    method=method,
                    tries=tries,
                    once=once,
                )
            elif backend == "native":
                raise ValueError(
                    f"backend must be 'auto' or 'python' for this model, but got 'native': {why_no_network}"
                )
            else:
                assert direct is not None  # a Network has a native one
                steered = steered_python(
                    direct,
                    vocabulary,
                    prefix,
                    demand,
                    method=method,
                    tries=tries,
                    use_cache=use_cache,
                    once=once,
                )
            self._take(steered, why_no_network)
            return
        plan = make_plan(
            len(vocabulary),
            block_size,
            expected_names,
            why_no_network=why_no_network,
            method=method,
            backend=backend,
        )
        self.method: Literal["direct", "table"] = plan.method
        self.why_not_native = plan.why_not_native
        spelling = Spelling(vocabulary, prefix_symbols, max_steps)
        if network is not None:
            make = direct_sampler if plan.method == "direct" else network_table_sampler
            self.native = make(network, shaping, spelling)
            return
        assert direct is not None  # a Network has a native one
        if plan.why_not_native is None:
            self.native = _sampler_of_rows(direct, spelling)
            return
        from namegen_ext.sampling.python_names import PythonNames

        python = PythonNames(direct, vocabulary, prefix, max_steps, method=plan.method, use_cache=use_cache)
        self._python = python
        self.distribution = python.distribution

    def _take(self, steered: Steered, why_no_network: str | None) -> None:
        self.max_length = None
        self.method = "table" if steered.by_messages else "direct"
        self.why_not_native = why_no_network
        self.accepted = steered.accepted
        if why_no_network is None:
            self.native = steered.sampler
        else:
            self._python = steered.sampler

    def prefix_probability(self) -> float:
        """Return how likely one of the model's names starts with the prefix; 1 without one."""
        if not self._prefix_symbols:
            return 1.0
        if self._direct is not None:
            return self._direct.beginning_probability(self._prefix_symbols)
        symbols = np.array([*self._prefix_symbols, 0], dtype=np.int32)
        top_k = len(self.vocabulary) if self._shaping.top_k is None else self._shaping.top_k
        nlls = checked(
            lambda: _core.sampling.symbol_nlls(self._network, symbols, self._shaping.temperature, top_k, True)
        )  # (n,), that of the end the last
        return math.exp(-float(nlls[:-1].sum()))

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream.

        Raises:
            TooFewAcceptedError: a name that meets the constraints was not found; the error holds those before it.

        """
        if count == 0:
            return []
        if self._python is not None:
            return self._python.draw(seed, first, count)
        text, too_few = checked(lambda: self.native.draw(seed, first, count))
        if too_few is not None:
            raise TooFewAcceptedError(lines(text), *too_few)
        return lines(text)


def _of_network(network: Predictor, vocabulary: Vocabulary, block_size: int, backend: Backend) -> Any:
    """Hand a network to the native sampler."""
    if backend == "python":
        raise ValueError(
            "backend must be 'auto' or 'native' for a network without a module, but got 'python'"
        )
    if (network.vocab_size, network.block_size) != (len(vocabulary), block_size):
        raise ValueError(
            f"model must be a network of {len(vocabulary)} symbols and block_size {block_size}, but has "
            f"{network.vocab_size} and {network.block_size}"
        )
    if not network.is_finite():
        raise SamplingError(NOT_FINITE)
    try:
        return native_predictor(network)
    except NotCoveredError as error:
        raise ValueError(f"model must be a network that the native sampler covers: {error}") from None


# These functions import what needs torch. A network without a module calls none of them.


def _distribution(model: nn.Module, vocab_size: int, block_size: int, shaping: Shaping) -> ModelDistribution:
    from namegen_ext.sampling.distribution import ModelDistribution

    return ModelDistribution(model, vocab_size, block_size, shaping)


def _of_module(direct: ModelDistribution, backend: Backend) -> tuple[Any, str | None]:
    """Read a module's network and hand it to the native sampler; or return None, and why not."""
    if backend == "python":
        return None, "Python was asked for"
    from namegen_ext.sampling.module_network import read_predictor

    try:
        return native_predictor(read_predictor(direct)), None
    except NotCoveredError as error:
        return None, str(error)


def _sampler_of_rows(direct: ModelDistribution, spelling: Spelling) -> Any:
    """Tabulate a model through torch, and make the native sampler of the table."""
    from namegen_ext.sampling.distribution import cumulative_table

    rows = ((first, cumulative.cpu().numpy()) for first, cumulative in cumulative_table(direct))
    return rows_table_sampler(rows, direct.vocab_size, direct.block_size, spelling)


def _block_size(model: nn.Module | Predictor, block_size: int | None) -> int:
    if block_size is None:
        block_size = getattr(model, "block_size", None)
        if block_size is None:
            raise ValueError(
                "block_size must be given for a model that has no attribute block_size, but got None"
            )
    return check_count(block_size, minimum=1, name="block_size")
