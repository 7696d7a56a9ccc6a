"""The native sampler against the Python that defines it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

import namegen_ext
from namegen_ext._native.core import _core
from namegen_ext.data import Vocabulary
from namegen_ext.models import MLP, NGram, WaveNet
from namegen_ext.sampling import NameSampler, SamplingError, iter_names, sample_names

INFO = namegen_ext.build_info()

# Letters of one to four bytes of UTF-8; enough for the largest vocabulary here.
LETTERS = "".join(
    sorted(
        {chr(c) for c in range(ord("a"), ord("z") + 1)}
        | {chr(c) for c in range(0x4E00, 0x4F00)}
        | {"\U0001f600"}
    )
)


def alphabet(size: int) -> Vocabulary:
    """The vocabulary of so many symbols, the end marker included: ASCII up to 27."""
    return Vocabulary(LETTERS[: size - 1])


class TableModel(nn.Module):
    """Logits from a table, as no network that the native sampler could evaluate gives them."""

    def __init__(self, vocab_size: int, block_size: int, seed: int, spread: float = 2.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.vocab_size, self.block_size = vocab_size, block_size
        table = spread * torch.randn(vocab_size**block_size, vocab_size, generator=generator)
        # Some symbols are all but impossible, at either end of the alphabet too.
        self.register_buffer(
            "table", table.masked_fill(torch.rand(table.shape, generator=generator) < 0.1, -1e4)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        number = torch.zeros(len(tokens), dtype=torch.int64)  # (N,)
        for symbols in tokens.T:
            number = number * self.vocab_size + symbols
        return self.table[number]  # (N, V)


def trained_looking(model: nn.Module, spread: float = 3.0) -> nn.Module:
    """Give a new model sharp probabilities, and batch norms something to do in evaluation."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                for tensor in (module.running_mean, module.weight, module.bias):
                    tensor.copy_(torch.randn(tensor.shape, generator=generator).mul(0.3).add(0.5))
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        last.weight.copy_(
            torch.randn(last.weight.shape, generator=generator) * spread / last.in_features**0.5
        )
    return model


def network(vocab_size: int = 27) -> nn.Module:
    return trained_looking(WaveNet(vocab_size, block_size=8, embedding_dim=6, hidden_size=20))


OPTIONS = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([1.0, 0.3, 2.5, 1e-3]),
        "max_length": st.integers(1, 70),
        "seed": st.integers(0, 2**64 - 1),
    }
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[nn.Module, Vocabulary, dict[str, Any]]:
    block_size = draw(st.integers(1, 4))
    # The widths of a row change behind 17 and 33 symbols, the size of a cell behind 27 (letters of one byte).
    largest = {1: 280, 2: 60, 3: 20, 4: 8}[block_size]
    vocab_size = draw(st.integers(2, largest))
    vocabulary = alphabet(vocab_size)
    options = draw(OPTIONS)
    options["top_k"] = draw(st.none() | st.integers(1, vocab_size))
    options["prefix"] = draw(st.text(vocabulary.symbols, max_size=min(6, options["max_length"] - 1)))
    return TableModel(vocab_size, block_size, seed=draw(st.integers(0, 1000))), vocabulary, options


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_a_table_gives_the_names_that_python_gives(
    case: tuple[nn.Module, Vocabulary, dict[str, Any]],
) -> None:
    model, vocabulary, options = case
    expected = sample_names(model, vocabulary, 700, method="table", backend="python", **options)
    assert sample_names(model, vocabulary, 700, method="table", backend="native", **options) == expected


