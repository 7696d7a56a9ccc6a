"""What was changed after the engine was made: each call honours it as torch does, or refuses it and changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_pairs import make_pair
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.optim.optimizer import register_optimizer_step_post_hook

from namegen_ext import fuse
from namegen_ext.engine import StepEngine, UnsupportedModelError
from namegen_ext.models import GPT, MLP, Bigram, WaveNet
from namegen_ext.training.steps import AutogradSteps

V = 11
Optimizer = torch.optim.Optimizer


def mlp() -> MLP:
    return MLP(V, 3, 4, 9, generator=torch.Generator().manual_seed(0))


def gpt() -> GPT:
    return GPT(V, 4, 8, 2, 2, generator=torch.Generator().manual_seed(0))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "bigram": lambda: Bigram(V, generator=torch.Generator().manual_seed(0)),
    "mlp": mlp,
    "wavenet": lambda: WaveNet(V, 4, 4, 9, (2, 2), generator=torch.Generator().manual_seed(0)),
    "gpt": gpt,
}


def examples(model: nn.Module) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(V, (50, model.block_size), generator=generator)  # type: ignore[arg-type]
    shape = tokens.shape if isinstance(model, GPT) else tokens.shape[:1]
    return tokens, torch.randint(V, shape, generator=generator)


INDICES = torch.randint(50, (4, 8), generator=torch.Generator().manual_seed(2))


def state_of(model: nn.Module, optimizer: Optimizer) -> list[Tensor]:
    held = [value for state in optimizer.state.values() for value in state.values() if value is not None]
    return [value.clone() for value in (*model.state_dict().values(), *held)]


def first(model: nn.Module, kind: type[nn.Module]) -> Any:
    return next(module for module in model.modules() if isinstance(module, kind))


def ignore(*arguments: Any) -> None:
    """A hook that does nothing."""


# ---- refused ---------------------------------------------------------------------------------------------------------


def replace_activation(model: nn.Module, optimizer: Optimizer) -> None:
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Tanh | nn.GELU):
                setattr(module, name, nn.ReLU())


def wrap_step(model: nn.Module, optimizer: Optimizer) -> None:
    step = optimizer.step
    optimizer.step = lambda *arguments: step(*arguments)  # type: ignore[method-assign]


TOUCHES: dict[str, tuple[Callable[[nn.Module, Optimizer], Any], str]] = {
    "gradient hook": (lambda m, o: first(m, nn.Linear).weight.register_hook(lambda g: g * 0), "hook on its gradient"),
    "hook after accumulation": (
        lambda m, o: first(m, nn.Linear).weight.register_post_accumulate_grad_hook(ignore),
        "hook on its gradient",
    ),
    "hook before steps": (lambda m, o: o.register_step_pre_hook(ignore), "hook on its steps"),
    "hook after steps": (lambda m, o: o.register_step_post_hook(ignore), "hook on its steps"),
    "step replaced": (wrap_step, "its step is replaced"),
    "frozen layer": (lambda m, o: first(m, nn.Linear).requires_grad_(False), "does not require gradients"),
    "forward hook": (lambda m, o: first(m, nn.Linear).register_forward_hook(ignore), "has hooks"),
    "forward hook of the model": (lambda m, o: m.register_forward_hook(ignore), "has hooks"),
    "forward pre-hook": (lambda m, o: first(m, nn.Linear).register_forward_pre_hook(ignore), "has hooks"),
    "backward hook": (lambda m, o: first(m, nn.Linear).register_full_backward_hook(ignore), "has hooks"),
    "forward of its own": (lambda m, o: setattr(first(m, nn.Linear), "forward", ignore), "forward of its own"),
    "activation": (replace_activation, "ReLU|other layers"),
    "pruned": (
        lambda m, o: prune.l1_unstructured(first(m, nn.Linear), "weight", amount=0.5),
        "has hooks",
    ),
    "weight norm": (
        lambda m, o: nn.utils.parametrizations.weight_norm(first(m, nn.Linear)),
        "Parametrized|hooks or a forward|other layers",
    ),
    "padding": (lambda m, o: setattr(first(m, nn.Embedding), "padding_idx", 0), "padding_idx"),
    "new parameter": (
        lambda m, o: setattr(first(m, nn.Linear), "weight", nn.Parameter(first(m, nn.Linear).weight.clone())),
        "not those of the model",
    ),
    "more groups": (lambda m, o: o.add_param_group({"params": [nn.Parameter(torch.ones(1))]}), "2 parameter groups"),
    "maximize": (lambda m, o: o.param_groups[0].update(maximize=True), "maximize"),
    "coupled decay": (lambda m, o: o.param_groups[0].update(decoupled_weight_decay=False), "decoupled_weight_decay"),
    "float64": (lambda m, o: first(m, nn.Linear).double(), "several dtypes"),
}  # fmt: skip


@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize("name", ["mlp", "wavenet", "gpt"])
def test_a_touched_model_is_refused_and_nothing_changes(name: str, touch: str) -> None:
    model = MODELS[name]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    engine = StepEngine(model, optimizer)
    tokens, targets = examples(model)
    engine.run(tokens, targets, INDICES, [0.01] * 4)
    change, message = TOUCHES[touch]
    change(model, optimizer)
    before = state_of(model, optimizer)
    for _ in range(2):  # it is not taken for known the second time
        with pytest.raises(UnsupportedModelError, match=message):
            engine.run(tokens, targets, INDICES, [0.01] * 4)
    assert all(map(torch.equal, before, state_of(model, optimizer)))
    with pytest.raises(UnsupportedModelError, match=message):
        StepEngine(model, optimizer)


@pytest.mark.parametrize("name", ["bigram", "mlp", "gpt"])
def test_hooks_that_are_removed_leave_nothing(name: str) -> None:
    model = MODELS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    engine = StepEngine(model, optimizer)
    tokens, targets = examples(model)
    handles = [parameter.register_hook(lambda g: g * 0) for parameter in model.parameters()]
    handles.append(optimizer.register_step_post_hook(ignore))
    with pytest.raises(UnsupportedModelError):
        engine.run(tokens, targets, INDICES, [0.1] * 4)
    for handle in handles:
        handle.remove()
    assert engine.run(tokens, targets, INDICES, [0.1] * 4).isfinite().all()


def test_hooks_for_all_modules_and_for_all_optimizers_are_refused() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    engine = StepEngine(model, optimizer)
    tokens, targets = examples(model)
    handle = nn.modules.module.register_module_forward_hook(ignore)
    try:
        with pytest.raises(UnsupportedModelError, match="hooks for all modules"):
            engine.run(tokens, targets, INDICES, [0.1] * 4)
    finally:
        handle.remove()
    handle = register_optimizer_step_post_hook(ignore)
    try:
        with pytest.raises(UnsupportedModelError, match="hook on its steps"):
            engine.run(tokens, targets, INDICES, [0.1] * 4)
    finally:
        handle.remove()
    engine.run(tokens, targets, INDICES, [0.1] * 4)


@pytest.mark.parametrize("name", ["mlp", "wavenet"])
def test_a_batch_norm_in_evaluation_mode_is_refused(name: str) -> None:
    model = MODELS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    engine = StepEngine(model, optimizer)
    tokens, targets = examples(model)
    for module in (model, first(model, nn.BatchNorm1d)):
        model.train()
        module.eval()
        before = state_of(model, optimizer)
        with pytest.raises(UnsupportedModelError, match="evaluation mode"):
            engine.run(tokens, targets, INDICES, [0.1] * 4)
        assert all(map(torch.equal, before, state_of(model, optimizer)))
        assert engine.evaluate(tokens, targets) is not None  # that needs no training mode
    model.train()
    engine.run(tokens, targets, INDICES, [0.1] * 4)


# ---- honoured --------------------------------------------------------------------------------------------------------


def change_batch_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eps, module.momentum = 0.1, 0.5


def change_layer_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 0.1


def evaluation_mode(model: nn.Module) -> None:
    model.eval()


def new_values(model: nn.Module) -> None:
    layer = first(model, nn.Linear)
    layer.weight.data = layer.weight.detach() / 2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mlp", change_batch_norms),
        ("wavenet", change_batch_norms),
        ("gpt", change_layer_norms),
        ("bigram", evaluation_mode),  # they have nothing that this changes
        ("gpt", evaluation_mode),
        ("mlp", new_values),
        ("gpt", new_values),
        ("mlp", fuse),
        ("gpt", fuse),
    ],
)
def test_a_change_that_the_engine_covers_is_honoured(name: str, change: Callable[[nn.Module], Any]) -> None:
    model = MODELS[name]().double()
    stock = copy.deepcopy(model)
    engine = StepEngine(model, torch.optim.SGD(model.parameters(), lr=0.1))
    steps = AutogradSteps(stock, torch.optim.SGD(stock.parameters(), lr=0.1), *examples(model))
    tokens, targets = examples(model)
    for _ in range(2):
        found, expected = engine.run(tokens, targets, INDICES, [0.1] * 4), steps.run(INDICES, [0.1] * 4)
        # Float64 is rounded to 1e-16 of values near 1, and four steps carry it on; the losses come as float32.
        torch.testing.assert_close(found, expected.to(found.dtype), rtol=1e-6, atol=0)
        change(model)
        if change is not fuse:
            change(stock)
    for own, other in zip(model.state_dict().values(), stock.state_dict().values(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_a_replaced_layer_is_trained_where_the_optimizer_has_it() -> None:
    pair = make_pair(mlp(), V, 3)
    engine, indices = pair.engine(), pair.draw(3, 8)
    pair.losses(indices), pair.stock_losses(indices)
    for model, optimizer in ((pair.model, pair.optimizer), (pair.stock, pair.stock_optimizer)):
        net: Any = model.net  # type: ignore[union-attr]
        old = net[-1]
        net[-1] = nn.Linear(9, V).double()
        with torch.no_grad():
            for own, other in zip(net[-1].parameters(), old.parameters(), strict=True):
                own.copy_(other / 2)
        optimizer.param_groups[0]["params"] = list(model.parameters())
    found = engine.run(pair.tokens, pair.targets, indices, [0.1] * 3)
    assert (found - pair.stock_losses(indices)).abs().max() < 1e-6
    assert max(pair.differences().values()) < 1e-9


@pytest.fixture
def rate() -> Tensor:
    return torch.tensor(0.1)


@pytest.mark.parametrize("by_engine", [True, False])
def test_a_learning_rate_that_is_a_tensor_stays_that_tensor(rate: Tensor, by_engine: bool) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    rate = optimizer.param_groups[0]["lr"]
    tokens, targets = examples(model)
    if by_engine:
        StepEngine(model, optimizer).run(tokens, targets, INDICES, [0.4, 0.3, 0.2, 0.05])
    else:
        AutogradSteps(model, optimizer, tokens, targets).run(INDICES, [0.4, 0.3, 0.2, 0.05])
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.05)


def test_a_scheduler_on_the_optimizer_changes_nothing() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    tokens, targets = examples(model)
    assert StepEngine(model, optimizer).run(tokens, targets, INDICES, [0.1] * 4).isfinite().all()
