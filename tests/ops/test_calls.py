"""How Python calls the operators: straight where all arguments are plain, else by torch.ops."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from namegen_ext import ops
from namegen_ext._native import operators as _operators
from namegen_ext.nn import FusedBatchNorm1d


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch_norm_arguments() -> list[Any]:
    """X, running_mean, running_var, weight, bias, training, momentum, eps, activation."""
    x, weight, bias = normal(5, 3), normal(3, seed=1), normal(3, seed=2)
    return [x, torch.zeros(3), torch.ones(3), nn.Parameter(weight), bias, True, 0.1, 1e-5, "tanh"]


def embedding_arguments() -> list[Any]:
    """Tokens, embedding_weight, linear_weight, linear_bias, activation."""
    tokens = torch.tensor([[0, 1], [2, 2]])
    return [tokens, nn.Parameter(normal(3, 4)), normal(5, 8, seed=1), normal(5, seed=2), "none"]


def embedding_batch_norm_arguments() -> list[Any]:
    """Those of embedding_concat_linear but the activation, then those of batch_norm but x."""
    tokens = torch.tensor([[0, 1], [2, 2], [1, 1], [0, 0]])
    return [
        tokens,
        *embedding_arguments()[1:4],
        torch.zeros(5),
        torch.ones(5),
        normal(5),
        None,
        *batch_norm_arguments()[5:],
    ]


def linear_arguments() -> list[Any]:
    """X, weight, bias."""
    return [normal(5, 3), nn.Parameter(normal(4, 3, seed=1)), normal(4, seed=2)]


# For each operator: the Python function, the straight call, the registered operator, and arguments for them.
Call = tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor], Callable[[], list[Any]]]
CALLS: dict[str, Call] = {
    "batch_norm": (
        ops.batch_norm,
        _operators.batch_norm,
        torch.ops.namegen_ext.batch_norm.default,
        batch_norm_arguments,
    ),
    "embedding_concat_linear": (
        ops.embedding_concat_linear,
        _operators.embedding_concat_linear,
        torch.ops.namegen_ext.embedding_concat_linear.default,
        embedding_arguments,
    ),
    "embedding_concat_linear_batch_norm": (
        ops.embedding_concat_linear_batch_norm,
        _operators.embedding_concat_linear_batch_norm,
        torch.ops.namegen_ext.embedding_concat_linear_batch_norm.default,
        embedding_batch_norm_arguments,
    ),
    "linear": (ops.linear, _operators.linear, torch.ops.namegen_ext.linear.default, linear_arguments),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


class Subclass(Tensor):
    pass


class Watcher:
    """Notes what a mode is told of, and calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def note(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


class SeesFunctions(Watcher, TorchFunctionMode):
    __torch_function__ = Watcher.note


class SeesOperators(Watcher, TorchDispatchMode):
    __torch_dispatch__ = Watcher.note


@each_call
def test_plain_arguments_are_taken(call: Call) -> None:
    _, straight, operator, arguments = call
    found = straight(*arguments())
    assert found.grad_fn is not None
    assert torch.equal(found, operator(*arguments()))


def test_all_optional_arguments_may_be_none() -> None:
    x = normal(5, 3)
    found = _operators.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, "none")
    assert torch.equal(
        found, torch.ops.namegen_ext.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, "none")
    )
    tokens, table, weight, _, activation = embedding_arguments()
    found = _operators.embedding_concat_linear(tokens, table, weight, None, activation)
    assert torch.equal(found, ops.embedding_concat_linear(tokens, table, weight, None, activation))


# ---- what is left to torch.ops -------------------------------------------------------------------------------


@each_call
def test_arguments_of_another_type_are_not_taken(call: Call) -> None:
    _, straight, _, arguments = call
    for position, argument in enumerate(arguments()):
        others: list[object] = [[argument], object()]
        if isinstance(argument, Tensor):
            others.append(argument.detach().as_subclass(Subclass))
        if isinstance(argument, str):
            others += [None, argument.encode(), "\udc80"]
        if isinstance(argument, bool | float):
            others += [None, 1]
        for other in others:
            changed = arguments()
            changed[position] = other
            assert straight(*changed) is NotImplemented, (position, other)


