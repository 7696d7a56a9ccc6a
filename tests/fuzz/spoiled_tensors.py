"""Tensors that lie oddly in memory, tensors that are wrong in some way, and what a call may do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

LAYOUTS = ("plain", "offset", "strided", "reversed", "negated")
DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.uint8,
    torch.bool,
    torch.complex64,
)
SHAPES: tuple[tuple[int, ...], ...] = (
    (),
    (0,),
    (1,),
    (3,),
    (7,),
    (0, 3),
    (2, 3),
    (3, 2),
    (1, 4, 3),
    (2, 0, 3),
)
# Multiples of 1/4, so that sums of a few are exact; then extreme values, and some that are not numbers.
VALUES = (-1.0, -0.5, 0.0, 0.25, 1.0, 2.0)
SPECIAL_VALUES = (float("nan"), float("inf"), -float("inf"), 1e-40, 3e38, -0.0)
TOKENS = (-(2**63), -(2**31), -(2**31) - 1, -1, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**63 - 1)
HUGE = 2**44  # so many elements that no machine has the memory

SPOILS = ("dtype", "shape", "meta", "huge", "none", "no tensor", "sparse", "special values")


def lay_out(values: Tensor, layout: str) -> Tensor:
    """Put the same values into memory in another way."""
    if layout == "offset":  # not on a boundary of 64 bytes, and with other values around it
        buffer = torch.full((values.numel() + 6,), 99, dtype=values.dtype)
        return buffer[3 : 3 + values.numel()].view(values.shape).copy_(values)
    if layout == "strided":  # every second element of a larger one
        buffer = torch.full((*values.shape, 2), 99, dtype=values.dtype)
        return buffer[..., 1].copy_(values)
    if layout == "reversed":  # the first dimension runs through memory fastest
        order = tuple(reversed(range(values.dim())))
        return values.permute(order).contiguous().permute(order)
    if layout == "negated" and values.is_floating_point():  # the minus sign is in the tensor's flags
        return torch._neg_view(-values)
    return values.clone()


def spoil(draw: Callable[[st.SearchStrategy[Any]], Any], value: Any, how: str) -> Any:
    """Make an argument wrong in one way. Some ways leave some arguments as they are."""
    if how == "none":
        return None
    if how == "no tensor":
        return draw(st.sampled_from(["tokens", 3, 1.5, [1.0, 2.0], float("nan"), {}]))
    if not isinstance(value, Tensor):
        return value
    if how == "dtype":
        return value.to(draw(st.sampled_from(DTYPES)))
    if how == "shape":
        return torch.zeros(draw(st.sampled_from(SHAPES)), dtype=value.dtype)
    if how == "meta":
        return value.to("meta")
    if how == "huge":
        shape = (HUGE, *value.shape[1:]) if value.dim() > 0 else (HUGE,)
        return torch.zeros(1, dtype=value.dtype).expand(shape)
    if how == "sparse":
        return value.to_sparse() if value.dim() > 0 else value
    if value.numel() == 0:
        return value
    value = value.clone()
    position = draw(st.integers(0, value.numel() - 1))
    special = SPECIAL_VALUES if value.is_floating_point() else TOKENS
    number = draw(st.sampled_from(special))
    if not value.is_floating_point():
        info = torch.iinfo(value.dtype)
        number = max(info.min, min(info.max, number))
    value.view(-1)[position] = number
    return value


EXCEPTIONS = (ValueError, IndexError, TypeError, RuntimeError, MemoryError, KeyError)


def attempt(call: Callable[[], Any], words: Iterable[str]) -> tuple[Any, Exception | None]:
    """Return the result of a call and None, or None and the clear exception that it raised. Other exceptions pass.

    An exception is clear where its type is one that a user expects, and its message has one of the words or says that
    memory is lacking.
    """
    try:
        return call(), None
    except EXCEPTIONS as error:
        raised = error
    message = str(raised)
    memory = ("allocate", "overflow", "too large", "bad_alloc")
    assert isinstance(raised, MemoryError) or any(word in message for word in (*words, *memory)), message
    return None, raised


def outcome(call: Callable[[], Any], names: Iterable[str]) -> Any:
    """Return the result of an operator; None where it raised a clear exception."""
    return attempt(call, (*names, "namegen_ext::", "fixed-size array"))[0]


def same_bits(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return torch.equal(a.contiguous().view(integers), b.contiguous().view(integers))
