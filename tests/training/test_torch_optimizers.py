"""The optimizers against their published formulas, written out in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from namegen_ext.training import build_optimizer
from namegen_ext.training.torch_optimizers import update_function

RATES = [0.1, 0.05, 0.2, 0.01, 0.1]


def gradients(parameter: Tensor, step: int) -> Tensor:
    """Some smooth function of the parameter and the step."""
    return torch.sin(3 * parameter + step) + 0.1 * parameter


def trained(name: str, **options: Any) -> list[Tensor]:
    """Two float64 parameters after five updates through update_function."""
    parameters = start()
    update = update_function(build_optimizer(name, parameters, learning_rate=RATES[0], **options))
    for step, rate in enumerate(RATES):
        for parameter in parameters:
            parameter.grad = gradients(parameter.detach(), step)
        update(rate)
    return [parameter.detach() for parameter in parameters]


def start() -> list[Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(shape, generator=generator).double()) for shape in ((3, 4), (5,))]


@pytest.mark.parametrize(
    ("momentum", "nesterov", "weight_decay"),
    [(0.0, False, 0.0), (0.0, False, 0.3), (0.9, False, 0.0), (0.9, True, 0.0), (0.5, True, 0.1)],
)
def test_sgd(momentum: float, nesterov: bool, weight_decay: float) -> None:
    got = trained("sgd", momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
    for parameter, result in zip(start(), got, strict=True):
        x, velocity = parameter.detach(), torch.zeros_like(parameter)
        for step, rate in enumerate(RATES):
            gradient = gradients(x, step) + weight_decay * x
            velocity = momentum * velocity + gradient
            x = x - rate * (gradient + momentum * velocity if nesterov else velocity)
        torch.testing.assert_close(result, x, rtol=1e-12, atol=1e-12)  # float64: 5 steps of a few roundings


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_adamw(weight_decay: float) -> None:
    beta1, beta2 = 0.8, 0.95
    got = trained("adamw", beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    for parameter, result in zip(start(), got, strict=True):
        x = parameter.detach()
        mean, square = torch.zeros_like(x), torch.zeros_like(x)
        for step, rate in enumerate(RATES):
            gradient = gradients(x, step)
            mean = beta1 * mean + (1 - beta1) * gradient
            square = beta2 * square + (1 - beta2) * gradient**2
            corrected_mean = mean / (1 - beta1 ** (step + 1))
            corrected_square = square / (1 - beta2 ** (step + 1))
            x = x - rate * weight_decay * x - rate * corrected_mean / (corrected_square.sqrt() + 1e-8)
        # torch keeps the step count in float32: the corrections are off by some 1e-7 of themselves.
        torch.testing.assert_close(result, x, rtol=1e-6, atol=1e-6)


def test_plain_sgd_has_the_bits_of_torch() -> None:
    ours, torchs = start(), start()
    update = update_function(build_optimizer("sgd", ours, learning_rate=0.1))
    reference = torch.optim.SGD(torchs, lr=0.1, foreach=False)
    for step, rate in enumerate(RATES):
        for parameter in (*ours, *torchs):
            parameter.grad = gradients(parameter.detach(), step)
        update(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
    for parameter, expected in zip(ours, torchs, strict=True):
        assert torch.equal(parameter, expected)


@pytest.mark.parametrize("maximize", [False, True])
def test_plain_sgd_calls_hooks_and_goes_the_right_way(maximize: bool) -> None:
    parameters = start()
    optimizer = torch.optim.SGD(parameters, lr=0.1, maximize=maximize)
    called = []
    optimizer.register_step_post_hook(lambda *arguments: called.append(1))
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    update_function(optimizer)(0.5)
    assert called == [1]
    sign = 1 if maximize else -1
    for parameter, old in zip(parameters, before, strict=True):
        torch.testing.assert_close(parameter.detach(), old + sign * 0.5)


def test_plain_sgd_passes_over_frozen_parameters() -> None:
    parameters = start()
    parameters[0].requires_grad_(False)
    before = parameters[0].clone()
    parameters[1].grad = torch.ones_like(parameters[1])
    update_function(torch.optim.SGD(parameters, lr=0.1))(0.5)
    assert torch.equal(parameters[0], before)


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ValueError, match="one of sgd, adamw, but got 'lion'"):
        build_optimizer("lion", start(), learning_rate=0.1)
