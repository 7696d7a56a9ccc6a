"""Sampling in Python with kept keys and values: the same names as without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary
from namegen_ext.models import GPT
from namegen_ext.models.gpt_block import KeyValueCache
from namegen_ext.sampling import sample_names
from namegen_ext.sampling.cached import CACHED_NAMES
from namegen_ext.sampling.sampler import NameSampler
from namegen_ext.sampling.sampling_errors import SamplingError

PYTHON: dict[str, Any] = {"backend": "python"}  # the native sampler has keys and values of its own


def make_gpt(block_size: int, **options: Any) -> GPT:
    """A model in float64, whose two ways round alike to 1e-14: no drawn number falls between them."""
    generator = torch.Generator().manual_seed(4)
    model = GPT(6, block_size, 8, num_layers=2, num_heads=2, generator=generator, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.double()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefix": "ab"},
        {"prefix": "abcde"},  # longer than the block of 4
        {"prefix": "abc"},  # fills it
        {"temperature": 3.0, "max_length": 30},
        {"top_k": 2},
        {"max_length": 1},
    ],
)
@pytest.mark.parametrize("block_size", [1, 4, 12])
def test_the_same_names_with_and_without(
    block_size: int, options: dict[str, Any], vocabulary: Vocabulary
) -> None:
    model = make_gpt(block_size)
    with_cache = NameSampler(model, vocabulary, 300, method="direct", **PYTHON, **options)
    without = NameSampler(model, vocabulary, 300, method="direct", use_cache=False, **PYTHON, **options)
    names = with_cache.draw(7, 20, 300)
    assert names == without.draw(7, 20, 300)
    assert len(set(names)) > 1


def test_names_do_not_depend_on_how_many_are_drawn_together(vocabulary: Vocabulary) -> None:
    model = make_gpt(8)
    whole = sample_names(model, vocabulary, CACHED_NAMES + 50, seed=3, **PYTHON)
    assert sample_names(model, vocabulary, CACHED_NAMES + 50, seed=3, batch_size=37, **PYTHON) == whole
    assert sample_names(model, vocabulary, 1, seed=3, **PYTHON) == whole[:1]
    assert NameSampler(model, vocabulary, 60, **PYTHON).draw(3, CACHED_NAMES - 10, 60) == whole[-60:]


def test_every_symbol_goes_through_the_model_once(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_gpt(12)
    widths: list[int] = []
    step = GPT.step

    def counting(self: GPT, tokens: Tensor, cache: KeyValueCache) -> Tensor:
        widths.append(len(tokens))
        return step(self, tokens, cache)

    def whole(self: GPT, contexts: Tensor) -> Tensor:
        raise AssertionError("asked for a whole context")

    monkeypatch.setattr(GPT, "step", counting)
    monkeypatch.setattr(GPT, "next_logits", whole)
    names = NameSampler(model, vocabulary, 100, prefix="ab", max_length=10, **PYTHON).draw(1, 0, 100)
    # The start, a and b once for all; then each further letter of each name, but for the one it is cut after.
    assert widths[:3] == [1, 1, 1]
    assert sum(widths[3:]) == sum(len(name) - 2 - (len(name) == 10) for name in names)


def test_the_mode_is_left_as_it_was(vocabulary: Vocabulary) -> None:
    model = make_gpt(6, dropout=0.5).train()
    names = sample_names(model, vocabulary, 50, seed=2, **PYTHON)
    assert all(module.training for module in model.modules())
    assert sample_names(model.eval(), vocabulary, 50, seed=2, **PYTHON) == names


def test_a_diverged_model_is_named(vocabulary: Vocabulary) -> None:
    model = make_gpt(6)
    nn.init.constant_(model.head.weight, float("nan"))
    with pytest.raises(SamplingError, match="not all finite"):
        sample_names(model, vocabulary, 5, seed=1, **PYTHON)


def test_other_models_are_asked_as_before(model: nn.Module, vocabulary: Vocabulary) -> None:
    options: dict[str, Any] = {"method": "direct"}
    first = NameSampler(model, vocabulary, 50, **options).draw(1, 0, 50)
    assert first == NameSampler(model, vocabulary, 50, use_cache=False, **PYTHON, **options).draw(1, 0, 50)


def test_a_small_block_is_tabulated_like_any_model(vocabulary: Vocabulary) -> None:
    model = make_gpt(2)
    table = sample_names(model, vocabulary, 200, seed=5, method="table", **PYTHON)
    assert sample_names(model, vocabulary, 200, seed=5, method="direct", **PYTHON) == table
