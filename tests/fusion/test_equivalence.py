"""Random architectures, fused against stock: results, gradients, buffers and hooks agree."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import namegen_ext
from namegen_ext.nn import ChannelsLastBatchNorm1d, FlattenConsecutive

FEATURES = 4
BLOCK = 3

# Everything is float64 with eps = 2.2e-16. A result is a sum of at most some 100 products; a batch norm
# divides by at least sqrt(1e-5) and so multiplies an error by up to 316, in the backward pass as well; at
# most three of them follow one another with nothing between that could shrink it: 100 * 316^3 * 2.2e-16 <
# 1e-6. Values are of order one.
TOLERANCE = 1e-6

# Layers from FEATURES to FEATURES features, fusable and not.
MIDDLE = {
    "batch_norm": lambda: nn.BatchNorm1d(FEATURES),
    "batch_norm_plain": lambda: nn.BatchNorm1d(FEATURES, affine=False),
    "batch_norm_average": lambda: nn.BatchNorm1d(FEATURES, momentum=None),
    "batch_norm_untracked": lambda: nn.BatchNorm1d(FEATURES, track_running_stats=False),
    "batch_norm_last": lambda: ChannelsLastBatchNorm1d(FEATURES),
    "batch_norm_last_unbiased": lambda: ChannelsLastBatchNorm1d(FEATURES, variance="unbiased"),
    "tanh": nn.Tanh,
    "linear": lambda: nn.Linear(FEATURES, FEATURES),
    "relu": nn.ReLU,
    "softsign": nn.Softsign,
    "identity": nn.Identity,
}

START = {
    "plain": lambda: [nn.Embedding(5, 2), nn.Flatten(), nn.Linear(2 * BLOCK, FEATURES)],
    "no bias": lambda: [nn.Embedding(5, 2), nn.Flatten(-2), nn.Linear(2 * BLOCK, FEATURES, bias=False)],
    "consecutive": lambda: [nn.Embedding(5, 2), FlattenConsecutive(BLOCK), nn.Linear(2 * BLOCK, FEATURES)],
    "one by one": lambda: [
        nn.Embedding(5, 2),
        FlattenConsecutive(1),
        nn.Linear(2, 2),
        nn.Tanh(),
        FlattenConsecutive(BLOCK),
        nn.Linear(2 * BLOCK, FEATURES),
    ],
    "padded": lambda: [nn.Embedding(5, 2, padding_idx=0), nn.Flatten(), nn.Linear(2 * BLOCK, FEATURES)],
    "normed": lambda: [nn.Embedding(5, 2, max_norm=0.5), nn.Flatten(), nn.Linear(2 * BLOCK, FEATURES)],
    "by frequency": lambda: [
        nn.Embedding(5, 2, scale_grad_by_freq=True),
        nn.Flatten(),
        nn.Linear(2 * BLOCK, FEATURES),
    ],
    "split": lambda: [nn.Embedding(5, 2), nn.Identity(), nn.Flatten(), nn.Linear(2 * BLOCK, FEATURES)],
}

HOOKS = {
    "forward": lambda module, note: module.register_forward_hook(lambda *_: note()),
    "forward pre": lambda module, note: module.register_forward_pre_hook(lambda *_: note()),
    "backward": lambda module, note: module.register_full_backward_hook(lambda *_: note()),
    "backward pre": lambda module, note: module.register_full_backward_pre_hook(lambda *_: note()),
}


@st.composite
def architectures(draw):
    """Draw a model as plain data, so that hypothesis can shrink it."""
    middle = draw(st.lists(st.sampled_from(sorted(MIDDLE)), max_size=6))
    # No more than three batch norms, see TOLERANCE.
    norms = 0
    kept = []
    for name in middle:
        norms += name.startswith("batch_norm")
        if norms <= 3 or not name.startswith("batch_norm"):
            kept.append(name)
    return {
        "start": draw(st.sampled_from(sorted(START))),
        "middle": kept,
        "tie": draw(st.booleans()),
        "nest_from": draw(st.one_of(st.none(), st.integers(0, 8))),
        "hooks": draw(
            st.lists(st.tuples(st.integers(0, 9), st.sampled_from(sorted(HOOKS)), st.booleans()), max_size=2)
        ),
    }


def build(architecture):
    torch.manual_seed(0)
    layers = START[architecture["start"]]() + [MIDDLE[name]() for name in architecture["middle"]]
    linears = [
        layer for layer in layers[1:] if isinstance(layer, nn.Linear) and layer.in_features == FEATURES
    ]
    if architecture["tie"] and len(linears) >= 2:
        linears[1].weight = linears[0].weight
    nest_from = architecture["nest_from"]
    if nest_from is not None:
        layers = [*layers[:nest_from], nn.Sequential(*layers[nest_from:])]
    return nn.Sequential(*layers).double()


def register(model, architecture, *, late):
    """Register the hooks that are meant to come before or after fusing; count what fires."""
    counts = Counter()
    leaves = [module for module in model.modules() if not isinstance(module, nn.Sequential)]
    for index, kind, is_late in architecture["hooks"]:
        if is_late == late:
            position = index % len(leaves)
            HOOKS[kind](leaves[position], lambda key=(position, kind): counts.update([key]))
    return counts


@pytest.mark.filterwarnings(
    "ignore:Full backward hook is firing"
)  # on the embedding: tokens need no gradient
@settings(max_examples=80, deadline=None)
@given(
    architecture=architectures(),
    batch=st.integers(2, 12),
    modes=st.lists(st.booleans(), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_fused_and_stock_agree(architecture, batch, modes, seed):
    stock, fused = build(architecture), build(architecture)
    counts = [register(model, architecture, late=False) for model in (stock, fused)]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.01) for model in (stock, fused)]
    namegen_ext.fuse(fused)
    late = [register(model, architecture, late=True) for model in (stock, fused)]

    generator = torch.Generator().manual_seed(seed)
    for training in modes:
        tokens = torch.randint(0, 5, (batch, BLOCK), generator=generator)
        weights = torch.randn(batch, FEATURES, generator=generator, dtype=torch.float64)
        fused.load_state_dict(stock.state_dict())  # so that the differences of the steps do not add up
        outputs = []
        for model, optimizer in zip((stock, fused), optimizers, strict=True):
            output = model.train(training)(tokens)
            optimizer.zero_grad()
            (output * weights).sum().backward()
            outputs.append(output.detach())
        torch.testing.assert_close(outputs[1], outputs[0], rtol=TOLERANCE, atol=TOLERANCE)
        for (name, expected), actual in zip(stock.named_parameters(), fused.parameters(), strict=True):
            assert (expected.grad is None) == (actual.grad is None), name
            if expected.grad is not None:
                scale = TOLERANCE * max(1.0, expected.grad.abs().max().item())
                torch.testing.assert_close(actual.grad, expected.grad, rtol=0, atol=scale, msg=name)
        for (name, expected), actual in zip(stock.named_buffers(), fused.buffers(), strict=True):
            torch.testing.assert_close(actual, expected, rtol=TOLERANCE, atol=TOLERANCE, msg=name)
        for optimizer in optimizers:
            optimizer.step()
    assert counts[0] == counts[1]
    assert late[0] == late[1]


@settings(max_examples=40, deadline=None)
@given(architecture=architectures(), training=st.booleans())
def test_unfusing_gives_back_the_stock_bits(architecture, training):
    stock, other = build(architecture).train(training), build(architecture).train(training)
    namegen_ext.fuse(other)
    namegen_ext.fuse(other)
    namegen_ext.unfuse(other)
    tokens = torch.arange(12).reshape(4, BLOCK) % 5
    assert torch.equal(stock(tokens), other(tokens))
    for (name, expected), actual in zip(stock.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(actual, expected), name


@settings(max_examples=60, deadline=None)
@given(architecture=architectures())
def test_every_layer_is_reported_once(architecture):
    model = build(architecture)
    register(model, architecture, late=False)
    report = namegen_ext.fuse(model)
    layers = [module for module in model.modules() if not list(module.children())]
    expected = Counter(id(module) for module in layers if not isinstance(module, nn.Identity))
    reported = Counter(id(module) for site in report for module in site.modules)
    assert reported == expected
    assert all((site.reason is None) == site.fused for site in report)


@settings(max_examples=60, deadline=None)
@given(architecture=architectures(), training=st.booleans())
def test_the_report_tells_what_runs(fused_calls, architecture, training):
    """The operators that run are those of the fused sites, in their order."""
    model = build(architecture).train(training)
    register(model, architecture, late=False)
    report = namegen_ext.fuse(model)
    calls = fused_calls(model, torch.arange(8 * BLOCK).reshape(8, BLOCK) % 5)
    assert calls == [site.kind for site in report.fused]


@pytest.mark.parametrize("shape", [(6, FEATURES), (6, FEATURES, 5), (1, FEATURES, 5), (0, FEATURES)])
@pytest.mark.parametrize(
    "name", [name for name in MIDDLE if name.startswith("batch_norm") and "last" not in name]
)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_layouts(shape, name, training):
    torch.manual_seed(0)
    stock = nn.Sequential(MIDDLE[name](), nn.Tanh()).double().train(training)
    fused = copy.deepcopy(stock)
    namegen_ext.fuse(fused)
    x = torch.randn(shape, dtype=torch.float64)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    for _ in range(2):
        expected, actual = stock(inputs[0]), fused(inputs[1])
        assert actual.is_contiguous() == expected.is_contiguous()
        # eps times a sum of 30 values over a standard deviation of order one
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    expected.pow(3).sum().backward()
    actual.pow(3).sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-11, atol=1e-11)
    for key, value in stock.state_dict().items():
        torch.testing.assert_close(fused.state_dict()[key], value, rtol=1e-12, atol=1e-12, msg=key)