@each_call
def test_another_number_of_arguments_is_not_taken(call: Call) -> None:
    _, straight, _, arguments = call
    assert straight() is NotImplemented
    assert straight(*arguments()[:-1]) is NotImplemented
    assert straight(*arguments(), None) is NotImplemented


@each_call
def test_a_tensor_subclass_stays_one(call: Call) -> None:
    function, _, _, arguments = call
    changed = arguments()
    changed[0] = changed[0].as_subclass(Subclass)
    assert type(function(*changed)) is Subclass


@each_call
@pytest.mark.parametrize("mode", [SeesFunctions, SeesOperators])
def test_modes_see_the_call(call: Call, mode: type[SeesFunctions] | type[SeesOperators]) -> None:
    function, straight, operator, arguments = call
    values = arguments()
    with mode() as watcher:
        assert straight(*values) is NotImplemented
        function(*values)
    # Below autograd batch_norm is batch_norm_forward.
    assert any(name.startswith(str(operator).removesuffix(".default")) for name in watcher.seen)


@each_call
def test_fake_tensors(call: Call) -> None:
    function, straight, _, arguments = call
    with FakeTensorMode() as mode:
        values = [mode.from_tensor(v) if isinstance(v, Tensor) else v for v in arguments()]
        assert straight(*values) is NotImplemented
        assert function(*values).shape == function(*arguments()).shape


@each_call
def test_symbolic_tracing_keeps_the_operator(call: Call) -> None:
    function, _, operator, arguments = call
    rest = [value.detach() if isinstance(value, Tensor) else value for value in arguments()[1:]]

    class Calls(nn.Module):
        def forward(self, first: Tensor) -> Tensor:
            return function(first, *rest)

    graph = torch.fx.symbolic_trace(Calls())
    assert operator in [node.target for node in graph.graph.nodes]


@each_call
def test_the_errors_are_those_of_the_operator(call: Call) -> None:
    function, _, _, arguments = call
    *values, last = arguments()
    if isinstance(last, str):
        with pytest.raises(ValueError, match="activation"):
            function(*values, "relu")
    with pytest.raises(RuntimeError, match=r"running_mean|embedding_weight|weight"):
        function(arguments()[0], normal(7), *arguments()[2:])


@each_call
def test_no_reference_is_kept_or_lost(call: Call) -> None:
    _, straight, _, arguments = call
    values = arguments()
    before = [sys.getrefcount(value) for value in values]
    for _ in range(100):
        straight(*values)
        straight(*values[:-1], object())
    assert [sys.getrefcount(value) for value in values] == before


# ---- add_one -------------------------------------------------------------------------------------------------


def test_add_one() -> None:
    number = torch.tensor(2**40)
    version = number._version
    assert _operators.add_one(number)
    assert number.item() == 2**40 + 1
    assert number._version == version + 1


def test_add_one_leaves_other_tensors_alone() -> None:
    with torch.inference_mode():
        made_for_inference = torch.tensor(3)
    others = [
        torch.tensor(3.0),
        torch.tensor(3, dtype=torch.int32),
        torch.tensor([3]),
        torch.tensor(3).as_subclass(Subclass),
        torch.tensor(3, device="meta"),
        made_for_inference,
        torch._to_functional_tensor(torch.tensor(3)),
    ]
    for other in others:
        assert not _operators.add_one(other)
    assert [float(other) for other in others if other.device.type == "cpu"] == [3] * (len(others) - 1)
    assert not _operators.add_one(3)


def test_batches_are_counted_where_an_operator_is_watched() -> None:
    module = FusedBatchNorm1d(3)
    module(normal(5, 3))
    with SeesOperators() as watcher:
        module(normal(5, 3))
    assert "aten.add_.Tensor" in watcher.seen
    module(normal(5, 3))
    assert module.num_batches_tracked == 3
