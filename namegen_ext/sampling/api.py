"""Draw names from a model: as a list, or one after another."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from namegen_ext.data import Vocabulary
from namegen_ext.sampling.plan import Backend, Method
from namegen_ext.sampling.predictors import Predictor
from namegen_ext.sampling.sampler import DEFAULT_MAX_LENGTH, NameSampler
from namegen_ext.sampling.sampling_arguments import check_count, check_seed, fresh_seed
from namegen_ext.sampling.stream import DEFAULT_PATIENCE, NameStream
from namegen_ext.steering import Constraints

if TYPE_CHECKING:
    from torch import nn


def iter_names(
    model: nn.Module | Predictor,
    vocabulary: Vocabulary,
    n: int,
    *,
    block_size: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    prefix: str = "",
    seed: int | None = None,
    max_length: int = DEFAULT_MAX_LENGTH,
    training_names: Collection[str] = (),
    novel: bool = False,
    unique: bool = False,
    count_distinct: bool = False,
    patience: int = DEFAULT_PATIENCE,
    batch_size: int | None = None,
    method: Method = "auto",
    backend: Backend = "auto",
    threads: int = 1,
    case: str = "keep",
    constraints: Constraints | None = None,
    leave_out_cut: bool = False,
) -> NameStream:
    """Draw n names one after another.

    The memory needed does not grow with n, unless ``unique`` or ``count_distinct`` is set.

    A name is drawn symbol by symbol from the model's probabilities until the end marker comes. No name is
    empty: without a prefix the first symbol is drawn among the letters. The model is in evaluation mode
    while it is asked, and in its own mode afterwards. The names depend on the seed and on their place in the
    stream, not on ``n`` or ``batch_size``; see `NameSampler` about rounding.

    Args:
        model: maps (N, block_size) int64 tokens to logits (N, len(vocabulary)), or to a tuple that starts
            with them. Or a `namegen_ext.sampling.predictors.Predictor`, which needs no torch.
        vocabulary: the symbols; 0 starts the context and ends a name.
        n: how many names.
        block_size: the number of symbols in a context; None takes ``model.block_size``.
        temperature: the logits are divided by it; greater than 0. Below 1 the names become likelier, above
            1 more varied. 0 is refused: ``top_k=1`` draws the likeliest symbol each time.
        top_k: draw among the k likeliest symbols only, 1 to len(vocabulary); None for all.
        prefix: stands at the start of each name; letters of the vocabulary.
        seed: 0 to 2**64 - 1; None takes one from torch's global generator, which `torch.manual_seed` seeds, or
            from the system where torch is not loaded.
        max_length: a name, its prefix included, is cut after so many letters. Names that are to meet constraints are
            not cut: those drawn end within so many letters.
        training_names: the names that do not count as new, whatever their case and the writing of their accents; see
            `namegen_ext.data.folding`.
        novel: leave out names that stand in ``training_names``.
        unique: leave out repeats.
        count_distinct: count the different names (``counts.drawn_distinct``) without ``unique``.
        patience: give up once so many names drawn in a row had to be left out, or did not meet the constraints.
        batch_size: how many names are drawn at a time; None takes 8,192, or 65,536 for each thread where there
            are several.
        method: "direct", "table" or "auto"; see `NameSampler`.
        backend: "native", "python" or "auto"; see `NameSampler`.
        threads: how many threads draw, where the native sampler does; has no influence on the names. A batch
            is shared out among them, at least 1,024 names to each.
        case: "title" writes names with capital initials; else they stay as they are drawn. The prefix is in the case
            that the model learnt.
        constraints: what names are to be; None for anything. The names are then the model's own, given that they
            meet the constraints and end by themselves; see `NameSampler`.
        leave_out_cut: leave out the names that were cut at ``max_length``. ``counts.cut`` counts them in any case.

    Returns:
        A `NameStream`: an iterator whose ``counts`` tell how many of the names drawn were new and different.

    Raises:
        ValueError: an argument that cannot be; the message names it.
        SamplingError: the logits are not finite, or, while iterating, novel or unique names can't be found.

    Example:
        >>> from namegen_ext.models import Bigram
        >>> stream = iter_names(Bigram(5), Vocabulary("abcd"), 1000, seed=1, training_names=["ab"], novel=True)
        >>> len(list(stream)), stream.counts.names, stream.counts.new
        (1000, 1000, 1000)

    """
    n = check_count(n, minimum=0, name="n")
    patience = check_count(patience, minimum=1, name="patience")
    if batch_size is not None:
        batch_size = check_count(batch_size, minimum=1, name="batch_size")
    threads = check_count(threads, minimum=1, name="threads")
    seed = fresh_seed() if seed is None else check_seed(seed)
    sampler = NameSampler(
        model,
        vocabulary,
        n,
        block_size=block_size,
        temperature=temperature,
        top_k=top_k,
        prefix=prefix,
        max_length=max_length,
        method=method,
        backend=backend,
        constraints=constraints,
        tries=patience,
    )
    return NameStream(
        sampler,
        n,
        seed=seed,
        training_names=training_names,
        novel=novel,
        unique=unique,
        count_distinct=count_distinct,
        patience=patience,
        batch_size=batch_size,
        threads=threads,
        case=case,
        accepted=sampler.accepted if sampler.method == "table" else None,
        max_length=sampler.max_length,
        leave_out_cut=leave_out_cut,
    )


def sample_names(
    model: nn.Module | Predictor,
    vocabulary: Vocabulary,
    n: int,
    *,
    block_size: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    prefix: str = "",
    seed: int | None = None,
    max_length: int = DEFAULT_MAX_LENGTH,
    training_names: Collection[str] = (),
    novel: bool = False,
    unique: bool = False,
    patience: int = DEFAULT_PATIENCE,
    batch_size: int | None = None,
    method: Method = "auto",
    backend: Backend = "auto",
    threads: int = 1,
    case: str = "keep",
    constraints: Constraints | None = None,
    leave_out_cut: bool = False,
) -> list[str]:
    """Draw a list of n names. All arguments and errors are those of `iter_names`.

    Example:
        >>> from namegen_ext.models import MLP
        >>> names = sample_names(MLP(5, block_size=2), Vocabulary("abcd"), 3, seed=1, prefix="ab")
        >>> len(names), {name[:2] for name in names}
        (3, {'ab'})

    """
    return iter_names(
        model,
        vocabulary,
        n,
        block_size=block_size,
        temperature=temperature,
        top_k=top_k,
        prefix=prefix,
        seed=seed,
        max_length=max_length,
        training_names=training_names,
        novel=novel,
        unique=unique,
        patience=patience,
        batch_size=batch_size,
        method=method,
        backend=backend,
        threads=threads,
        case=case,
        constraints=constraints,
        leave_out_cut=leave_out_cut,
    ).to_list()
