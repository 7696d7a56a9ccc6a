"""The step engine against training through autograd."""

from __future__ import annotations

import copy
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import hypothesis
import pytest
import torch
from engine_pairs import OPTIMIZERS, Pair, make_pair
from hypothesis import strategies as st
from torch import nn

from namegen_ext import fuse
from namegen_ext.data import load_words
from namegen_ext.engine import StepEngine, UnsupportedModelError
from namegen_ext.models import MLP, Bigram, WaveNet
from namegen_ext.training import Corpus, build_optimizer, evaluate

V = 27


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


MODELS: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "mlp": lambda: (MLP(V, batch_norm=False, generator=generator()), 3),
    "mlp-batch-norm": lambda: (MLP(V, generator=generator()), 3),
    "mlp-no-bias-unbiased": lambda: (
        MLP(V, hidden_bias=False, batch_norm_variance="unbiased", generator=generator()),
        3,
    ),
    "mlp-3-layers": lambda: (MLP(V, num_hidden_layers=3, hidden_size=50, generator=generator()), 3),
    "mlp-3-layers-plain": lambda: (
        MLP(V, num_hidden_layers=3, hidden_size=50, batch_norm=False, generator=generator()),
        3,
    ),
    "wavenet": lambda: (WaveNet(V, generator=generator()), 8),
    "wavenet-flat-unbiased": lambda: (
        WaveNet(V, 4, 10, 40, factors=(4,), batch_norm_variance="unbiased", generator=generator()),
        4,
    ),
    "wavenet-plain": lambda: (
        WaveNet(V, 6, 7, 33, factors=(3, 2), batch_norm=False, generator=generator()),
        6,
    ),
    "bigram": lambda: (Bigram(V, generator=generator()), 1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_hundred_steps_in_float64(model: str, optimizer: str) -> None:
    net, block_size = MODELS[model]()
    pair = make_pair(net, V, block_size, optimizer)
    indices = pair.draw(100, 32)
    expected, losses = pair.stock_losses(indices), pair.losses(indices)
    # Sums of up to 600 terms in another order, 2^-53 each, carried through 100 steps: within 1e-12 here. AdamW
    # divides by the root of squared gradients that may be rounding errors alone (biases before batch norm).
    assert (losses - expected).abs().max() < 1e-9
    assert max(pair.differences().values()) < 1e-9, pair.differences()
    assert max(pair.state_differences().values(), default=0.0) < 1e-9, pair.state_differences()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("model", ["mlp", "mlp-batch-norm", "mlp-3-layers", "wavenet"])
def test_a_thousand_steps_in_float32(model: str, optimizer: str) -> None:
    net, block_size = MODELS[model]()
    corpus = Corpus.build(load_words("census").words, block_size=block_size, split_seed=42)
    config = {name: value for name, value in net.config.items() if name != "vocab_size"}  # type: ignore[operator, union-attr]
    net = type(net)(len(corpus.vocabulary), **config, generator=generator())
    pair = make_pair(net, V, block_size, optimizer, torch.float32)
    pair.tokens, pair.targets = corpus.train
    indices = pair.draw(1000, 32)
    expected, losses = pair.stock_losses(indices), pair.losses(indices)
    # Rounding errors of 2^-24 grow with every step, and faster with larger steps. The engine promises this bound.
    assert (losses - expected)[:50].abs().max() < 1e-5
    dev, stock_dev = pair.engine().evaluate(*corpus.dev), evaluate(pair.stock, *corpus.dev)
    assert dev == pytest.approx(stock_dev, abs=0.005)
    assert losses[-100:].mean() < losses[:10].mean() - 0.1  # and it learns


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, int, int, int, str, torch.dtype]:
    """A model, V, block size, batch, optimizer and dtype: sizes that fill vectors and tiles, and that do not."""
    vocab_size = draw(st.integers(2, 300))
    hidden_size = draw(st.sampled_from([1, 2, 7, 15, 16, 17, 31, 33, 64, 65, 100, 129, 200, 257, 520]))
    embedding_dim = draw(st.sampled_from([1, 2, 3, 8, 10, 15, 16, 17, 33, 64]))
    batch_norm = draw(st.booleans())
    kind = draw(st.sampled_from(["mlp", "mlp", "wavenet", "bigram"]))
    model: nn.Module
    if kind == "bigram":
        block_size = 1
        model = Bigram(vocab_size, generator=generator())
    elif kind == "mlp":
        block_size = draw(st.integers(1, 16))
        layers = draw(st.integers(1, 3))
        model = MLP(
            vocab_size, block_size, embedding_dim, hidden_size, layers, batch_norm, generator=generator()
        )
    else:
        factors = draw(
            st.lists(st.integers(2, 4), min_size=1, max_size=3).filter(lambda f: _product(f) <= 16)
        )
        block_size = _product(factors)
        bias = draw(st.booleans())
        model = WaveNet(
            vocab_size,
            block_size,
            embedding_dim,
            min(hidden_size, 200),
            factors,
            batch_norm,
            hidden_bias=bias,
            generator=generator(),
        )
    batch = draw(st.sampled_from([2, 3, 13, 31, 32, 64, 127, 256, 511, 512, 700]))
    if not batch_norm:
        batch = draw(st.sampled_from([1, 1, batch]))
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    return model, vocab_size, block_size, batch, draw(st.sampled_from(sorted(OPTIMIZERS))), dtype


