"""What the engine covers, and the reasons that it gives for what it does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.engine import StepEngine, UnsupportedModelError, describe_network, describe_optimizer
from namegen_ext.models import GPT, MLP, Bigram, WaveNet
from namegen_ext.nn import FusedBatchNorm1d


def layers(**change: nn.Module) -> nn.Sequential:
    """A network that is covered, with some layers put in place of others."""
    parts: dict[str, nn.Module] = {
        "embedding": nn.Embedding(9, 4),
        "flatten": nn.Flatten(),
        "hidden": nn.Linear(12, 6),
        "norm": nn.BatchNorm1d(6),
        "tanh": nn.Tanh(),
        "output": nn.Linear(6, 9),
    }
    return nn.Sequential(*(parts | change).values())


def test_what_is_read_of_a_network() -> None:
    network = describe_network(WaveNet(27))
    assert (network.vocab_size, network.block_size, len(network.levels)) == (27, 8, 3)
    assert [level.group for level in network.levels] == [2, 2, 2]
    assert network.output is not None
    assert sum(parameter.numel() for parameter in network.parameters()) == 76_579
    assert describe_network(layers()).block_size == 3
    assert describe_network(Bigram(5)).output is None
    assert len(describe_network(MLP(27, num_hidden_layers=4)).levels) == 4


def with_hook() -> nn.Sequential:
    model = layers()
    model[2].register_forward_hook(lambda *_: None)
    return model


def frozen() -> nn.Sequential:
    model = layers()
    model[0].requires_grad_(False)
    return model


def tied() -> nn.Sequential:
    model = layers(hidden=nn.Linear(12, 9), norm=nn.BatchNorm1d(9), output=nn.Linear(9, 9))
    model[5].bias = model[2].bias
    return model


class OwnForward(MLP):
    """An MLP that computes something else."""

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor | None = None) -> Any:
        return super().forward(tokens, targets)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (GPT(27), "GPT is neither an MLP, WaveNet or Bigram nor an nn.Sequential"),
        (nn.Linear(3, 3), "Linear is neither"),
        (OwnForward(9), "OwnForward is neither"),
        (layers(embedding=nn.Linear(3, 12)), "first layer is not an nn.Embedding"),
        (layers(embedding=nn.Embedding(9, 4, padding_idx=0)), "padding_idx"),
        (layers(embedding=nn.Embedding(9, 4, sparse=True)), "sparse"),
        (layers(embedding=nn.Embedding(9, 5)), "no multiple of the 5"),
        (layers(hidden=nn.LazyLinear(6)), "layer 2 (LazyLinear) has hooks"),
        (layers(tanh=nn.ReLU()), "an nn.Tanh is expected, but there stands ReLU"),
        (layers(norm=nn.LayerNorm(6)), "an nn.Tanh is expected, but there stands LayerNorm"),
        (layers(norm=nn.BatchNorm1d(6, affine=False)), "no parameters or no running statistics"),
        (layers(norm=nn.BatchNorm1d(6, track_running_stats=False)), "no running statistics"),
        (layers(norm=nn.BatchNorm1d(6, momentum=None)), "momentum is None"),
        (layers(output=nn.Linear(6, 8)), "8 logits for 9 symbols"),
        (layers(flatten=nn.Flatten(0)), "Flatten does not join"),
        (nn.Sequential(nn.Embedding(9, 4)), "4 logits for 9 symbols"),
        (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 9)), "no hidden layer with a tanh"),
        (layers(tanh=nn.Linear(6, 6)), "an nn.Tanh is expected, but there stands another linear layer"),
        (layers(output=nn.Linear(6, 9)).append(nn.Tanh()), "a tanh stands behind its last linear layer"),
        (
            layers(flatten=nn.Identity(), hidden=nn.Linear(12, 6)),
            "an nn.Linear is expected, but there stands Identity",
        ),
        (layers(norm=FusedBatchNorm1d(6)), "an nn.Tanh is expected, but there stands FusedBatchNorm1d"),
        (
            nn.Sequential(nn.Embedding(9, 4), *list(layers())[2:]),
            "a Linear takes 3 positions, where 1 are joined",
        ),
        (MLP(9, num_hidden_layers=17), "17 hidden layers, and the engine takes at most 16"),
        (with_hook(), "layer 2 (Linear) has hooks"),
        (frozen(), "does not require gradients"),
        (tied(), "share a parameter"),
        (layers().bfloat16(), "torch.bfloat16"),
        (layers(output=nn.Linear(6, 9).double()), "several dtypes"),
        (layers().to("meta"), "it is on meta"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_reason_is_told(model: nn.Module, reason: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        describe_network(model)
    message = str(caught.value)
    assert message.startswith("the step engine does not cover this model: ")
    assert reason in message
    assert "\n" not in message


def test_optimizers_that_are_not_covered() -> None:
    model = MLP(9)
    parameters = list(model.parameters())
    halves = [{"params": parameters[:2]}, {"params": parameters[2:]}]
    refused = [
        (torch.optim.Adam(parameters), "it is Adam"),
        (torch.optim.SGD(halves, lr=0.1), "2 parameter groups"),
        (torch.optim.SGD(parameters[1:], lr=0.1), "not those of the model"),
        (torch.optim.SGD(parameters, lr=0.1, momentum=0.9, dampening=0.1), "dampening is 0.1"),
        (torch.optim.SGD(parameters, lr=0.1, maximize=True), "maximize"),
        (torch.optim.AdamW(parameters, amsgrad=True), "amsgrad"),
    ]
    for optimizer, reason in refused:
        with pytest.raises(UnsupportedModelError, match=reason):
            StepEngine(model, optimizer)
    assert describe_optimizer(torch.optim.SGD(parameters, lr=0.1), parameters).state_names == ()


def test_parameters_of_different_ages_are_refused() -> None:
    model = MLP(9, batch_norm=False)
    optimizer = torch.optim.AdamW(model.parameters())
    engine = StepEngine(model, optimizer)
    tokens, targets = torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    _, loss = model(tokens, targets)
    loss.backward()
    model.net[0].weight.grad = None  # this one is left out of the step
    optimizer.step()
    with pytest.raises(UnsupportedModelError, match="different numbers of updates"):
        engine.run(tokens, targets, torch.zeros(1, 2, dtype=torch.int64), [0.1])