@pytest.mark.parametrize("first", [0, 5, 2**32 - 100, 2**40 + 1, 2**62])
def test_anywhere_in_a_stream(first: int) -> None:
    model, vocabulary = TableModel(9, 2, seed=1), alphabet(9)
    native, python = (
        NameSampler(model, vocabulary, 1, method="table", backend=backend)  # type: ignore[arg-type]
        for backend in ("native", "python")
    )
    assert native.native is not None
    assert python.native is None
    assert native.draw(3, first, 900) == python.draw(3, first, 900)


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, Vocabulary, dict[str, Any]]:
    vocab_size = draw(st.integers(2, 60))
    options: dict[str, Any] = {
        "embedding_dim": draw(st.integers(1, 20)),
        "hidden_size": draw(st.integers(1, 70)),
        "batch_norm": draw(st.booleans()),
        "generator": torch.Generator().manual_seed(draw(st.integers(0, 1000))),
    }
    if draw(st.booleans()):
        block_size, layers = draw(st.integers(1, 9)), draw(st.integers(1, 3))
        model: nn.Module = MLP(vocab_size, block_size, num_hidden_layers=layers, **options)
    else:
        factors = [*draw(st.lists(st.integers(2, 3), max_size=3)), draw(st.integers(2, 3))]
        assume(math.prod(factors) * (vocab_size - 1).bit_length() <= 128)  # what the native sampler covers
        model = WaveNet(vocab_size, math.prod(factors), factors=factors, **options)
    vocabulary = alphabet(vocab_size)
    shaping = draw(OPTIONS)
    shaping["temperature"] = max(shaping["temperature"], 0.3)  # a small one makes rounding large
    shaping["top_k"] = draw(st.none() | st.integers(1, vocab_size))
    shaping["prefix"] = draw(st.text(vocabulary.symbols, max_size=min(6, shaping["max_length"] - 1)))
    return trained_looking(model), vocabulary, shaping


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_a_network_gives_the_names_that_python_gives(
    case: tuple[nn.Module, Vocabulary, dict[str, Any]],
) -> None:
    model, vocabulary, options = case
    expected = sample_names(model, vocabulary, 300, method="direct", backend="python", **options)
    found = sample_names(model, vocabulary, 300, method="direct", backend="native", **options)
    # Logits differ by about 1e-6 (test_network.py holds 1e-5), and cumulative probabilities by as much over
    # the temperature. 300 names of up to 70 letters drawn between up to 60 edges then differ in
    # 300 * 70 * 60 * 1e-5 / 0.3 names at the very worst, and in about a hundredth of one in truth; two are
    # allowed. Ties among the k likeliest may fall either way, but random logits have none.
    assert sum(map(str.__ne__, expected, found)) <= 2


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_table_and_direct_drawing_give_the_same_names_to_the_bit(
    case: tuple[nn.Module, Vocabulary, dict[str, Any]],
) -> None:
    model, vocabulary, options = case
    if len(vocabulary) ** model.block_size > 30_000:  # what a table can hold, and the test wait for
        vocabulary = alphabet(5)
        model = trained_looking(WaveNet(5, 4, embedding_dim=3, hidden_size=9, factors=[2, 2]))
        options = {**options, "top_k": None, "prefix": ""}
    table, direct = (
        NameSampler(model, vocabulary, 1, method=method, backend="native", **without_seed(options))  # type: ignore[arg-type]
        for method in ("table", "direct")
    )
    assert (table.method, direct.method) == ("table", "direct")
    # 3,000 names draw from thousands of rows; one threshold that differs in its last bit would be passed over here,
    # and is found by the test of the rows themselves in tests/cpp.
    assert table.draw(options["seed"], 0, 3000) == direct.draw(options["seed"], 0, 3000)


