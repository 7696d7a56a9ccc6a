"""torch.ops.namegen_ext.* with arguments of any kind: the result of plain copies of them, or one clear exception.

Run under AddressSanitizer too (tests/sanitize_extension.sh), where a read beyond an array ends the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spoiled_tensors import LAYOUTS, SPOILS, VALUES, lay_out, outcome, same_bits, spoil
from torch import Tensor

import namegen_ext  # noqa: F401  (registers the operators)

OPS = torch.ops.namegen_ext
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

Draw = Callable[[st.SearchStrategy[Any]], Any]
Arguments = dict[str, Any]


def numbers(draw: Draw, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    g = torch.Generator().manual_seed(draw(st.integers(0, 9)))
    return torch.tensor(VALUES)[torch.randint(len(VALUES), shape, generator=g)].to(dtype)


@st.composite
def embedding_concat_linear(draw: Draw) -> Arguments:
    batch, block, vocab, embed, hidden = (draw(st.integers(0, most)) for most in (5, 4, 6, 3, 18))
    dtype = draw(st.sampled_from(FLOATS))
    tokens = torch.arange(batch * block).view(batch, block) % max(vocab, 1)
    return {
        "tokens": tokens.to(draw(st.sampled_from([torch.int64, torch.int32, torch.uint8]))),
        "embedding_weight": numbers(draw, (vocab, embed), dtype),
        "linear_weight": numbers(draw, (hidden, block * embed), dtype),
        "linear_bias": draw(st.sampled_from([None, numbers(draw, (hidden,), dtype)])),
        "activation": draw(st.sampled_from(["tanh", "none"])),
    }


@st.composite
def embedding_concat_linear_backward(draw: Draw) -> Arguments:
    arguments = draw(embedding_concat_linear())
    del arguments["linear_bias"]
    dtype = arguments["embedding_weight"].dtype
    shape = (arguments["tokens"].shape[0], arguments["linear_weight"].shape[0])
    arguments["grad_output"] = numbers(draw, shape, dtype)
    arguments["output"] = numbers(draw, shape, dtype)
    arguments["output_mask"] = [draw(st.booleans()) for _ in range(3)]
    return arguments


@st.composite
def batch_norm(draw: Draw) -> Arguments:
    channels = draw(st.integers(0, 18))
    dtype = draw(st.sampled_from(FLOATS))
    shape = (*draw(st.sampled_from([(0,), (1,), (2,), (5,), (3, 2)])), channels)
    arguments: Arguments = {"x": numbers(draw, shape, dtype)}
    for name in ("running_mean", "running_var", "weight", "bias"):
        values = numbers(draw, (channels,), dtype)
        arguments[name] = draw(st.sampled_from([values, values, values, None]))
    arguments["training"] = draw(st.booleans())
    arguments["momentum"] = draw(st.sampled_from([0.1, 0.0, 1.0, -1.0, float("nan")]))
    arguments["eps"] = draw(st.sampled_from([1e-5, 1e-3, 1.0, float("inf"), 0.0, -1.0, float("nan")]))
    arguments["activation"] = draw(st.sampled_from(["tanh", "none"]))
    return arguments


@st.composite
def batch_norm_backward(draw: Draw) -> Arguments:
    forward = draw(batch_norm())
    x: Tensor = forward["x"]
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    return {
        "grad_output": numbers(draw, tuple(x.shape), x.dtype),
        "x": x,
        "output": numbers(draw, tuple(x.shape), x.dtype),
        "weight": forward["weight"],
        "mean": numbers(draw, (x.shape[-1],), compute),
        "invstd": numbers(draw, (x.shape[-1],), compute),
        "training": forward["training"],
        "activation": forward["activation"],
        "output_mask": [draw(st.booleans()) for _ in range(3)],
    }


CALLS = {
    "embedding_concat_linear": (OPS.embedding_concat_linear, embedding_concat_linear),
    "embedding_concat_linear_backward": (
        OPS.embedding_concat_linear_backward,
        embedding_concat_linear_backward,
    ),
    "batch_norm": (OPS.batch_norm, batch_norm),
    "batch_norm_forward": (OPS.batch_norm_forward, batch_norm),
    "batch_norm_backward": (OPS.batch_norm_backward, batch_norm_backward),
}
# The tensors that an operator writes, in place.
WRITTEN = ("running_mean", "running_var")


def tensors_of(result: Any) -> list[Tensor | None]:
    return [result] if isinstance(result, Tensor) else list(result)


def plain(arguments: Arguments) -> Arguments:
    return {
        name: value.clone(memory_format=torch.contiguous_format).resolve_neg()
        if isinstance(value, Tensor)
        else value
        for name, value in arguments.items()
    }


@pytest.mark.parametrize("name", CALLS)
def test_layouts_do_not_matter(name: str) -> None:
    """Right arguments that lie oddly in memory: the bits of plain copies, and nothing else is written."""
    op, strategy = CALLS[name]
    accepted = []

    @given(strategy(), st.lists(st.sampled_from(LAYOUTS), min_size=9, max_size=9))
    @settings(max_examples=max(60, settings().max_examples))
    def check(arguments: Arguments, layouts: list[str]) -> None:
        laid = {
            # torch refuses any operator that writes a tensor whose minus sign is in its flags.
            key: lay_out(value, "plain" if layout == "negated" and key in WRITTEN else layout)
            if isinstance(value, Tensor)
            else value
            for (key, value), layout in zip(arguments.items(), layouts, strict=False)
        }
        before = plain(laid)
        result = outcome(lambda: op(**laid), laid)
        copies = plain(before)
        expected = outcome(lambda: op(**copies), copies)
        assert (result is None) == (expected is None)
        if result is None:
            return
        accepted.append(1)
        for got, wanted in zip(tensors_of(result), tensors_of(expected), strict=True):
            assert (got is None) == (wanted is None)
            assert got is None or wanted is None or same_bits(got, wanted)
        for key, value in laid.items():
            if isinstance(value, Tensor):
                after = copies[key] if key in WRITTEN else before[key]
                assert same_bits(value.resolve_neg(), after), f"{key} was changed"
                whole = torch.empty(0, dtype=value.dtype).set_(value.untyped_storage())
                spare = whole.numel() - value.numel()
                assert int((whole == 99).sum()) == spare, f"memory beside {key} was written"

    check()
    assert len(accepted) > 20, "hardly a call was accepted: nothing was tested"


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_end_in_one_clear_exception(name: str) -> None:
    op, strategy = CALLS[name]
    refused = []

    @given(strategy(), st.data())
    @settings(max_examples=2 * settings().max_examples)
    def check(arguments: Arguments, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True))
        for argument in names:
            arguments[argument] = spoil(data.draw, arguments[argument], data.draw(st.sampled_from(SPOILS)))
        result = outcome(lambda: op(**arguments), arguments)
        if result is None:
            refused.append(1)
        for tensor in () if result is None else tensors_of(result):
            if tensor is not None and tensor.device.type == "cpu":
                tensor.double().sum().item()  # reads all of it

    check()
    assert len(refused) > 50, "hardly a call was refused: nothing was tested"


@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_operands_that_share_memory(activation: str) -> None:
    """What is only read may overlap: the result is that of copies."""
    storage = torch.arange(200, dtype=torch.float32) / 64 - 1
    table, weight, bias = storage[:12].view(4, 3), storage[2:50].view(8, 6), storage[5:13]
    tokens = torch.tensor([[0, 3], [2, 2]])
    got = OPS.embedding_concat_linear(tokens, table, weight, bias, activation)
    assert same_bits(
        got, OPS.embedding_concat_linear(tokens, table.clone(), weight.clone(), bias.clone(), activation)
    )


def test_running_statistics_in_one_place_are_refused_or_written_inside() -> None:
    buffer = torch.zeros(1)
    x = torch.randn(4, 3)
    # Three elements lie in one place, which torch's own copy refuses.
    with pytest.raises(RuntimeError, match="written-to tensor"):
        OPS.batch_norm(x, buffer.expand(3), torch.ones(3), None, None, True, 0.1, 1e-5, "none")
    # The same tensor twice, and then x's own memory. Nobody needs that, but it must be written inside its bounds.
    around = torch.full((40,), 99.0)
    both = around[10:13].zero_()
    OPS.batch_norm(x, both, both, None, None, True, 0.1, 1e-5, "none")
    inside = around[20:32].view(4, 3).copy_(x)
    OPS.batch_norm(inside, inside[1], inside[2], None, None, True, 0.1, 1e-5, "none")
    assert (around[:10] == 99).all()
    assert (around[13:20] == 99).all()
    assert (around[32:] == 99).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(2**40, 0), (2**31, 0), (2**62, 0), (0, 2**31)])
def test_huge_counts_of_nothing_take_no_time(shape: tuple[int, int], dtype: torch.dtype) -> None:
    # A loop over this many empty rows would not end.
    tokens = torch.zeros(shape, dtype=torch.int64)
    embedding, weight = torch.zeros(3, 0, dtype=dtype), torch.zeros(0, 0, dtype=dtype)
    assert OPS.embedding_concat_linear(tokens, embedding, weight).shape == (shape[0], 0)
    no_output = torch.zeros(shape[0], 0, dtype=dtype)
    grads = OPS.embedding_concat_linear_backward(
        no_output, tokens, embedding, weight, None, "none", [True, True, True]
    )
    assert [tuple(g.shape) for g in grads] == [(3, 0), (0, 0), (0,)]
    if shape[1] == 0:
        x = torch.zeros(shape, dtype=dtype)
        outputs = OPS.batch_norm_forward(x, None, None, None, None, True, 0.1, 1e-5, "tanh")
        assert outputs[0].shape == shape
        statistics = torch.zeros(0, dtype=torch.promote_types(dtype, torch.float32))
        back = OPS.batch_norm_backward(
            x, x, x, None, statistics, statistics, True, "tanh", [True, True, True]
        )
        assert back[0].shape == shape


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("hidden", [2**31, 2**40, 2**62])
def test_huge_layers_without_examples_take_no_time(hidden: int, dtype: torch.dtype) -> None:
    # A loop over this many columns, or over slices of them, would not end.
    tokens = torch.zeros(0, 2, dtype=torch.int64)
    embedding, weight = torch.zeros(3, 0, dtype=dtype), torch.zeros(hidden, 0, dtype=dtype)
    assert OPS.embedding_concat_linear(tokens, embedding, weight).shape == (0, hidden)
    no_output = torch.zeros(0, hidden, dtype=dtype)
    for output in (None, no_output):
        activation = "none" if output is None else "tanh"
        grads = OPS.embedding_concat_linear_backward(
            no_output, tokens, embedding, weight, output, activation, [True, True, False]
        )
        assert [tuple(g.shape) for g in grads[:2]] == [(3, 0), (hidden, 0)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("many", [2**31, 2**40, 2**62])
def test_huge_products_of_nothing_take_no_time(many: int, dtype: torch.dtype) -> None:
    empty = {size: torch.zeros(size, dtype=dtype) for size in ((0, many), (0, 0), (many, 0))}
    for rows, inputs, outputs in ((0, many, 0), (0, 0, many), (many, 0, 0)):
        x, weight = empty[rows, inputs], empty[outputs, inputs]
        dy = OPS.linear(x, weight)
        assert dy.shape == (rows, outputs)
        grads = OPS.linear_backward(dy, x, weight, [True, True, False])
        assert [g.shape for g in grads[:2]] == [x.shape, weight.shape]