def _product(factors: list[int]) -> int:
    result = 1
    for factor in factors:
        result *= factor
    return result


@hypothesis.given(networks())
@hypothesis.settings(max_examples=60)
def test_any_sizes(network: tuple[nn.Module, int, int, int, str, torch.dtype]) -> None:
    model, vocab_size, block_size, batch, optimizer, dtype = network
    pair = make_pair(model, vocab_size, block_size, optimizer, dtype)
    steps = 3
    indices = pair.draw(steps, batch)
    expected, losses = pair.stock_losses(indices), pair.losses(indices)
    # Losses are sums of at most 16 * 64 + 520 + 300 products of magnitude a few, 2^-24 or 2^-53 each, which the
    # division by a small standard deviation (two rows under batch norm) may enlarge a thousandfold.
    scale = float(expected.abs().max()) + 1
    bound = (2e-3 if dtype == torch.float32 else 1e-9) * scale
    assert (losses - expected).abs().max() < bound
    if dtype == torch.float64:
        assert max(pair.differences().values()) < 1e-7, pair.differences()
    nn_state = pair.model.state_dict()
    assert all(bool(value.isfinite().all()) for value in nn_state.values())


@pytest.mark.parametrize("batch", [1000, 4999, 5000])
@pytest.mark.parametrize("model", ["mlp", "mlp-batch-norm", "wavenet", "bigram"])
def test_large_batches(model: str, batch: int) -> None:
    net, block_size = MODELS[model]()
    pair = make_pair(net, V, block_size, "momentum")
    indices = pair.draw(3, batch)
    assert (pair.losses(indices) - pair.stock_losses(indices)).abs().max() < 1e-12
    assert max(pair.differences().values()) < 1e-12


@pytest.mark.parametrize("batch", [32, 1024, 3001])
@pytest.mark.parametrize("model", ["mlp", "mlp-batch-norm", "wavenet"])
def test_same_bits_for_any_number_of_threads(
    model: str, batch: int, threads: Callable[[int], AbstractContextManager[None]]
) -> None:
    results = []
    for count in (1, 2, 3, 1):
        net, block_size = MODELS[model]()
        pair = make_pair(net, V, block_size, "adamw", torch.float32)
        with threads(count):
            losses = pair.losses(pair.draw(4, batch))
        results.append([losses, *pair.model.state_dict().values()])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_fused_model_trains_the_same() -> None:
    net, block_size = MODELS["mlp-batch-norm"]()
    pair = make_pair(net, V, block_size)
    fuse(pair.model)
    indices = pair.draw(20, 32)
    assert (pair.losses(indices) - pair.stock_losses(indices)).abs().max() < 1e-12


