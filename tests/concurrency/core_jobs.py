"""What test_core.py runs in processes of their own, as `python core_jobs.py JOB MODE`.

The native part that needs no torch, through numpy alone. Without torch it runs on threads of its own, and where torch
is loaded on torch's. The line that is printed tells what is loaded, and a digest of all results.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

# "no-torch": the import of torch fails. "torch": it is loaded first, and the operators with it. "torch-later": it is
# loaded when threads have run without it, and the operators are not loaded.
MODES = ("no-torch", "torch", "torch-later")
MODE = sys.argv[2] if __name__ == "__main__" else ""

torch: Any = None
if MODE == "no-torch":
    sys.modules["torch"] = None  # type: ignore[assignment]
elif MODE == "torch":
    import torch

import numpy as np  # noqa: E402

from namegen_ext._native.core import _core  # noqa: E402

V, BLOCK, EMBED, EXAMPLES = 27, 4, 10, 300
LETTERS = [b"", *(bytes([letter]) for letter in b"abcdefghijklmnopqrstuvwxyz")]
SGD = {"adamw": False, "weight_decay": 0.0, "momentum": 0.9, "nesterov": False}
LEVEL = {
    "group": 2,
    "size": 100,
    "bias": True,
    "batch_norm": True,
    "unbiased": False,
    "eps": 1e-5,
    "momentum": 0.1,
}


def set_num_threads(number: int) -> None:
    if torch is None:
        _core.set_num_threads(number)
    else:
        torch.set_num_threads(number)
    assert _core.get_num_threads() == number


def make_engine(seed: int = 0) -> Any:
    """An engine with random parameters, and with examples."""
    g = np.random.default_rng(seed)
    engine = _core.StepEngine(
        vocab=V,
        block=BLOCK,
        embed=EMBED,
        levels=[LEVEL, LEVEL],
        output_bias=True,
        optimizer=SGD | {"beta1": 0.0, "beta2": 0.0, "eps": 0.0, "most_norm": 0.0, "averages": False},
        float64=False,
    )
    for number, (rows, columns) in enumerate(engine.parameter_shapes()):
        engine.take(number, 0, g.normal(0, 0.1, (rows, columns)).astype(np.float32))
    for number in range(2):
        engine.take_statistics(number, np.zeros(100, np.float32), np.ones(100, np.float32))
    tokens = g.integers(0, V, (EXAMPLES, BLOCK)).astype(np.int32)
    engine.set_examples(tokens=tokens, targets=tokens[:, 0].copy())  # which can be learned
    return engine


def train(engine: Any, seed: int = 0, steps: int = 8) -> np.ndarray:
    """The losses of minibatches in four chunks, which threads share."""
    g = np.random.default_rng(seed)
    losses = np.zeros(steps)
    engine.run(
        indices=g.integers(0, EXAMPLES, (steps, 1024)), learning_rates=np.full(steps, 0.1), losses=losses
    )
    return losses


def training(seed: int = 0) -> list[bytes]:
    engine = make_engine(seed)
    losses = [train(engine, seed + call) for call in range(3)]
    assert losses[-1][-1] < losses[0][0], "the loss does not fall"
    results = [*losses, np.zeros((5, V), np.float32)]
    engine.logits(np.arange(5 * BLOCK, dtype=np.int32).reshape(5, BLOCK) % V, results[-1])
    for number, shape in enumerate(engine.parameter_shapes()):
        results.append(np.zeros(shape, np.float32))
        engine.give(number, 0, results[-1])
    return [array.tobytes() for array in results]


def drawing(seed: int = 0) -> list[bytes]:
    """Names from a table and from a network, the latter on two threads."""
    S = _core.sampling
    g = np.random.default_rng(seed)
    table = S.ContextTable(V, 1)
    table.set_rows(0, np.tile(np.linspace(0.2, 1, V), (table.num_rows, 1)))
    level = S.Level(2, g.normal(size=(V, 2 * EMBED)).astype(np.float32), np.zeros(V, np.float32), False)
    network = S.Network(g.normal(size=(V, EMBED)).astype(np.float32), [level])
    stream = S.NameStream(
        S.direct_sampler(network, 1.0, V, LETTERS, [], 20),
        5000,
        seed,
        b"",
        False,
        False,
        False,
        1,
        5000,
        2,
    )
    texts = [S.table_sampler(table, LETTERS, [], 20).draw(seed, 0, 1000)[0]]
    while not stream.ended:
        texts.append(stream.next())
    assert sum(text.count(b"\n") for text in texts) == 6000
    return texts


def at_once(calls: list[Callable[[], Any]], timeout: float = 60) -> list[Any]:
    results: list[Any] = [TimeoutError("a thread did not end")] * len(calls)
    together = threading.Barrier(len(calls))

    def run(number: int) -> None:
        together.wait(timeout)
        try:
            results[number] = calls[number]()
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def in_fork(work: Callable[[], None]) -> None:
    """Call it in a child of os.fork; its failure is this process's."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def check(holds: bool) -> None:
    assert holds