def without_seed(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "seed"}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_counting_models_are_drawn_to_the_letter_by_every_way(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(9, (400, 2), generator=generator)
    targets = torch.randint(9, (400,), generator=generator)
    model = NGram(9, 2)
    model.set_from_windows(tokens, targets, smoothing=smoothing)
    drawn = {
        (method, backend): sample_names(
            model,
            alphabet(9),
            20_000,
            seed=5,
            method=method,  # type: ignore[arg-type]
            backend=backend,  # type: ignore[arg-type]
        )
        for method in ("table", "direct")
        for backend in ("native", "python")
    }
    assert len(set(map(tuple, drawn.values()))) == 1


@pytest.mark.parametrize("novel", [False, True])
@pytest.mark.parametrize("unique", [False, True])
def test_filters_give_the_names_that_python_gives(novel: bool, unique: bool) -> None:
    model, vocabulary = TableModel(5, 2, seed=2, spread=1.0), alphabet(5)
    training = set(sample_names(model, vocabulary, 300, seed=9, method="table")) | {
        "with\nnewline",
        "\ud800",
        "",
    }

    def draw(backend: Any, n: int) -> tuple[list[str], Any]:
        stream = iter_names(
            model,
            vocabulary,
            n,
            seed=4,
            method="table",
            backend=backend,
            novel=novel,
            unique=unique,
            count_distinct=True,
            training_names=training,
            batch_size=1000,
        )
        return stream.to_list(), stream.counts

    for n in (0, 1, 257, 4000):
        assert draw("native", n) == draw("python", n)


@pytest.mark.parametrize("method", ["table", "direct"])
@pytest.mark.parametrize("unique", [False, True])
def test_names_do_not_depend_on_threads_or_batches(method: Any, unique: bool) -> None:
    model = network() if method == "direct" else TableModel(27, 2, seed=3)

    def draw(**options: Any) -> list[str]:
        return sample_names(
            model, alphabet(27), 6000, seed=8, method=method, backend="native", unique=unique, **options
        )

    expected = draw()
    assert len(set(expected)) > 1000
    assert draw(threads=2, batch_size=4096) == expected
    assert draw(threads=5, batch_size=6000) == expected
    assert draw(batch_size=1 if method == "table" else 37) == expected


def test_texts_are_the_names_with_newlines() -> None:
    vocabulary = alphabet(40)  # letters of one byte and of three
    model = TableModel(40, 1, seed=3)
    names = sample_names(model, vocabulary, 500, seed=8, method="table")
    for backend in ("native", "python"):
        stream = iter_names(
            model,
            vocabulary,
            500,
            seed=8,
            method="table",
            batch_size=64,
            backend=backend,  # type: ignore[arg-type]
        )
        texts = list(stream.texts())
        assert len(texts) == -(-500 // 64)
        assert b"".join(texts).decode() == "".join(name + "\n" for name in names)


def test_a_huge_name_is_cut_where_it_should_be() -> None:
    model = TableModel(3, 1, seed=3)
    with torch.no_grad():
        model.table[:, 0] = -1e4  # no name ends
    names = sample_names(model, alphabet(3), 3, seed=1, max_length=5000, method="table", backend="native")
    assert [len(name) for name in names] == [5000] * 3
    expected = sample_names(model, alphabet(3), 3, seed=1, max_length=5000, method="table", backend="python")
    assert names == expected


def test_a_network_that_overflows_is_told() -> None:
    model = trained_looking(MLP(5, block_size=2, hidden_size=8))
    with torch.no_grad():
        model.net[-1].bias[2] = float("inf")
    for n in (1, 10**6):
        with pytest.raises(SamplingError, match="not all finite"):
            sample_names(model, alphabet(5), n, seed=1)


@pytest.mark.parametrize("method", ["table", "direct"])
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_is_heard_while_names_are_drawn(method: Any, threads: int) -> None:
    model = TableModel(27, 2, seed=3) if method == "table" else network()
    n = 100_000_000  # at 50 million names/s, ten times what was measured, 2 seconds
    stream = iter_names(
        model, alphabet(27), n, seed=1, method=method, backend="native", batch_size=n, threads=threads
    )
    texts = stream.texts()
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.2, press)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        next(texts)
    # It is looked for every 20 ms; a busy machine may keep the thread waiting far longer.
    assert time.perf_counter() - pressed[0] < 1.5


def test_drawing_lets_other_threads_run() -> None:
    model, ticks = TableModel(27, 2, seed=3), []
    stream = iter_names(model, alphabet(27), 4_000_000, seed=1, method="table", batch_size=4_000_000)
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    began = time.perf_counter()
    next(stream.texts())
    ended = time.perf_counter()
    done.set()
    thread.join()
    # With the GIL held none would fall into the middle of it.
    quarter = (ended - began) / 4
    assert any(began + quarter < t < ended - quarter for t in ticks)


def test_what_cannot_be_had_natively_is_refused_with_the_reason(
    model: nn.Module, vocabulary: Vocabulary
) -> None:
    with pytest.raises(
        ValueError, match=r"backend must be 'auto' or 'python'.*SmallModel is not one nn\.Sequential"
    ):
        sample_names(model, vocabulary, 5, backend="native", method="direct")
    with pytest.raises(ValueError, match="backend must be one of auto, native, python, but got 'fast'"):
        sample_names(model, vocabulary, 5, backend="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads must be an integer of at least 1, but got 0"):
        sample_names(model, vocabulary, 5, threads=0)
    sampler = NameSampler(model, vocabulary, 1, method="direct")
    assert sampler.native is None
    assert "SmallModel" in str(sampler.why_not_native)


def test_the_instruction_set_in_use() -> None:
    assert _core.sampling.chosen_isa() == (
        os.environ.get("NAMEGEN_CPU_ISA") or INFO["cpu_isas_supported"][-1]
    )


@pytest.mark.parametrize("isa", INFO["cpu_isas_compiled"])
def test_every_instruction_set(isa: str) -> None:
    if isa not in INFO["cpu_isas_supported"]:
        pytest.skip(f"this CPU has {', '.join(INFO['cpu_isas_supported'])}, not {isa}")
    if isa == INFO["cpu_isa"]:
        pytest.skip(f"{isa} is in use in this process: the other tests of this file are its test")
    checks = ("gives_the_names", "instruction_set_in_use", "anywhere", "threads_or_batches")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", " or ".join(checks)],
        env=os.environ | {"NAMEGEN_CPU_ISA": isa, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