def test_a_users_own_sequential() -> None:
    net = nn.Sequential(
        nn.Embedding(11, 4), nn.Flatten(), nn.Linear(20, 9, bias=False), nn.BatchNorm1d(9), nn.Tanh(),
        nn.Linear(9, 11, bias=False),
    )  # fmt: skip
    pair = make_pair(_WithLoss(net), 11, 5)
    engine = StepEngine(pair.model.net, pair.optimizer)
    indices = pair.draw(30, 16)
    losses = engine.run(pair.tokens, pair.targets, indices, [pair.rate] * 30)
    assert (losses - pair.stock_losses(indices)).abs().max() < 1e-12


class _WithLoss(nn.Module):
    """Gives (logits, loss), as AutogradSteps wants it."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.net(tokens)
        return logits, nn.functional.cross_entropy(logits, targets)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_engine_and_torch_take_turns(optimizer: str) -> None:
    net, block_size = MODELS["mlp-batch-norm"]()
    pair = make_pair(net, V, block_size, optimizer)
    expected = pair.stock_losses(pair.draw(60, 32))
    first, second, third = pair.draw(60, 32).split(20)
    turn = Pair(pair.model, pair.optimizer, pair.model, pair.optimizer, pair.tokens, pair.targets, pair.rate)
    engine = pair.engine()
    rates = [pair.rate] * 20
    losses = [
        engine.run(pair.tokens, pair.targets, first, rates),
        turn.stock_losses(second),
        engine.run(pair.tokens, pair.targets, third, rates),
    ]
    assert (torch.cat(losses) - expected).abs().max() < 1e-9
    assert max(pair.state_differences().values(), default=0.0) < 1e-9


def test_calls_can_be_cut_anywhere() -> None:
    results = []
    for pieces in ([40], [1, 0, 13, 26]):
        net, block_size = MODELS["wavenet"]()
        pair = make_pair(net, V, block_size, "nesterov", torch.float32)
        engine = pair.engine()
        losses = [
            engine.run(pair.tokens, pair.targets, part, [pair.rate] * len(part))
            for part in pair.draw(40, 32).split(pieces)
        ]
        results.append([torch.cat(losses), *pair.model.state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_changed_examples_are_seen() -> None:
    net, block_size = MODELS["mlp"]()
    pair = make_pair(net, V, block_size)
    engine = pair.engine()
    indices = pair.draw(1, 32)
    engine.run(pair.tokens, pair.targets, indices, [0.0])
    pair.targets.fill_(3)  # in place: the same tensor, other content
    loss = engine.run(pair.tokens, pair.targets, indices, [0.0])
    assert (loss - pair.stock_losses(indices)).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tokens": torch.full((3000, 3), V)}, IndexError, "tokens: got 27, expected 0 to 26"),
        ({"targets": torch.full((3000,), -1)}, IndexError, "targets: got -1, expected 0 to 26"),
        # If these values were cut to 32 bits or to whole numbers, they would be 5, 1 and 0.
        (
            {"tokens": torch.full((3000, 3), 2**32 + 5)},
            IndexError,
            r"tokens: got 4294967301, expected 0 to 26",
        ),
        (
            {"targets": torch.full((3000,), 1 - 2**33)},
            IndexError,
            r"targets: got -8589934591, expected 0 to 26",
        ),
        (
            {"tokens": torch.full((3000, 3), 1.5)},
            TypeError,
            "tokens must be integers, but has dtype torch.float32",
        ),
        ({"indices": torch.full((1, 2), 0.5)}, TypeError, "indices must be integers"),
        ({"targets": torch.zeros(3000, dtype=torch.bool)}, TypeError, "targets must be integers"),
        ({"tokens": [[1, 2, 3]]}, TypeError, "tokens must be a tensor of integers, but got list"),
        (
            {"tokens": torch.ones(3000, 3, dtype=torch.int64).to_sparse()},
            TypeError,
            "tokens must be a dense tensor",
        ),
        (
            {"targets": torch.zeros(3000, dtype=torch.int64, device="meta")},
            ValueError,
            "targets must be on the CPU",
        ),
        ({"indices": torch.tensor([[3000, 0]])}, IndexError, "indices: got 3000, expected 0 to 2999"),
        ({"indices": torch.tensor([0, 1])}, ValueError, r"indices must be \(K, B\)"),
        ({"indices": torch.zeros(1, 0, dtype=torch.int64)}, ValueError, "a batch of 0"),
        ({"indices": torch.zeros(1, 1, dtype=torch.int64)}, ValueError, "more than 1 value per channel"),
        ({"targets": torch.zeros(7, dtype=torch.int64)}, ValueError, "targets: got 7 for 3000 examples"),
        ({"tokens": torch.zeros(3000, 2, dtype=torch.int64)}, ValueError, r"tokens must be \(n, 3\)"),
        ({"learning_rates": [0.1, 0.2]}, ValueError, r"learning_rates \(K,\)"),
    ],
)
def test_bad_arguments_are_named_and_change_nothing(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    net, block_size = MODELS["mlp-batch-norm"]()
    pair = make_pair(net, V, block_size)
    before = {name: value.clone() for name, value in pair.model.state_dict().items()}
    arguments = {
        "tokens": pair.tokens,
        "targets": pair.targets,
        "indices": pair.draw(1, 2),
        "learning_rates": [0.1],
    }
    with pytest.raises(error, match=message):
        pair.engine().run(**(arguments | change))
    assert all(torch.equal(value, before[name]) for name, value in pair.model.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_good_parameters_after_a_step_that_spoilt_them(optimizer: str) -> None:
    # Nothing of the step may stay in the engine, not even where its rows are wider than a parameter's.
    pair = make_pair(MLP(V, embedding_dim=3, hidden_size=9, num_hidden_layers=2), V, 3, optimizer)
    engine, indices = pair.engine(), pair.draw(2, 8)
    engine.run(pair.tokens, pair.targets, indices, [float("nan"), 0.1])
    assert not any(p.isfinite().all() for p in pair.model.parameters())
    pair.model.load_state_dict(pair.stock.state_dict())
    pair.optimizer.load_state_dict(pair.stock_optimizer.state_dict())
    engine.run(pair.tokens, pair.targets, indices, [0.1, 0.1])
    fresh = StepEngine(pair.stock, pair.stock_optimizer)
    fresh.run(pair.tokens, pair.targets, indices, [0.1, 0.1])
    assert all(map(torch.equal, pair.model.state_dict().values(), pair.stock.state_dict().values()))


def test_ctrl_c_is_honoured_and_what_was_done_is_kept() -> None:
    net, block_size = MODELS["wavenet"]()
    pair = make_pair(net, V, block_size, dtype=torch.float32)
    engine = pair.engine()
    indices = pair.draw(1, 32).expand(200_000, 32)  # these steps take at least a minute
    sent: list[float] = []

    def interrupt() -> None:
        time.sleep(0.3)
        sent.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        engine.run(pair.tokens, pair.targets, indices, [0.0001] * len(indices))
    waited = time.perf_counter() - sent[0]
    thread.join()
    # The engine looks for Ctrl-C every 20 ms. The bound leaves room for a machine that is busy with something else.
    assert waited < 1.0
    tracked = [
        layer.num_batches_tracked for layer in pair.model.modules() if isinstance(layer, nn.BatchNorm1d)
    ]
    assert 0 < int(tracked[0]) < len(indices)
    assert max(pair.differences().values()) > 0


def test_the_gil_is_released() -> None:
    net, block_size = MODELS["wavenet"]()
    pair = make_pair(net, V, block_size, dtype=torch.float32)
    engine = pair.engine()
    ticks = 0
    done = threading.Event()

    def count() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    thread = threading.Thread(target=count)
    thread.start()
    began = time.perf_counter()
    while time.perf_counter() - began < 0.5:
        engine.run(pair.tokens, pair.targets, pair.draw(100, 32), [0.01] * 100)
    done.set()
    thread.join()
    assert ticks > 20  # a thread that never gets the lock counts a few


def test_a_loss_that_is_not_finite_is_told() -> None:
    net, block_size = MODELS["mlp"]()
    pair = make_pair(net, V, block_size, dtype=torch.float32)
    with torch.no_grad():
        next(pair.model.parameters()).fill_(float("nan"))
    assert pair.losses(pair.draw(2, 8)).isnan().all()


@pytest.mark.parametrize("model", MODELS)
def test_evaluation_is_that_of_torch(model: str) -> None:
    net, block_size = MODELS[model]()
    pair = make_pair(net, V, block_size)
    pair.losses(pair.draw(20, 32))  # moves the statistics away from their initial values
    engine = StepEngine(pair.model, build_optimizer("sgd", pair.model.parameters(), learning_rate=0.1))
    expected = evaluate(pair.model, pair.tokens, pair.targets)
    assert engine.evaluate(pair.tokens, pair.targets) == pytest.approx(expected, abs=1e-12)
    assert engine.evaluate(pair.tokens[:0], pair.targets[:0]) is None


@pytest.mark.parametrize("hidden_size", [16, 20])
def test_adamw_without_eps(hidden_size: int) -> None:
    """In the lanes of a row beyond its last column, AdamW computes 0 / 0. That must not show in any result."""
    contexts = torch.cartesian_prod(torch.arange(3), torch.arange(3))  # (9, 2): no gradient is 0
    targets = torch.arange(9) % 3
    indices = torch.arange(9).expand(4, 9)
    nets = [
        MLP(3, 2, 4, hidden_size, batch_norm=False, generator=torch.Generator().manual_seed(1)).double()
        for _ in range(2)
    ]
    optimizers = [torch.optim.AdamW(net.parameters(), 0.01, eps=0.0) for net in nets]
    losses = StepEngine(nets[0], optimizers[0]).run(contexts, targets, indices, [0.01] * 4)
    for found in losses:
        optimizers[1].zero_grad()
        _, loss = nets[1](contexts, targets)
        loss.backward()
        optimizers[1].step()
        assert float(found) == pytest.approx(float(loss.detach()), rel=1e-9)


@pytest.mark.parametrize("hidden_size", [16, 20])
def test_an_engine_recovers_from_a_step_that_was_not_finite(hidden_size: int) -> None:
    net = MLP(V, 3, 10, hidden_size, generator=generator())
    good = copy.deepcopy(net.state_dict())
    engine = StepEngine(net, torch.optim.SGD(net.parameters(), 0.1))
    tokens = torch.randint(V, (50, 3), generator=generator())
    targets, indices = tokens[:, 0], torch.arange(50).expand(2, 50)
    engine.run(tokens, targets, indices, [float("inf")] * 2)
    net.load_state_dict(good)
    engine.run(tokens, targets, indices, [0.1] * 2)
    found = engine.evaluate(tokens, targets)
    net.eval()
    with torch.no_grad():
        _, expected = net(tokens, targets)
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_a_batch_norm_without_eps_is_refused() -> None:
    net = MLP(V, generator=generator())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eps = 0.0
    with pytest.raises(UnsupportedModelError, match=r"eps 0\.0, which must be positive"):
        StepEngine(net, torch.optim.SGD(net.parameters(), 0.1))
