"""Several Python threads at once: each gets, to the bit, what it would have got alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from work import at_once, engine_training, layer_training, make_model, op_calls, parameters, same_bits

import namegen_ext
from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.engine import StepEngine
from namegen_ext.generator import Generator
from namegen_ext.models import MLP
from namegen_ext.sampling import iter_names
from namegen_ext.sampling.sampler import NameSampler

Threads = Callable[[int], AbstractContextManager[None]]
CALLERS = 4
LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")


@contextmanager
def changing_number_of_threads() -> Iterator[None]:
    """Another thread that calls torch.set_num_threads all the time."""
    before = torch.get_num_threads()
    done = threading.Event()

    def change() -> None:
        number = 0
        while not done.wait(0.001):
            number += 1
            torch.set_num_threads(number % 4 + 1)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        torch.set_num_threads(before)


@pytest.mark.parametrize("torch_threads", [1, 2])
@pytest.mark.parametrize("work", [op_calls, engine_training])
def test_operators_and_engines(work: Callable[[int], Any], torch_threads: int, threads: Threads) -> None:
    with threads(1):
        expected = [work(seed) for seed in range(CALLERS)]
    assert not same_bits(expected[0], expected[1]), "the callers' work must differ"
    with threads(torch_threads):
        results = at_once([lambda seed=seed: work(seed) for seed in range(CALLERS)])  # type: ignore[misc]
    for got, alone in zip(results, expected, strict=True):
        assert same_bits(got, alone)


def test_fused_layers() -> None:
    expected = [layer_training(seed) for seed in range(CALLERS)]
    results = at_once([lambda seed=seed: layer_training(seed) for seed in range(CALLERS)])  # type: ignore[misc]
    for got, alone in zip(results, expected, strict=True):
        assert same_bits(got, alone)


@pytest.mark.parametrize("work", [op_calls, engine_training])
def test_set_num_threads_in_mid_run(work: Callable[[], Any]) -> None:
    expected = work()
    with changing_number_of_threads():
        for _ in range(3):
            assert same_bits(work(), expected)
            assert all(same_bits(got, expected) for got in at_once([work, work]))


def test_one_engine_serves_one_thread_and_refuses_another() -> None:
    model, tokens, targets = make_model("wavenet", 0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    engine = StepEngine(model, optimizer)
    indices = torch.randint(300, (400, 32), generator=torch.Generator().manual_seed(0))
    alone_model, _, _ = make_model("wavenet", 0)
    alone = StepEngine(alone_model, torch.optim.SGD(alone_model.parameters(), 0.1))
    refused: list[str] = []
    begun = threading.Event()

    def train() -> torch.Tensor:
        begun.set()
        return engine.run(tokens, targets, indices, [0.1] * 400)

    def disturb() -> torch.Tensor:
        begun.wait(30)
        time.sleep(0.02)
        for call in (
            lambda: engine.run(tokens, targets, indices, [0.1] * 400),
            lambda: engine.logits(tokens),
            lambda: engine.evaluate(tokens, targets),
            lambda: engine._native.set_updates(0),
            lambda: engine._native.give(0, 0, torch.zeros(27, 24).numpy()),
        ):
            with pytest.raises(RuntimeError, match="in use") as raised:
                call()
            refused.append(str(raised.value))
        return torch.zeros(0)

    losses, _ = at_once([train, disturb])
    assert len(refused) == 5
    assert same_bits([losses], [alone.run(tokens, targets, indices, [0.1] * 400)])
    assert same_bits(parameters(model), parameters(alone_model))
    engine.logits(tokens)  # the engine can be used again


@pytest.fixture(scope="module")
def generator() -> Generator:
    names = ["anna", "emma", "olivia", "ava", "mia", "ella", "nora", "luna", "eva", "iris"] * 3
    return namegen_ext.fit(names, steps=50, block_size=2, hidden_size=16, embedding_dim=4, seed=1)


def test_generator_sample(generator: Generator) -> None:
    options: list[dict[str, Any]] = [
        {"n": 3000, "seed": 1},  # from a table
        {"n": 20, "seed": 2},  # from the network
        {"n": 300, "seed": 3, "novel": True, "unique": True},
        {"n": 500, "seed": 4, "temperature": 0.7, "prefix": "a", "top_k": 4},
    ]
    expected = [generator.sample(**o) for o in options]
    results = at_once([lambda o=o: generator.sample(**o) for o in options * 2])  # type: ignore[misc]
    assert results == expected * 2


@pytest.mark.parametrize("method", ["table", "direct"])
def test_one_sampler_in_several_threads(method: Any) -> None:
    """A sampler's scratch memory serves one call at a time: the others must not write into it."""
    model = MLP(27, block_size=2, hidden_size=16, generator=torch.Generator().manual_seed(0))
    sampler = NameSampler(model, LETTERS, 10_000, method=method)
    assert sampler.native is not None
    expected = [sampler.draw(seed, 0, 20_000) for seed in range(CALLERS)]
    results = at_once([lambda seed=seed: sampler.draw(seed, 0, 20_000) for seed in range(CALLERS)])  # type: ignore[misc]
    assert results == expected


def test_streams_with_threads_of_their_own() -> None:
    model = MLP(27, block_size=2, hidden_size=16, generator=torch.Generator().manual_seed(0))

    def draw(seed: int) -> list[str]:
        return iter_names(model, LETTERS, 8000, seed=seed, threads=3, method="direct").to_list()

    expected = [draw(seed) for seed in range(3)]
    assert at_once([lambda seed=seed: draw(seed) for seed in range(3)]) == expected  # type: ignore[misc]


def test_one_native_stream_refuses_a_second_thread() -> None:
    table = _core.sampling.ContextTable(2, 1)
    table.set_rows(0, [[0.01, 1.0]] * 3)
    sampler = _core.sampling.table_sampler(table, [b"", b"a"], [], 200)
    stream = _core.sampling.NameStream(sampler, 600_000, 1, b"", False, False, False, 1, 600_000, 1)
    begun = threading.Event()

    def draw() -> int:
        begun.set()
        return stream.next().count(b"\n")

    def disturb() -> int:
        begun.wait(30)
        time.sleep(0.05)
        for call in (stream.next, lambda: stream.counts, lambda: stream.ended):
            with pytest.raises(RuntimeError, match="the stream of names is in use"):
                call()
        return 0

    assert at_once([draw, disturb]) == [600_000, 0]
    assert stream.ended
