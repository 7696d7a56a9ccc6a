"""The GPT in the native sampler, against the Python that defines it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from namegen_ext import build_info, fuse
from namegen_ext.data import Vocabulary
from namegen_ext.models import GPT, Mixture, build_model
from namegen_ext.sampling import NameSampler, SamplingError, iter_names, sample_names
from namegen_ext.sampling.distribution import ModelDistribution
from namegen_ext.sampling.module_network import read_predictor
from namegen_ext.sampling.native import native_predictor
from namegen_ext.sampling.shaping import Shaping

LETTERS = "".join(chr(c) for c in range(0x4E00, 0x4E00 + 700))


def alphabet(size: int) -> Vocabulary:
    return Vocabulary(("abcdefghijklmnopqrstuvwxyz" + LETTERS)[: size - 1])


def make_gpt(
    vocab_size: int = 27,
    block_size: int = 16,
    embedding_dim: int = 16,
    num_layers: int = 2,
    num_heads: int = 4,
    *,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> GPT:
    """A model whose every parameter is at work: norms and biases too."""
    generator = torch.Generator().manual_seed(4)
    model = GPT(
        vocab_size,
        block_size,
        embedding_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        generator=generator,
        **options,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.to(dtype).eval()


def native_logits(model: nn.Module, contexts: torch.Tensor) -> np.ndarray:
    block_size, vocab_size = contexts.shape[1], model.vocab_size
    direct = ModelDistribution(model, vocab_size, block_size, Shaping())
    found: np.ndarray = native_predictor(read_predictor(direct)).logits(contexts.numpy())
    return found


def both(model: nn.Module, vocabulary: Vocabulary, count: int, seed: int, **options: Any) -> list[list[str]]:
    """Draw names natively and in Python."""
    options.setdefault("method", "direct")
    native = NameSampler(model, vocabulary, count, backend="native", **options)
    assert native.why_not_native is None
    python = NameSampler(model, vocabulary, count, backend="python", **options)
    return [sampler.draw(seed, 5, count) for sampler in (native, python)]


SIZES = st.tuples(
    st.integers(2, 40),  # V
    st.integers(1, 20),  # T
    st.sampled_from(
        [(1, 1), (3, 1), (6, 2), (8, 4), (16, 1), (24, 3), (32, 2), (64, 4), (66, 2)]
    ),  # E, heads
    st.integers(1, 3),  # layers
    st.booleans(),  # tied
)
KINDS = st.fixed_dictionaries(
    {
        "norm": st.sampled_from(["layer", "rms"]),
        "activation": st.sampled_from(["gelu", "gelu-tanh", "relu"]),
        "biases": st.booleans(),
        "final_norm": st.booleans(),
        "embedding_norm": st.booleans(),
    }
)


@settings(max_examples=40)
@given(SIZES, KINDS, st.integers(0, 2**32 - 1))
def test_the_logits_are_the_models(sizes: tuple[Any, ...], kinds: dict[str, Any], seed: int) -> None:
    vocab_size, block_size, (width, heads), layers, tied = sizes
    model = make_gpt(vocab_size, block_size, width, layers, heads, dtype=torch.float64, tied=tied, **kinds)
    generator = torch.Generator().manual_seed(seed)
    contexts = torch.randint(vocab_size, (30, block_size), generator=generator)
    contexts[: 30 // 2] = contexts[: 30 // 2].clamp(max=2)  # prefixes in common, and starts in the middle
    with torch.no_grad():
        expected = model.next_logits(contexts).numpy()
    # The logits come rounded to float32.
    np.testing.assert_allclose(native_logits(model, contexts), expected, rtol=2e-7, atol=1e-9)


@settings(max_examples=25)
@given(
    SIZES,
    KINDS,
    st.integers(0, 2**64 - 1),
    st.sampled_from(
        [{}, {"temperature": 0.6}, {"temperature": 2.5, "top_k": 2}, {"top_k": 1}, {"prefix": "a"}]
    ),
    st.sampled_from([1, 3, 30]),
)
def test_float64_gives_the_names_of_python(
    sizes: tuple[Any, ...], kinds: dict[str, Any], seed: int, options: dict[str, Any], max_length: int
) -> None:
    vocab_size, block_size, (width, heads), layers, tied = sizes
    model = make_gpt(vocab_size, block_size, width, layers, heads, dtype=torch.float64, tied=tied, **kinds)
    if len(options.get("prefix", "")) >= max_length:
        options = {}
    native, python = both(model, alphabet(vocab_size), 60, seed, max_length=max_length, **options)
    assert native == python


@pytest.mark.parametrize("prefix", ["", "ab", "abcdefghijklmno", "abcdefghijklmnopqrst"])
def test_float64_gives_the_names_of_python_beyond_the_block(prefix: str) -> None:
    """The window slides: names are drawn to twice the block and more."""
    model = make_gpt(block_size=16, dtype=torch.float64)
    native, python = both(model, alphabet(27), 200, 3, prefix=prefix, max_length=45)
    assert native == python
    assert max(map(len, native)) > 20


@pytest.mark.parametrize(("vocab_size", "block_size"), [(27, 40), (700, 16), (2, 200)])
def test_contexts_that_fit_no_key(vocab_size: int, block_size: int) -> None:
    """More symbols than 128 bits hold: the sampler keeps the contexts in a tree."""
    model = make_gpt(vocab_size, block_size, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    contexts = torch.randint(vocab_size, (40, block_size), generator=generator)
    contexts[:20, block_size // 2] = 0
    contexts[20:] = contexts[20:].clamp(min=1)
    with torch.no_grad():
        expected = model.next_logits(contexts).numpy()
    np.testing.assert_allclose(native_logits(model, contexts), expected, rtol=2e-7, atol=1e-9)
    native, python = both(
        model, alphabet(vocab_size), 150, 4, prefix="a", max_length=2 * block_size, temperature=2.0
    )
    assert native == python


def test_float32_differs_from_python_in_rounding_alone() -> None:
    """A drawn number falls between the two cumulative probabilities about once in a million letters."""
    model = make_gpt(embedding_dim=32)
    native, python = both(model, alphabet(27), 3000, 9, max_length=16)
    assert sum(map(len, native)) > 20_000
    assert sum(a != b for a, b in zip(native, python, strict=True)) <= 2


def test_both_methods_give_the_same_names() -> None:
    model = make_gpt(6, 3)
    drawn = {
        method: sample_names(model, alphabet(6), 3000, seed=2, method=method, backend="native")
        for method in ("direct", "table")
    }
    assert drawn["direct"] == drawn["table"]


def test_names_depend_on_seed_and_place_alone() -> None:
    """However many are drawn together, on however many threads, whatever the sampler has drawn before."""
    model = make_gpt()
    options: dict[str, Any] = {"seed": 6, "backend": "native", "method": "direct", "max_length": 24}
    whole = sample_names(model, alphabet(27), 9000, **options)
    for more in (
        {"batch_size": 1000},
        {"batch_size": 9000, "threads": 2},
        {"batch_size": 9000, "threads": 5},
    ):
        assert sample_names(model, alphabet(27), 9000, **more, **options) == whole
    sampler = NameSampler(model, alphabet(27), 9000, method="direct", max_length=24)
    assert sampler.draw(6, 8990, 5) == whole[8990:8995]
    assert sampler.draw(6, 10, 3000) == whole[10:3010]
    assert sampler.draw(6, 10, 3000) == whole[10:3010]


def test_novel_and_unique_names() -> None:
    model = make_gpt()
    known = sample_names(model, alphabet(27), 200, seed=1)
    options: dict[str, Any] = {"training_names": known, "novel": True, "unique": True, "prefix": "k"}
    drawn = {
        backend: list(iter_names(model, alphabet(27), 300, seed=1, backend=backend, **options))
        for backend in ("native", "python")
    }
    assert drawn["native"] == drawn["python"]
    assert len(set(drawn["native"])) == 300
    assert not set(drawn["native"]) & set(known)


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_every_instruction_set(isa: str) -> None:
    """In a process of its own, as the choice is made once."""
    if isa not in build_info()["cpu_isas_supported"]:
        pytest.skip(f"this CPU has no {isa}")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import torch; from test_gpt import alphabet, both, make_gpt;"
        "native, python = both(make_gpt(embedding_dim=24, num_heads=3, dtype=torch.float64), alphabet(27), 300, 8);"
        "assert native == python;"
        "native, python = both(make_gpt(embedding_dim=20), alphabet(27), 1000, 8);"
        "assert sum(a != b for a, b in zip(native, python)) <= 1"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)],
        env={**os.environ, "NAMEGEN_CPU_ISA": isa},
        check=True,
        timeout=120,
    )


# ---- what is left to Python --------------------------------------------------------------------------------


class OwnGPT(GPT):
    def step(self, tokens: torch.Tensor, cache: Any) -> torch.Tensor:
        return super().step(tokens, cache) * 2


def why_not(model: nn.Module) -> str:
    reason = NameSampler(model, alphabet(27), 10).why_not_native
    assert reason is not None
    return reason


def test_hooks_and_changed_layers_are_left_to_python() -> None:
    assert NameSampler(make_gpt(), alphabet(27), 10).why_not_native is None
    model = make_gpt()
    model.blocks[1].norm_2.register_forward_hook(lambda *_: None)
    assert why_not(model) == "layer blocks.1.norm_2 (LayerNorm) has hooks or a forward of its own"
    model = make_gpt()
    model.step = lambda *arguments: None  # type: ignore[method-assign]
    assert why_not(model) == "its step is not that of GPT"
    assert why_not(OwnGPT(27)) == "OwnGPT is a subclass of GPT"
    model = make_gpt()
    model.blocks[0].network[1] = nn.GELU("tanh")
    assert "layer blocks.0.network.1 is GELU(approximate='tanh')" in why_not(model)
    model = make_gpt()
    model.norm.eps = 1e-3
    assert "layer norm is LayerNorm((16,), eps=0.001" in why_not(model)
    model = make_gpt(tied=True)
    model.head.weight = nn.Parameter(model.head.weight.detach().clone())
    assert why_not(model) == "its tied is True, and its head's weight is another than that says"
    model = make_gpt()
    model.norm.half()
    assert "not float32 or float64" in why_not(model)
    assert "not float32 or float64" in why_not(make_gpt(dtype=torch.bfloat16))


def test_dropout_and_fused_layers_change_nothing() -> None:
    expected = sample_names(make_gpt(), alphabet(27), 300, seed=2)
    model = make_gpt(dropout=0.4).train()
    fuse(model)
    sampler = NameSampler(model, alphabet(27), 300)
    assert sampler.why_not_native is None
    assert sampler.draw(2, 0, 300) == expected
    assert all(module.training for module in model.modules())


def test_a_model_that_diverged_is_named() -> None:
    model = make_gpt()
    nn.init.constant_(model.head.weight, float("nan"))
    with pytest.raises(SamplingError, match="not all finite"):
        sample_names(model, alphabet(27), 5, seed=1)


# ---- as a component of a mixture ---------------------------------------------------------------------------


def test_a_mixture_with_a_gpt() -> None:
    components = [
        {"name": "gpt", "block_size": 8, "embedding_dim": 16, "num_layers": 2},
        {"name": "mlp", "block_size": 3, "hidden_size": 20},
    ]
    generator = torch.Generator().manual_seed(7)
    model = build_model("mixture", {"vocab_size": 27, "block_size": 12, "components": components}, generator)
    assert isinstance(model, Mixture)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    model.eval()
    native, python = both(model, alphabet(27), 1000, 3, max_length=20)
    assert sum(a != b for a, b in zip(native, python, strict=True)) <= 1