def numbers_of_threads() -> list[bytes]:
    """One thread, two, and more than there are cores."""
    set_num_threads(1)
    expected = training()
    for number in (2, 3, 7):
        set_num_threads(number)
        assert training() == expected
    return expected


def threads_at_once() -> list[bytes]:
    """Several threads train and draw, each with an engine of its own."""
    set_num_threads(2)
    expected = [training(0), training(1), drawing(0)]
    assert expected[0] != expected[1], "the callers' work must differ"
    results = at_once([lambda: training(0), lambda: training(1), lambda: drawing(0)] * 2)
    assert results == expected * 2
    return [part for parts in expected for part in parts]


def set_num_threads_in_mid_run() -> list[bytes]:
    """The number of threads changes all the time."""
    expected, done = training(), threading.Event()

    def change() -> None:
        number = 0
        while not done.wait(0.001):
            number += 1
            set_num_threads(number % 4 + 1)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3):
            assert all(results == expected for results in at_once([training, training]))
    finally:
        done.set()
        thread.join()
    return expected


def fork_after_threads() -> list[bytes]:
    """A fork when the threads have run: the child trains and draws, and so does a child of its own."""
    set_num_threads(2)
    expected = [*training(), *drawing()]

    def child() -> None:
        set_num_threads(2)
        check([*training(), *drawing()] == expected)
        in_fork(lambda: check([*training(), *drawing()] == expected))

    in_fork(child)
    assert [*training(), *drawing()] == expected  # the parent has its threads still
    return expected


def fork_before_anything() -> list[bytes]:
    """A fork when nothing has been called yet."""
    in_fork(lambda: check(training() == training() and drawing() == drawing()))
    return training()


def fork_while_training() -> list[bytes]:
    """A fork while another thread trains: the child uses an engine of its own."""
    set_num_threads(2)
    expected, busy, done = training(), make_engine(), threading.Event()

    def work() -> None:
        while not done.is_set():
            train(busy)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.05)
    for _ in range(5):
        in_fork(lambda: check(training() == expected))
    done.set()
    thread.join(60)
    return expected


JOBS: dict[str, Callable[[], list[bytes]]] = {
    job.__name__: job
    for job in (
        numbers_of_threads,
        threads_at_once,
        set_num_threads_in_mid_run,
        fork_after_threads,
        fork_before_anything,
        fork_while_training,
    )
}

if __name__ == "__main__":
    if MODE == "torch-later":
        set_num_threads(3)
        training()
        import torch
    digest = hashlib.sha256(b"".join(JOBS[sys.argv[1]]())).hexdigest()
    loaded = sorted(name for name in ("torch", "namegen_ext._C") if sys.modules.get(name) is not None)
    print(",".join(loaded) or "-", digest)
