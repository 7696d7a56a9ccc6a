"""Chooses how names that meet constraints are drawn, natively or in Python, and makes it ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.sampling.native import Spelling, checked
from namegen_ext.sampling.plan import Method, followed_beginnings, most_message_contexts
from namegen_ext.sampling.sampling_errors import NoChanceError
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.steering import Demand
from namegen_ext.steering.automaton import Automaton, TooManyStatesError

if TYPE_CHECKING:
    from namegen_ext.sampling.distribution import ModelDistribution
    from namegen_ext.sampling.steered_names import MessageNames, RejectionNames

MOST_TRIES = 2**32 - 1  # they are counted in 32 bits


@dataclass(frozen=True)
class Steered:
    """What draws the names.

    Attributes:
        sampler: the native sampler, or the Python that defines it.
        by_messages: whether it draws by messages; else by rejection.
        accepted: how likely one of the model's names meets the constraints; where it is drawn by rejection, the bound
            that is known.

    """

    sampler: Any
    by_messages: bool
    accepted: float


def steered_native(
    predictor: Any,
    shaping: Shaping,
    vocabulary: Vocabulary,
    prefix: list[int],
    demand: Demand,
    *,
    method: Method,
    tries: int,
    once: bool = False,
) -> Steered:
    """Make the native sampler.

    Raises:
        ValueError: ``method`` is "table", and there are too many contexts for it.
        SamplingError: the model gives no name that meets the constraints, or its logits are not all finite.

    """
    native = _core.sampling
    vocab_size: int = predictor.vocab_size
    top_k = vocab_size if shaping.top_k is None else shaping.top_k
    spelling = Spelling(vocabulary, prefix, demand.letters + 1)
    written = (spelling.encodings, spelling.prefix, spelling.max_steps)
    if method != "direct":
        acyclic = _unrolled(demand)
        if acyclic is not None:
            most = most_message_contexts(acyclic.size, vocab_size)
            contexts = checked(
                lambda: native.reach_contexts(predictor, shaping.temperature, top_k, prefix, most)
            )
            if contexts is not None:
                messages = native.messages(contexts, _handed_over(acyclic))
                _check_possible(messages.accepted, demand)
                return Steered(native.message_sampler(messages, *written), True, messages.accepted)
        _check_not_asked_for(method)
    automaton = _handed_over(demand.automaton)
    most = 1 if method == "direct" else followed_beginnings(vocab_size)
    beginnings = checked(
        lambda: native.follow_beginnings(
            predictor, shaping.temperature, top_k, automaton, prefix, demand.letters, most
        )
    )
    _check_possible(beginnings.bound, demand)
    sampler = native.rejection_sampler(
        predictor,
        shaping.temperature,
        top_k,
        automaton,
        beginnings,
        *written,
        demand.letters,
        1 if once else tries,
        once,
    )
    return Steered(sampler, False, beginnings.bound)


def steered_python(
    direct: ModelDistribution,
    vocabulary: Vocabulary,
    prefix: str,
    demand: Demand,
    *,
    method: Method,
    tries: int,
    use_cache: bool,
    once: bool = False,
) -> Steered:
    """Make the same in Python; see `steered_native`."""
    from namegen_ext.sampling.steered_names import MessageNames, RejectionNames, follow_beginnings

    names: MessageNames | RejectionNames
    if method != "direct":
        acyclic = _unrolled(demand)
        if acyclic is not None:
            most = most_message_contexts(acyclic.size, direct.vocab_size)
            if direct.vocab_size**direct.block_size <= most:
                names = MessageNames(direct, acyclic, vocabulary, prefix)
                _check_possible(names.accepted, demand)
                return Steered(names, True, names.accepted)
        _check_not_asked_for(method)
    most = 1 if method == "direct" else followed_beginnings(direct.vocab_size)
    beginnings = follow_beginnings(direct, demand.automaton, vocabulary.encode(prefix), demand.letters, most)
    _check_possible(beginnings.bound, demand)
    names = RejectionNames(
        direct,
        demand.automaton,
        beginnings,
        vocabulary,
        prefix,
        letters=demand.letters,
        tries=1 if once else tries,
        use_cache=use_cache,
        once=once,
    )
    return Steered(names, False, beginnings.bound)


def _unrolled(demand: Demand) -> Automaton | None:
    try:
        return demand.automaton.unrolled(demand.letters)
    except TooManyStatesError:
        return None


def _handed_over(automaton: Automaton) -> Any:
    return _core.sampling.Automaton(automaton.next, automaton.accepted.astype(np.int32))


def _check_possible(accepted: float, demand: Demand) -> None:
    if accepted <= 0:
        raise NoChanceError(f"the model gives no name with {demand.description}: its probability is 0")


def _check_not_asked_for(method: Method) -> None:
    if method == "table":
        raise ValueError(
            "method must be 'auto' or 'direct' here, but got 'table': the model's contexts, times the states of "
            "what is asked for, are too many"
        )
