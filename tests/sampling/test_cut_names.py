"""Names that do not end within the greatest length: left out or kept, and counted, by every way of drawing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.data import Vocabulary
from namegen_ext.models import GPT, MLP, Bigram
from namegen_ext.sampling import SamplingError, iter_names
from namegen_ext.sampling.category_models import Part, iter_mixed_names
from namegen_ext.sampling.plan import Backend, Method

VOCABULARY = Vocabulary("abcdé")
LENGTH = 5  # about a third of the names of an untrained model reach it
MODELS: dict[str, nn.Module] = {
    "bigram": Bigram(6),
    "mlp": MLP(6, block_size=2, generator=torch.Generator().manual_seed(1)),
    "gpt": GPT(6, block_size=8, embedding_dim=8, num_layers=1, num_heads=2).eval(),
}


def whole(drawn: list[str], n: int) -> tuple[list[str], int, int]:
    """The definition: the first n names that ended, how many were drawn for them, how many of these were cut."""
    kept: list[str] = []
    for number, name in enumerate(drawn, start=1):
        if len(name) < LENGTH:
            kept.append(name)
        if len(kept) == n:
            return kept, number, number - n
    raise AssertionError("too few were drawn")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("backend", ["native", "python"])
@pytest.mark.parametrize("method", ["direct", "table"])
@pytest.mark.parametrize("n", [1, 300])
def test_cut_names_are_left_out_and_counted(model: str, backend: Backend, method: Method, n: int) -> None:
    if model == "gpt" and method == "table":
        method = "auto"  # it has too many contexts for a table
    options: dict[str, Any] = {"seed": 3, "max_length": LENGTH, "backend": backend, "method": method}
    drawn = iter_names(MODELS[model], VOCABULARY, 3 * n + 30, **options)
    names = drawn.to_list()
    assert drawn.counts.cut == sum(len(name) == LENGTH for name in names) > 0, "kept and counted"
    expected, num_drawn, num_cut = whole(names, n)
    for batch_size in (7, 8192):
        stream = iter_names(
            MODELS[model], VOCABULARY, n, batch_size=batch_size, leave_out_cut=True, **options
        )
        assert stream.to_list() == expected
        assert stream.counts.names == stream.counts.new == n
        # Batches are drawn whole, where no name has to be left out up to their ends.
        assert stream.counts.drawn - stream.counts.cut == n
        assert (stream.counts.drawn, stream.counts.cut) == (num_drawn, num_cut)


@pytest.mark.parametrize("backend", ["native", "python"])
@pytest.mark.parametrize("options", [{"novel": True}, {"unique": True}, {"count_distinct": True}])
def test_with_other_filters(backend: Backend, options: dict[str, bool]) -> None:
    model, seed = MODELS["bigram"], 5
    names = iter_names(model, VOCABULARY, 2000, seed=seed, max_length=LENGTH).to_list()
    known = [name for name in names[:50] if len(name) < LENGTH]
    stream = iter_names(
        model,
        VOCABULARY,
        100,
        seed=seed,
        max_length=LENGTH,
        leave_out_cut=True,
        training_names=known,
        backend=backend,
        **options,
    )
    kept: list[str] = []
    for name in names:
        seen = options.get("unique") and name in kept
        if len(name) < LENGTH and not seen and not (options.get("novel") and name in known):
            kept.append(name)
    assert stream.to_list() == kept[:100]
    assert stream.counts.cut > 0


def test_a_mixture_leaves_them_out() -> None:
    parts = [Part(MODELS["bigram"], VOCABULARY, 0.5), Part(MODELS["mlp"], VOCABULARY, 0.5)]
    options: dict[str, Any] = {"seed": 3, "max_length": LENGTH}
    names = iter_mixed_names(parts, 500, **options).to_list()
    stream = iter_mixed_names(parts, 100, leave_out_cut=True, **options)
    expected, num_drawn, num_cut = whole(names, 100)
    assert stream.to_list() == expected
    assert (stream.counts.drawn, stream.counts.cut) == (num_drawn, num_cut)


@pytest.mark.parametrize("backend", ["native", "python"])
def test_a_model_whose_names_never_end(backend: Backend) -> None:
    model = Bigram(6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
            parameter[..., 0] = -1e4  # the end
    stream = iter_names(
        model, VOCABULARY, 3, seed=1, max_length=9, leave_out_cut=True, patience=500, backend=backend
    )
    with pytest.raises(
        SamplingError, match=r"found only 0 of 3 names: the last 500 .* \(500 did not end within 9 letters\)"
    ):
        list(stream)


def test_names_that_meet_constraints_are_not_cut() -> None:
    from namegen_ext.steering import Constraints

    stream = iter_names(
        MODELS["bigram"],
        VOCABULARY,
        50,
        seed=1,
        max_length=9,
        constraints=Constraints(min_length=4, max_length=4),
        leave_out_cut=True,
    )
    assert {len(name) for name in stream} == {4}
    assert stream.counts.cut == 0
