"""One operator from naive to fast: the six steps of docs/naive-to-fast.md, checked and timed on this machine.

``python examples/naive_to_fast/run.py`` needs g++ or clang++ (CXX names another compiler).
"""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary, build_windows, load_words
from namegen_ext.ops import embedding_concat_linear

HERE = Path(__file__).parent
BLOCK, EMBED, HIDDEN = 3, 10, 200
BATCHES = (32, 1024, 16384)
Forward = Callable[[Tensor], Tensor]

STEPS = {
    1: "four layers of torch.nn",
    2: "one pass, as it is defined",
    3: "the inner loop along memory",
    4: "a row for each symbol",
    5: "tanh as arithmetic",
    6: "the operator of this package",
}


def main() -> None:
    """Print a table: a line for each step, microseconds at each batch size, and how far its results are off."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    words = load_words("census").words
    vocabulary = Vocabulary("".join(sorted(set("".join(words)))))
    contexts, _ = build_windows(words, vocabulary, BLOCK)  # (n, BLOCK)
    layers = nn.Sequential(
        nn.Embedding(len(vocabulary), EMBED), nn.Flatten(), nn.Linear(BLOCK * EMBED, HIDDEN), nn.Tanh()
    )
    inputs = [contexts[torch.randint(len(contexts), (batch,))] for batch in BATCHES]
    with torch.no_grad(), compiled_steps(layers) as steps:
        exact = layers.double()(inputs[-1])
        layers.float()
        errors = {step: (forward(inputs[-1]).double() - exact).abs().max() for step, forward in steps.items()}
        times = {step: [] for step in steps}
        for tokens in inputs:
            for step, micros in median_micros(steps, tokens).items():
                times[step].append(micros)
    print(f"{'step':<34}{''.join(f'{batch:>10,}' for batch in BATCHES)}   largest error")
    for step, title in STEPS.items():
        row = "".join(f"{micros:10,.1f}" for micros in times[step])
        print(f"{step} {title:<32}{row}   {errors[step]:.1e}")


@contextmanager
def compiled_steps(layers: nn.Sequential) -> Iterator[dict[int, Forward]]:
    """Compile the files step_2.cpp to step_5.cpp; give all six steps as functions of tokens (N, BLOCK)."""
    embedding, _, linear, _ = layers

    def shipped(tokens: Tensor) -> Tensor:
        return embedding_concat_linear(tokens, embedding.weight, linear.weight, linear.bias, "tanh")

    def of_library(library: ctypes.CDLL) -> Forward:
        def forward(tokens: Tensor) -> Tensor:
            y = torch.empty(len(tokens), HIDDEN)  # (N, H)
            sizes = len(tokens), BLOCK, len(embedding.weight), EMBED, HIDDEN
            arrays = tokens, embedding.weight, linear.weight, linear.bias, y
            library.forward(
                *(ctypes.c_int64(size) for size in sizes), *(ctypes.c_void_p(a.data_ptr()) for a in arrays)
            )
            return y

        return forward

    with tempfile.TemporaryDirectory() as folder:
        steps: dict[int, Forward] = {1: layers}
        for number in (2, 3, 4, 5):
            library = Path(folder) / f"step_{number}.so"
            command = [
                os.environ.get("CXX", "c++"),
                "-O3",
                "-march=native",
                "-fno-trapping-math",
                "-shared",
                "-fPIC",
            ]
            subprocess.run([*command, str(HERE / f"step_{number}.cpp"), "-o", str(library)], check=True)
            steps[number] = of_library(ctypes.CDLL(str(library)))
        yield {**steps, 6: shipped}


def median_micros(steps: dict[int, Forward], tokens: Tensor, samples: int = 25) -> dict[int, float]:
    """Time all steps in turns, so that each meets the same moods of the machine."""
    seconds: dict[int, list[float]] = {step: [] for step in steps}
    for _ in range(samples + 1):  # the first round is for the caches
        for step, forward in steps.items():
            start = time.perf_counter()
            forward(tokens)
            seconds[step].append(time.perf_counter() - start)
    return {step: statistics.median(taken[1:]) * 1e6 for step, taken in seconds.items()}


if __name__ == "__main__":
    main()
