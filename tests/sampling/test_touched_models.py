"""Drawing from models that were touched: hooks and forwards of their own, other weights, other default devices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary
from namegen_ext.models import GPT, MLP, Bigram, WaveNet
from namegen_ext.sampling import NameSampler, sample_names

VOCABULARY = Vocabulary("abcd")
FORBIDDEN = VOCABULARY.encode("a")[0]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


MODELS: dict[str, Any] = {
    "bigram": lambda: Bigram(5, generator=generator()),
    "mlp": lambda: MLP(5, 2, 3, 6, generator=generator()),
    "wavenet": lambda: WaveNet(5, 4, 3, 6, (2, 2), generator=generator()),
    "gpt": lambda: GPT(5, 4, 8, 1, 2, generator=generator()),
}


def without_a(output: Any) -> Any:
    logits = output[0] if isinstance(output, tuple) else output
    logits = logits.clone()
    logits[..., FORBIDDEN] = -1e9
    return (logits, None)


def hook(model: nn.Module) -> nn.Module:
    model.register_forward_hook(lambda module, inputs, output: without_a(output))
    return model


def forward_of_its_own(model: nn.Module) -> nn.Module:
    own = model.forward
    model.forward = lambda *arguments: without_a(own(*arguments))  # type: ignore[method-assign]
    return model


def subclass(model: nn.Module) -> nn.Module:
    kind: Any = type(model)

    class Own(kind):
        def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Any:
            return without_a(super().forward(tokens, targets))

    model.__class__ = Own
    return model


@pytest.mark.parametrize("method", ["direct", "table", "auto"])
@pytest.mark.parametrize("touch", [hook, forward_of_its_own, subclass])
@pytest.mark.parametrize("name", MODELS)
def test_what_forbids_a_letter_is_honoured(name: str, touch: Any, method: Any) -> None:
    untouched = sample_names(MODELS[name](), VOCABULARY, 100, seed=1, max_length=12)
    assert any("a" in drawn for drawn in untouched)
    names = sample_names(touch(MODELS[name]()), VOCABULARY, 100, seed=1, max_length=12, method=method)
    assert not any("a" in drawn for drawn in names)


class Extra(nn.Tanh):
    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 3}

    def set_extra_state(self, state: Any) -> None:
        pass


def test_a_module_with_extra_state_draws() -> None:
    net = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 7), Extra(), nn.Linear(7, 5))
    names = sample_names(net, VOCABULARY, 20, seed=1, block_size=2, max_length=12)
    assert len(names) == 20


class Wrapped(Tensor):
    """Stands for quantised weights: a subclass that has no numpy array, and computes plain tensors."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        return result.as_subclass(cls) if func is Tensor.detach else result

    def numpy(self, *, force: bool = False) -> Any:
        raise NotImplementedError("no storage")


@pytest.mark.parametrize("method", ["direct", "table"])
def test_weights_that_are_no_plain_tensors_draw_by_python(method: Any) -> None:
    model = MODELS["mlp"]()
    expected = sample_names(model, VOCABULARY, 20, seed=1, method=method, backend="auto", max_length=12)
    linear = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    linear.weight = nn.Parameter(linear.weight.detach().as_subclass(Wrapped))
    sampler = NameSampler(model, VOCABULARY, 20, method="direct")
    assert sampler.native is None
    assert "Wrapped" in str(sampler.why_not_native)
    # The MLP's names are the same: probabilities differ by rounding alone.
    assert sample_names(model, VOCABULARY, 20, seed=1, method=method, max_length=12) == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_model_that_torch_quantised_draws() -> None:
    model = torch.ao.quantization.quantize_dynamic(MODELS["mlp"]().eval(), {nn.Linear}, dtype=torch.qint8)
    assert len(sample_names(model, VOCABULARY, 20, seed=1, max_length=12)) == 20


@pytest.mark.parametrize("backend", ["auto", "python"])
@pytest.mark.parametrize("name", MODELS)
def test_the_default_device_changes_no_name(name: str, backend: Any) -> None:
    model = MODELS[name]()
    expected = sample_names(model, VOCABULARY, 20, seed=1, backend=backend, max_length=12)
    before = torch.get_default_device()
    torch.set_default_device("meta")
    try:
        found = sample_names(model, VOCABULARY, 20, seed=1, backend=backend, max_length=12)
        assert len(sample_names(model, VOCABULARY, 2, backend=backend, max_length=12)) == 2  # a seed is drawn
    finally:
        torch.set_default_device(before)
    assert found == expected
