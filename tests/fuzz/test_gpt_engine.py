"""_core.GptEngine, which takes raw buffers: any arrays end in what right ones give, or in one clear exception.

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

V, BLOCK, EXAMPLES = 7, 4, 11
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
ADAMW = SGD | {"adamw": True}
PARTS = {"norm": "layer", "activation": "gelu", "biases": True, "final_norm": True, "embedding_norm": False}
SIZES = {"vocab": V, "block": BLOCK, "embed": 6, "layers": 2, "heads": 2, "hidden": 5}


def build(float64: bool = False, **change: Any) -> Any:
    arguments = {**SIZES, **PARTS, "tied": False, "eps": 1e-5, "optimizer": SGD, "float64": float64}
    return _core.GptEngine(**(arguments | change))


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
        "targets": g.integers(-1, V, (EXAMPLES, BLOCK)).astype(np.int32),
        "indices": g.integers(0, EXAMPLES, (count, batch)),
        "learning_rates": np.full(count, 0.1),
        "losses": np.zeros(count),
    }


def run(engine: Any, tokens: Any, targets: Any, **others: Any) -> None:
    engine.set_examples(tokens=tokens, targets=targets)
    engine.run(**others)


@pytest.mark.parametrize("float64", [False, True])
def test_run_with_any_arrays(float64: bool) -> None:
    engine = build(float64)
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
        if not isinstance(error, TypeError):  # before which nothing is called
            assert engine.steps_done == 0
        for old, new in zip(before, parameters(engine, float64), strict=True):
            np.testing.assert_array_equal(old, new)

    check()
    assert len(refused) > 50, "hardly a call was refused: nothing was tested"
    # And it goes on as a new one does.
    results = []
    for one in (engine, build(float64)):
        fill(one, float64)
        one.set_updates(0)
        arguments = steps()
        run(one, **arguments)
        results.append([arguments["losses"], *parameters(one, float64)])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)


@given(st.data())
def test_take_give_and_losses_with_any_arrays(data: st.DataObject) -> None:
    engine = build(optimizer=ADAMW)
    fill(engine, False)
    number = data.draw(st.integers(0, len(engine.parameter_shapes()) - 1))
    array = np.zeros(engine.parameter_shapes()[number], np.float32)
    examples = steps()
    calls: dict[str, list[Any]] = {
        "take": [number, data.draw(st.integers(0, 2)), array],
        "give": [number, data.draw(st.integers(0, 2)), array],
        "sum_of_losses": [examples["tokens"], examples["targets"]],
        "set_updates": [3],
    }
    call = data.draw(st.sampled_from(sorted(calls)))
    arguments = calls[call]
    getattr(engine, call)(*arguments)  # as they are they do
    position = data.draw(st.integers(0, len(arguments) - 1))
    if isinstance(arguments[position], int):
        arguments[position] = data.draw(st.sampled_from(EXTREMES))
    else:
        arguments[position] = spoil(data.draw, arguments[position], data.draw(st.sampled_from(SPOILS)))
    words = ("array", "slot", "parameter", "tokens", "targets", "updates", "not writeable")
    attempt(lambda: getattr(engine, call)(*arguments), words)


def test_losses_that_lie_in_what_is_read() -> None:
    """Losses written over indices that were found good would lead out of the examples."""
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


@given(st.data())
@settings(max_examples=2 * settings().max_examples)
def test_networks_of_any_sizes(data: st.DataObject) -> None:
    """Sizes, whose products may pass 2^64."""
    number = st.sampled_from([*EXTREMES, 2, 3, 2**16, 2**32, 2**33, 1.5, float("nan"), None, "4"])
    change = {
        name: data.draw(number) for name in data.draw(st.lists(st.sampled_from(sorted(SIZES)), min_size=1))
    }
    engine, error = attempt(lambda: build(**change), (*SIZES, "cast"))
    if error is not None:
        return
    assert sum(rows * columns for rows, columns in engine.parameter_shapes()) < 2**34


def test_memory_that_cannot_be_had_leaves_an_engine_that_works() -> None:
    engine = build()
    fill(engine, False)
    arguments = steps()
    run(engine, **arguments)
    before = parameters(engine, False)
    with pytest.raises(MemoryError):
        build(vocab=2**19, embed=2**18)  # 2^38 numbers of 4 bytes
    for old, new in zip(before, parameters(engine, False), strict=True):
        np.testing.assert_array_equal(old, new)
