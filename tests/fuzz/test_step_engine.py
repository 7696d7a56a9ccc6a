"""_core.StepEngine, which takes raw buffers: any arrays end in what right ones give, or in one clear exception.

Run under AddressSanitizer too (tests/sanitize_extension.sh), where a step beyond an array ends the process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spoiled_arrays import EXTREMES, SPOILS, spoil
from spoiled_tensors import attempt

from namegen_ext._native.core import _core

V, BLOCK, EMBED, EXAMPLES = 7, 4, 3, 11
SGD = {
    "adamw": False,
    "weight_decay": 0.01,
    "momentum": 0.0,
    "nesterov": False,
    "beta1": 0.9,
    "beta2": 0.99,
    "eps": 1e-8,
    "most_norm": 0.0,
    "averages": False,
}
OPTIMIZERS = {"sgd": (SGD, 1), "momentum": (SGD | {"momentum": 0.9}, 2), "adamw": (SGD | {"adamw": True}, 3)}


def level(group: int, size: int, **other: Any) -> dict[str, Any]:
    fields = {"bias": True, "batch_norm": False, "unbiased": False, "eps": 1e-5, "momentum": 0.1}
    return {"group": group, "size": size, **fields, **other}


NETWORKS: dict[str, list[dict[str, Any]]] = {
    "perceptron": [level(4, 9)],
    "tree": [level(2, 5, batch_norm=True, bias=False), level(2, 6, batch_norm=True, unbiased=True)],
}


def build(network: str = "perceptron", float64: bool = False, **change: Any) -> Any:
    arguments: dict[str, Any] = {
        "vocab": V,
        "block": BLOCK,
        "embed": EMBED,
        "levels": NETWORKS[network],
        "output_bias": True,
        "optimizer": SGD,
        "float64": float64,
    }
    return _core.StepEngine(**(arguments | change))


def fill(engine: Any, float64: bool) -> None:
    g = np.random.default_rng(0)
    for number, (rows, columns) in enumerate(engine.parameter_shapes()):
        engine.take(number, 0, g.normal(size=rows * columns).astype(np.float64 if float64 else np.float32))


def parameters(engine: Any, float64: bool) -> list[np.ndarray]:
    found = []
    for number, (rows, columns) in enumerate(engine.parameter_shapes()):
        found.append(np.empty((rows, columns), np.float64 if float64 else np.float32))
        engine.give(number, 0, found[-1])
    return found


def steps(count: int = 2, batch: int = 3) -> dict[str, Any]:
    g = np.random.default_rng(1)
    return {
        "tokens": g.integers(0, V, (EXAMPLES, BLOCK)).astype(np.int32),
        "targets": g.integers(0, V, EXAMPLES).astype(np.int32),
        "indices": g.integers(0, EXAMPLES, (count, batch)),
        "learning_rates": np.full(count, 0.1),
        "losses": np.zeros(count),
    }


def run(engine: Any, tokens: Any, targets: Any, **others: Any) -> None:
    engine.set_examples(tokens=tokens, targets=targets)
    engine.run(**others)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("float64", [False, True])
def test_run_with_any_arrays(network: str, float64: bool) -> None:
    engine = build(network, float64=float64)
    refused = []

    @given(st.data())
    @settings(max_examples=2 * settings().max_examples)
    def check(data: st.DataObject) -> None:
        fill(engine, float64)
        arguments = steps(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 5)))
        for name in data.draw(
            st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True)
        ):
            arguments[name] = spoil(data.draw, arguments[name], data.draw(st.sampled_from(SPOILS)))
        before = parameters(engine, float64)
        _, error = attempt(lambda: run(engine, **arguments), (*arguments, "not writeable"))
        if error is None:
            assert engine.steps_done == len(arguments["losses"])
            return
        refused.append(1)
        if not isinstance(error, TypeError):  # a TypeError is raised before the engine is called
            assert engine.steps_done == 0
        for old, new in zip(before, parameters(engine, float64), strict=True):
            np.testing.assert_array_equal(old, new)

    check()
    assert len(refused) > 50, "hardly a call was refused: nothing was tested"
    # The engine then goes on as a new one does.
    results = []
    for one in (engine, build(network, float64=float64)):
        fill(one, float64)
        one.set_updates(0)
        for number, part in enumerate(NETWORKS[network]):
            if part["batch_norm"]:
                ones = np.ones(part["size"], np.float64 if float64 else np.float32)
                one.take_statistics(number, ones, ones)
        arguments = steps()
        run(one, **arguments)
        results.append([arguments["losses"], *parameters(one, float64)])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)


@given(st.data())
def test_take_give_and_logits_with_any_arrays(data: st.DataObject) -> None:
    optimizer = data.draw(st.sampled_from(sorted(OPTIMIZERS)))
    engine = build("tree", optimizer=OPTIMIZERS[optimizer][0])
    fill(engine, False)
    number = data.draw(st.integers(0, len(engine.parameter_shapes()) - 1))
    rows, columns = engine.parameter_shapes()[number]
    array = np.zeros((rows, columns), np.float32)
    slot = data.draw(st.integers(0, OPTIMIZERS[optimizer][1] - 1))
    call = data.draw(
        st.sampled_from(["take", "give", "take_statistics", "give_statistics", "logits", "set_updates"])
    )
    arguments: list[Any] = {
        "take": [number, slot, array],
        "give": [number, slot, array],
        "take_statistics": [1, np.zeros(6, np.float32), np.ones(6, np.float32)],
        "give_statistics": [1, np.zeros(6, np.float32), np.ones(6, np.float32)],
        "logits": [np.zeros((5, BLOCK), np.int32), np.zeros((5, V), np.float32)],
        "set_updates": [3],
    }[call]
    getattr(engine, call)(*arguments)  # the unchanged arguments work
    position = data.draw(st.integers(0, len(arguments) - 1))
    if isinstance(arguments[position], int):
        arguments[position] = data.draw(st.sampled_from(EXTREMES))
    else:
        arguments[position] = spoil(data.draw, arguments[position], data.draw(st.sampled_from(SPOILS)))
    words = (
        "array",
        "slot",
        "parameter",
        "level",
        "tokens",
        "logits",
        "mean",
        "var",
        "updates",
        "not writeable",
    )
    attempt(lambda: getattr(engine, call)(*arguments), words)


@pytest.mark.parametrize(("optimizer", "slots"), OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("slot", [-1, 1, 2, 3, 7, 2**40, -(2**40)])
def test_slots_that_there_are_not(optimizer: dict[str, Any], slots: int, slot: int) -> None:
    engine = build(optimizer=optimizer)
    array = np.zeros((V, EMBED), np.float32)
    if 0 <= slot < slots:
        engine.take(0, slot, array)
        return
    for call in (engine.take, engine.give):
        with pytest.raises(ValueError, match=rf"slot: got {slot}, expected 0 to {slots - 1}"):
            call(0, slot, array)


def test_losses_that_lie_in_what_is_read() -> None:
    """If losses were written over indices that had been checked, the indices would lead out of the examples."""
    engine = build()
    for name in ("indices", "learning_rates"):
        fill(engine, False)
        arguments = steps(count=2, batch=1)
        memory = np.zeros(64)
        array = arguments[name]
        arguments[name] = memory.view(array.dtype)[: array.size].reshape(array.shape)
        arguments["losses"] = memory[:2]
        with pytest.raises(ValueError, match=f"losses must share no memory with {name}"):
            run(engine, **arguments)
    result = np.zeros((20, V), np.float32)
    tokens = result.reshape(-1)[: 20 * BLOCK].view(np.int32).reshape(20, BLOCK)
    with pytest.raises(ValueError, match="logits must share no memory with tokens"):
        engine.logits(tokens, result)


@given(st.data())
@settings(max_examples=2 * settings().max_examples)
def test_networks_of_any_sizes(data: st.DataObject) -> None:
    """Sizes, whose products may pass 2^64, and settings."""
    number = st.sampled_from([*EXTREMES, 2, 3, 2**16, 2**32, 2**33, 1.5, float("nan"), None, "4"])
    levels: list[Any] = [dict(part) for part in NETWORKS[data.draw(st.sampled_from(sorted(NETWORKS)))]]
    change: dict[str, Any] = {"levels": levels}
    for name in data.draw(
        st.lists(st.sampled_from(["vocab", "block", "embed", "group", "size", "level"]), min_size=1)
    ):
        part = data.draw(st.integers(0, len(levels) - 1))
        if name == "level":
            levels[part] = data.draw(st.sampled_from([None, {}, [], 3, levels[0]]))
        elif name in ("vocab", "block", "embed"):
            change[name] = data.draw(number)
        elif isinstance(levels[part], dict):
            levels[part] |= {name: data.draw(number)}
    words = (
        "vocab",
        "block",
        "embed",
        "levels",
        "group",
        "size",
        "bias",
        "cast",
    )  # a missing one is a KeyError
    engine, error = attempt(lambda: build(**change), words)
    if error is not None:
        return
    assert sum(rows * columns for rows, columns in engine.parameter_shapes()) < 2**34


def test_memory_that_cannot_be_had_leaves_an_engine_that_works() -> None:
    hidden, block, batch = (
        2**18,
        20,
        2**20,
    )  # whose products, 2^38 numbers of 4 bytes, no machine has room for
    engine = build(vocab=2, block=block, embed=1, levels=[level(block, hidden)])
    numbers = np.arange(batch)
    distinct = {  # equal contexts would be computed once
        "tokens": ((numbers[:, None] >> np.arange(block)) & 1).astype(np.int32),
        "targets": np.zeros(batch, np.int32),
        "indices": numbers[None, :],
        "learning_rates": np.zeros(1),
    }
    small = {
        "tokens": np.zeros((1, block), np.int32),
        "targets": np.zeros(1, np.int32),
        "indices": np.zeros((1, 2), np.int64),
        "learning_rates": np.zeros(1),
    }
    before, after = np.zeros(1), np.zeros(1)
    run(engine, **small, losses=before)
    with pytest.raises(MemoryError):
        run(engine, **distinct, losses=after)
    assert engine.steps_done == 0
    run(engine, **small, losses=after)
    assert after == before == pytest.approx(np.log(2))  # all parameters are 0
