"""The engine's GPT against training through autograd."""

from __future__ import annotations

import copy
import random
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import hypothesis
import pytest
import torch
from engine_pairs import OPTIMIZERS, Pair
from hypothesis import strategies as st
from torch import Tensor, nn

from namegen_ext import fuse
from namegen_ext.data import IGNORED, Vocabulary, build_sequences
from namegen_ext.engine import StepEngine, UnsupportedModelError
from namegen_ext.models import GPT
from namegen_ext.training import build_optimizer, evaluate

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PLAIN = {"name": "sgd", "learning_rate": 1.0}


def words(count: int, letters: int, block_size: int, seed: int = 0) -> list[str]:
    """Random words: of one letter, of a few, as long as the block and longer; some of them several times."""
    draw = random.Random(seed)
    lengths = (1, 2, 3, 5, block_size - 1, block_size, block_size + 4)
    made = [
        "".join(draw.choices(LETTERS[:letters], k=max(1, draw.choice(lengths))))
        for _ in range(count * 3 // 4)
    ]
    return made + draw.choices(made, k=count - len(made))


def make_pair(
    config: dict[str, Any],
    optimizer: str | dict[str, Any] = "adamw",
    dtype: torch.dtype = torch.float64,
    letters: int = 26,
    count: int = 200,
) -> Pair:
    """Build a pair on random words. The layer norms and biases are moved away from where they begin."""
    block_size = config["block_size"]
    corpus = words(count, letters, block_size)
    vocabulary = Vocabulary.from_words(corpus)
    generator = torch.Generator().manual_seed(0)
    model = GPT(len(vocabulary), **config, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    model = model.to(dtype)
    stock = copy.deepcopy(model)
    options = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    tokens, targets = build_sequences(corpus, vocabulary, block_size)
    return Pair(
        stock=stock,
        stock_optimizer=build_optimizer(parameters=stock.parameters(), **options),
        model=model,
        optimizer=build_optimizer(parameters=model.parameters(), **options),
        tokens=tokens,
        targets=targets,
        rate=options["learning_rate"],
    )


LECTURE = {"block_size": 16, "embedding_dim": 64, "num_layers": 4, "num_heads": 4}
SMALL = {"block_size": 5, "embedding_dim": 20, "num_layers": 2, "num_heads": 5}
TIED = {"block_size": 33, "embedding_dim": 24, "num_layers": 2, "num_heads": 3, "tied": True}
MICRO = {
    "block_size": 16,
    "embedding_dim": 16,
    "num_layers": 1,
    "num_heads": 4,
    "norm": "rms",
    "activation": "relu",
    "biases": False,
    "final_norm": False,
    "embedding_norm": True,
}
PLAIN_BIASED = {**SMALL, "activation": "gelu-tanh", "embedding_norm": True}
UNBIASED = {**SMALL, "biases": False, "final_norm": False, "tied": True}
WIDE = {"block_size": 40, "embedding_dim": 96, "num_layers": 1, "num_heads": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "lecture": LECTURE,
    "small": SMALL,
    "tied": TIED,
    "wide": WIDE,
    "micro": MICRO,
    "gelu-tanh": PLAIN_BIASED,
    "unbiased": UNBIASED,
}


def gradients_by_engine(pair: Pair, rows: Tensor) -> tuple[float, list[Tensor]]:
    """The loss and gradients of one minibatch, read off a step of plain SGD with a learning rate of 1."""
    before = [parameter.detach().clone() for parameter in pair.model.parameters()]
    loss = pair.losses(rows[None])
    pairs = zip(before, pair.model.parameters(), strict=True)
    return float(loss[0]), [old - new.detach() for old, new in pairs]


def check_gradients(pair: Pair, rows: Tensor) -> None:
    """In float64: the loss to 1e-12, every gradient to 1e-10 of the largest."""
    loss, found = gradients_by_engine(pair, rows)
    _, expected = pair.stock(pair.tokens[rows], pair.targets[rows])
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    own = [parameter.grad for parameter in pair.stock.parameters()]
    scale = max(float(gradient.abs().max()) for gradient in own)
    for (name, _), gradient, right in zip(pair.model.named_parameters(), found, own, strict=True):
        assert (gradient - right).abs().max() <= 1e-10 * scale, name


@pytest.mark.parametrize("batch", [1, 32, 700])
@pytest.mark.parametrize("config", CONFIGS)
def test_the_loss_and_every_gradient(config: str, batch: int) -> None:
    pair = make_pair(CONFIGS[config], PLAIN)
    check_gradients(pair, pair.draw(1, batch)[0])


@st.composite
def gpts(draw: st.DrawFn) -> tuple[dict[str, Any], int, int]:
    """A configuration, a number of letters and a batch: sizes that fill vectors and tiles, and that do not."""
    heads = draw(st.integers(1, 5))
    head_size = draw(st.sampled_from([1, 2, 3, 4, 8, 15, 16, 17, 32]))
    config: dict[str, Any] = {
        "block_size": draw(st.sampled_from([1, 2, 3, 8, 15, 16, 17, 40])),
        "embedding_dim": heads * head_size,
        "num_layers": draw(st.integers(1, 3)),
        "num_heads": heads,
        "tied": draw(st.booleans()),
        "norm": draw(st.sampled_from(["layer", "rms"])),
        "activation": draw(st.sampled_from(["gelu", "gelu-tanh", "relu"])),
        "biases": draw(st.booleans()),
        "final_norm": draw(st.booleans()),
        "embedding_norm": draw(st.booleans()),
    }
    return config, draw(st.sampled_from([1, 2, 5, 26, 52])), draw(st.sampled_from([1, 2, 13, 64, 300]))


@hypothesis.given(gpts())
@hypothesis.settings(max_examples=40)
def test_the_gradients_of_any_sizes(case: tuple[dict[str, Any], int, int]) -> None:
    config, letters, batch = case
    pair = make_pair(config, PLAIN, letters=letters, count=60)
    check_gradients(pair, pair.draw(1, batch)[0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("config", ["small", "tied"])
def test_two_hundred_steps_in_float64(config: str, optimizer: str) -> None:
    pair = make_pair(CONFIGS[config], optimizer)
    indices = pair.draw(200, 32)
    expected, losses = pair.stock_losses(indices), pair.losses(indices)
    # Sums in another order, 2^-53 each, carried through 200 steps. AdamW divides by the root of squared gradients;
    # those of the keys' biases are rounding errors alone, as a softmax does not depend on them.
    assert (losses - expected).abs().max() < 1e-9
    moved = {
        name: d for name, d in pair.differences().items() if "projections" not in name or optimizer != "adamw"
    }
    assert max(moved.values()) < 1e-8, moved


def test_two_hundred_steps_of_the_lecture_in_float32() -> None:
    pair = make_pair(LECTURE, "adamw", torch.float32)
    indices = pair.draw(200, 32)
    expected, losses = pair.stock_losses(indices), pair.losses(indices)
    assert (losses - expected)[:20].abs().max() < 1e-5 * float(expected.max())
    assert losses[-20:].mean() == pytest.approx(float(expected[-20:].mean()), abs=0.01)
    assert losses[-20:].mean() < losses[:10].mean() - 0.3  # and it learns


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_torchs_state_is_taken_up_and_given_back(optimizer: str) -> None:
    pair = make_pair(SMALL, optimizer)
    indices = pair.draw(9, 16)
    expected = pair.stock_losses(indices)
    parts = [pair.losses(indices[:4]), pair.losses(indices[4:6])]
    turned = Pair(
        pair.model, pair.optimizer, pair.stock, pair.stock_optimizer, pair.tokens, pair.targets, pair.rate
    )
    parts.append(turned.stock_losses(indices[6:]).double())  # by torch, from the engine's state
    assert (torch.cat(parts) - expected).abs().max() < 1e-9


@pytest.mark.parametrize("batch", [32, 1024])
def test_same_bits_for_any_number_of_threads(
    batch: int, threads: Callable[[int], AbstractContextManager[None]]
) -> None:
    results = []
    for count in (1, 2, 16, 1):
        pair = make_pair(LECTURE, "adamw", torch.float32, count=900)
        with threads(count):
            losses = pair.losses(pair.draw(3, batch))
            loss = pair.engine().evaluate(pair.tokens, pair.targets)
        results.append([losses, torch.tensor(loss), *pair.model.state_dict().values()])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("config", CONFIGS)
def test_evaluation(config: str, dtype: torch.dtype) -> None:
    pair = make_pair(CONFIGS[config], dtype=dtype, count=900)
    expected = evaluate(pair.stock, pair.tokens, pair.targets)
    rel = 1e-12 if dtype == torch.float64 else 1e-5
    assert pair.engine().evaluate(pair.tokens, pair.targets) == pytest.approx(expected, rel=rel)
    assert pair.engine().evaluate(pair.tokens[:0], pair.targets[:0]) is None
    nothing = torch.full_like(pair.targets, IGNORED)
    assert pair.engine().evaluate(pair.tokens, nothing) is None


def test_ignored_targets_anywhere() -> None:
    pair = make_pair(SMALL, PLAIN)
    generator = torch.Generator().manual_seed(1)
    pair.targets[torch.rand(pair.targets.shape, generator=generator) < 0.4] = IGNORED
    check_gradients(pair, pair.draw(1, 100)[0])


def test_a_minibatch_without_targets() -> None:
    pair = make_pair(SMALL, PLAIN)
    pair.targets[:] = IGNORED
    before = copy.deepcopy(pair.model.state_dict())
    assert pair.losses(pair.draw(1, 4)).isnan().all()  # as torch's mean of nothing
    assert all(torch.equal(value, before[name]) for name, value in pair.model.state_dict().items())


def test_a_tail_that_torch_has_no_digits_of() -> None:
    # Every GELU of a layer at about -7: torch's erf gives exactly 0 there in float32.
    pair = make_pair(SMALL, PLAIN, torch.float32)
    large = 1e10 * torch.randn(20, 80, generator=torch.Generator().manual_seed(0))
    for model in (pair.model, pair.stock):
        with torch.no_grad():
            model.blocks[0].network[0].weight.zero_()
            model.blocks[0].network[0].bias.fill_(-7.0)
            model.blocks[0].network[2].weight.copy_(large)
    exact = copy.deepcopy(pair.stock).double()
    exact.blocks[0].network[1] = _ExactGELU()
    right = evaluate(exact, pair.tokens, pair.targets)
    assert pair.engine().evaluate(pair.tokens, pair.targets) == pytest.approx(right, rel=1e-5)
    assert evaluate(pair.stock, pair.tokens, pair.targets) != pytest.approx(right, rel=1e-4)


class _ExactGELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.erfc(-x / 2**0.5) / 2


def test_a_fused_model_trains_the_same() -> None:
    pair = make_pair(SMALL)
    fuse(pair.model)
    indices = pair.draw(10, 32)
    assert (pair.losses(indices) - pair.stock_losses(indices)).abs().max() < 1e-10


def test_ctrl_c_in_the_middle_of_a_long_step() -> None:
    pair = make_pair({**LECTURE, "block_size": 64, "embedding_dim": 128}, count=3000)
    engine = pair.engine()
    indices = torch.arange(len(pair.tokens)).repeat(30)[None]  # one step of many seconds
    before = copy.deepcopy(pair.model.state_dict())
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    begun = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(KeyboardInterrupt):
        engine.run(pair.tokens, pair.targets, indices, [pair.rate])
    assert time.monotonic() - begun < 2  # 100 ms on a machine that does nothing else
    assert all(torch.equal(value, before[name]) for name, value in pair.model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dropout": 0.1}, "its dropout is 0.1, and the engine, which computes equal prefixes once"),
        (lambda m: setattr(m.blocks[0].network[1], "approximate", "tanh"), "a GELU is approximated by tanh"),
        ({"norm": "rms", "dropout": 0.1}, "its dropout is 0.1"),
        (lambda m: setattr(m, "norm", nn.RMSNorm(8)), "a layer is a RMSNorm, where a LayerNorm is expected"),
        (
            lambda m: setattr(m, "norm", nn.LayerNorm(8, elementwise_affine=False)),
            "a layer norm has no weight",
        ),
        (lambda m: setattr(m.norm, "eps", 1e-3), "its norms have different eps"),
        (lambda m: setattr(m, "head", nn.Linear(8, m.vocab_size)), "a Linear has a bias"),
        (lambda m: m.blocks.append(copy.deepcopy(m.blocks[0])), "it has 2 blocks, and its num_layers is 1"),
        (lambda m: m.requires_grad_(False), "a parameter does not require gradients"),
        (lambda m: m.half(), "its parameters are torch.float16"),
        (lambda m: m.register_forward_hook(lambda *_: None), "has hooks or a forward of its own"),
        (lambda m: m.register_parameter("more", nn.Parameter(torch.zeros(1))), "beside those of its layers"),
        (
            lambda m: setattr(m.blocks[0].network[0], "weight", nn.Parameter(torch.zeros(3, 8))),
            r"a weight \(3, 8\)",
        ),
    ],
)
def test_what_the_engine_leaves_says_why(change: Any, reason: str) -> None:
    config = {"block_size": 4, "embedding_dim": 8, "num_layers": 1, "num_heads": 2}
    model = GPT(5, **config, **(change if isinstance(change, dict) else {}))
    if not isinstance(change, dict):
        change(model)
    with pytest.raises(UnsupportedModelError, match=reason):
        StepEngine(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_a_subclass_is_left() -> None:
    class Other(GPT):
        pass

    model = Other(5)
    with pytest.raises(UnsupportedModelError, match="Other is a subclass of GPT"):
        StepEngine(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_wrong_examples_are_named() -> None:
    pair = make_pair(SMALL)
    engine, indices = pair.engine(), pair.draw(1, 4)
    with pytest.raises(IndexError, match="targets: got -2, expected -1 to"):
        engine.run(pair.tokens, torch.full_like(pair.targets, -2), indices, [0.1])
    with pytest.raises(IndexError, match="tokens: got 99, expected 0 to"):
        engine.run(torch.full_like(pair.tokens, 99), pair.targets, indices, [0.1])
    with pytest.raises(ValueError, match=r"targets must be \(n, 5\)"):
        engine.run(pair.tokens, pair.targets[:, 0], indices, [0.1])
    with pytest.raises(IndexError, match="indices: got"):
        engine.run(pair.tokens, pair.targets, indices + len(pair.tokens), [0.1])
    with pytest.raises(UnsupportedModelError, match="call the model itself"):
        engine.logits(pair.tokens)
