"""_core.sampling, which takes raw buffers: any arguments end in names, or in one clear exception.

Run under AddressSanitizer too (tests/sanitize_extension.sh), where a step beyond an array ends the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spoiled_tensors import attempt

from namegen_ext._native.core import _core

S = _core.sampling
V, BLOCK, DIM = 5, 2, 3
LETTERS = [b"", b"a", b"b", "é".encode(), b"d"]
EXTREMES = (0, 1, -1, 2**31 - 1, 2**31, 2**32, -(2**31), 2**62, 2**63 - 1, -(2**63), 2**64 - 1)
# The sampler does whatever it is asked for, so these leave out the numbers that ask for too much work for a test.
COUNTS = (0, 1, -1, 7, -(2**31), -(2**63), 2**63, 2**64 - 1, 2**70)

Draw = Callable[[st.SearchStrategy[Any]], Any]


def floats(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def table() -> Any:
    made = S.ContextTable(V, BLOCK)
    made.set_rows(0, np.tile(np.array([0.3, 0.5, 0.7, 0.9, 1.0]), (made.num_rows, 1)))
    return made


def level(factor: int = BLOCK, inputs: int = DIM, out: int = V, tanh: bool = False) -> Any:
    return S.Level(factor, floats((out, factor * inputs)), floats((out,)), tanh)


def network() -> Any:
    return S.Network(floats((V, DIM)), [level()])


def sampler(prefix: list[int] | None = None, max_steps: int = 9) -> Any:
    return S.table_sampler(table(), LETTERS, prefix or [], max_steps)


def folded_stream(**arguments: Any) -> Any:
    stream = S.NameStream(sampler(), 30, 3, b"a\nab\n", True, False, False, 50, 16, 1)
    stream.fold(**arguments)
    return stream


GPT = {
    "vocab": V,
    "block": 3,
    "embed": 4,
    "layers": 1,
    "heads": 2,
    "hidden": 6,
    "tied": False,
    "eps": 1e-5,
    "norm": "layer",
    "activation": "gelu",
    "biases": True,
    "final_norm": True,
    "embedding_norm": False,
}
GPT_SHAPES = [
    (V, 4),
    (3, 4),
    (4,),
    (4,),
    (12, 4),
    (12,),
    (4, 4),
    (4,),
    (4,),
    (4,),
    (6, 4),
    (6,),
    (4, 6),
    (4,),
]


def gpt(network: Any, parameters: Any, float64: Any) -> Any:
    """Make a GPT and ask it."""
    return S.Gpt(network, parameters, float64).logits(np.array([[0, 1, 2], [4, 3, 1]]))


NEXT = np.array([[-1, 1, 0, 0, 0], [-1, 1, 0, 2, 0], [-1, 2, 2, -1, 2]], np.int32)


def automaton() -> Any:
    return S.Automaton(NEXT, np.array([0, 1, 1], np.int32))


def acyclic() -> Any:
    """Names of one or two letters that end with the first one."""
    return S.Automaton(
        np.array([[-1, 1, 2, 2, 2], [-1, 3, -1, -1, -1], [-1, 3, -1, -1, -1], [-1] * V], np.int32),
        np.array([0, 1, 0, 1], np.int32),
    )


def context_set() -> Any:
    return S.reach_contexts(network(), 1.0, V, [], 1000)


def beginnings() -> Any:
    return S.follow_beginnings(network(), 0.8, 3, automaton(), [], 8, 10)


CALLS: dict[str, tuple[Callable[..., Any], Callable[[], dict[str, Any]]]] = {
    "ContextTable": (S.ContextTable, lambda: {"vocab_size": V, "block_size": BLOCK}),
    "set_rows": (
        lambda **a: table().set_rows(**a),
        lambda: {"first": 1, "cumulative": np.array([[0.1, 0.2, 0.3, 0.4, 1.0]])},
    ),
    "Level": (
        S.Level,
        lambda: {"factor": 2, "weight": floats((4, 6)), "bias": floats((4,)), "tanh": True},
    ),
    "Network": (S.Network, lambda: {"embedding": floats((V, DIM)), "levels": [level()]}),
    "Gpt": (
        gpt,
        lambda: {
            "network": GPT,
            "parameters": [floats(shape) for shape in [*GPT_SHAPES, (4,), (4,), (V, 4)]],
            "float64": False,
        },
    ),
    "logits": (lambda **a: network().logits(**a), lambda: {"tokens": np.array([[0, 4], [3, 1]])}),
    "table_sampler": (
        S.table_sampler,
        lambda: {"table": table(), "encodings": LETTERS, "prefix": [1, 2, 1], "max_steps": 9},
    ),
    "direct_sampler": (
        S.direct_sampler,
        lambda: {
            "network": network(),
            "temperature": 0.8,
            "top_k": 3,
            "encodings": LETTERS,
            "prefix": [4],
            "max_steps": 9,
        },
    ),
    "Automaton": (S.Automaton, lambda: {"next": NEXT, "accepted": np.array([0, 1, 1], np.int32)}),
    "reach_contexts": (
        S.reach_contexts,
        lambda: {"network": network(), "temperature": 1.0, "top_k": V, "prefix": [1], "most": 1000},
    ),
    "messages": (S.messages, lambda: {"contexts": context_set(), "automaton": acyclic()}),
    "follow_beginnings": (
        S.follow_beginnings,
        lambda: {
            "network": network(),
            "temperature": 0.8,
            "top_k": 3,
            "automaton": automaton(),
            "prefix": [1, 2],
            "letters": 8,
            "most": 10,
        },
    ),
    "message_sampler": (
        S.message_sampler,
        lambda: {
            "messages": S.messages(context_set(), acyclic()),
            "encodings": LETTERS,
            "prefix": [1, 2],
            "max_steps": 9,
        },
    ),
    "rejection_sampler": (
        S.rejection_sampler,
        lambda: {
            "network": network(),
            "temperature": 0.8,
            "top_k": 3,
            "automaton": automaton(),
            "beginnings": beginnings(),
            "encodings": LETTERS,
            "prefix": [1, 2],
            "max_steps": 9,
            "letters": 8,
            "tries": 50,
            "writes_rejected": True,
        },
    ),
    "draw": (lambda **a: sampler().draw(**a), lambda: {"seed": 3, "first": 0, "count": 20}),
    "NameStream": (
        S.NameStream,
        lambda: {
            "sampler": sampler(),
            "names": 30,
            "seed": 3,
            "training_names": b"a\nab\n",
            "novel": True,
            "unique": False,
            "count_distinct": True,
            "patience": 50,
            "batch_size": 16,
            "threads": 2,
        },
    ),
    "fold": (
        folded_stream,
        lambda: {"characters": [65, 97, 769], "folded": [97, 97, 769], "combining_classes": [0, 0, 230]},
    ),
}


def spoil(draw: Draw, value: Any) -> Any:
    """Return another value of the same kind or of another kind."""
    if draw(st.integers(0, 3)) == 0:
        return draw(
            st.sampled_from([None, "abc", b"a", [], [None], {}, 1.5, -1, np.zeros((2, 2)), np.zeros(0)])
        )
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return draw(st.sampled_from(EXTREMES))
    if isinstance(value, float):
        return draw(st.sampled_from([0.0, -1.0, 1e-300, 1e300, 5e-324, float("nan"), float("inf")]))
    if isinstance(value, bytes):
        return draw(
            st.sampled_from([b"", b"\n", b"\n\n\n", b"a", b"a\nb", b"\0\n", b"x" * 100 + b"\n", b"\xff\n"])
        )
    if isinstance(value, np.ndarray):
        how = draw(st.sampled_from(["shape", "number", "dtype", "strided", "huge"]))
        if how == "shape":
            shapes = [(), (0,), (1,), (0, V), (1, 0), (2, V), (V, 0), (4, 7), (9, 2), (V, V), (1, 2, 3)]
            return np.zeros(draw(st.sampled_from(shapes)), value.dtype)
        if how == "dtype":
            kinds = (np.float64, np.float16, np.int8, np.uint64, np.int32, object, "S3")
            return value.astype(draw(st.sampled_from(kinds)))
        if how == "strided":
            return np.repeat(value, 3, axis=0)[::3]
        if how == "huge":
            return np.lib.stride_tricks.as_strided(value, (2**45, *value.shape[1:]), (0,) * value.ndim)
        value = value.copy()
        numbers = (
            [np.nan, np.inf, -np.inf, -0.5, 2.0]
            if value.dtype.kind == "f"
            else [-1, 5, 2**31 - 1, np.iinfo(value.dtype).min]
        )
        value.flat[draw(st.integers(0, value.size - 1))] = draw(st.sampled_from(numbers))
        return value
    if isinstance(value, dict):
        name = draw(st.sampled_from(sorted(value)))
        return value | {name: spoil(draw, value[name])}
    if isinstance(value, str):
        return draw(st.sampled_from(["", "rms", "relu", "abc", "名"]))
    if isinstance(value, list):
        value = list(value)
        if isinstance(value[0], np.ndarray) and draw(st.booleans()):
            place = draw(st.integers(0, len(value) - 1))
            value[place] = spoil(draw, value[place])
            return value
        what = draw(st.sampled_from(["cut", "longer", "other"]))
        if what == "cut":
            return value[: draw(st.integers(0, len(value)))]
        if what == "longer":
            return value * draw(st.integers(2, 50))
        others = [
            0,
            -1,
            V,
            2**31 - 1,
            2**40,
            b"",
            b"\n",
            b"ab\n",
            "名",
            b"\0",
            None,
            level(),
            level(3),
            level(2, 3, 4),
        ]
        value[draw(st.integers(0, len(value) - 1))] = draw(st.sampled_from(others))
        return value
    others = [table(), network(), sampler(), level(), automaton(), acyclic(), context_set(), beginnings()]
    return draw(st.sampled_from(others))


def use(result: Any) -> None:
    """Use a sampler, stream or network, so that a wrong argument shows that was accepted."""
    if isinstance(result, S.Sampler):
        text, too_few = result.draw(1, 0, 50)
        assert text.count(b"\n") == 50 or too_few is not None
    elif isinstance(result, S.Network) and result.vocab_size < 100:
        result.logits(np.zeros((3, result.block_size), np.int64))
    elif isinstance(result, S.NameStream):
        for _ in range(8):
            if not result.ended:
                result.next()
        names, _, drawn, *_ = result.counts
        assert 0 <= names <= drawn


@pytest.mark.parametrize("name", CALLS)
def test_any_arguments(name: str) -> None:
    call, arguments_of = CALLS[name]
    use(call(**arguments_of()))  # the unchanged arguments work
    refused = []

    @given(st.data())
    @settings(max_examples=2 * settings().max_examples)
    def check(data: st.DataObject) -> None:
        arguments = arguments_of()
        for argument in data.draw(
            st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True)
        ):
            if argument in (
                "count",
                "threads",
                "max_steps",
                "names",
                "batch_size",
                "most",
                "tries",
                "letters",
            ):
                arguments[argument] = data.draw(st.sampled_from(COUNTS))
            else:
                arguments[argument] = spoil(data.draw, arguments[argument])
        words = (
            *arguments,
            "level",
            "parameter",
            "embedding",
            "heads",
            "embed",
            "layers",
            "hidden",
            "norm",
            "activation",
            "vocab",
            "block",
            "context",
            "rows",
            "logits",
            "symbols",
            "prefix",
            "state",
            "automaton",
            "next",
            "most",
            "tries",
            "convert",
            "utf-8",
        )
        _, error = attempt(lambda: use(call(**arguments)), words)
        if error is not None:
            refused.append(1)

    check()
    assert len(refused) > 20, "hardly a call was refused: nothing was tested"


@pytest.mark.parametrize(
    ("vocab", "block"),
    [(2**32 - 2, 1), (2**31, 1), (2**32 - 2, 2), (2**33, 2), (65536, 2), (2, 2**62), (2**62, 4)],
)
def test_tables_whose_size_passes_64_bits(vocab: int, block: int) -> None:
    with pytest.raises(ValueError, match=r"vocab must lie from 2 to 65,536|fewer than 2\^32 contexts"):
        S.ContextTable(vocab, block)


@pytest.mark.parametrize("call", ["table_sampler", "direct_sampler"])
def test_none_in_place_of_what_is_drawn_from(call: str) -> None:
    function, arguments_of = CALLS[call]
    with pytest.raises(TypeError, match=call):
        function(**(arguments_of() | {"table" if call == "table_sampler" else "network": None}))


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count must be at least 0, but is -1"):
        sampler().draw(1, 0, -1)


def test_a_batch_size_whose_double_passes_64_bits() -> None:
    stream = S.NameStream(sampler(), 5, 3, b"", False, False, False, 50, 2**63 - 1, 1)
    assert stream.next().count(b"\n") == 5
    assert stream.ended
