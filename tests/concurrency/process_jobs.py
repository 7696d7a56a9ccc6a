"""What test_processes.py runs in processes of their own, as `python process_jobs.py JOB`."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from work import engine_training, op_calls, same_bits

import namegen_ext
from namegen_ext.data import Vocabulary
from namegen_ext.models import MLP
from namegen_ext.sampling import iter_names
from namegen_ext.sampling.sampler import NameSampler

VOCABULARY = Vocabulary("abcdefghijklmnopqrstuvwxyz")


def small_model() -> MLP:
    return MLP(27, block_size=2, hidden_size=16, generator=torch.Generator().manual_seed(0))


def draw_names() -> list[str]:
    return iter_names(small_model(), VOCABULARY, 6000, seed=1, threads=2, method="direct").to_list()


def in_fork(work: Callable[[], None]) -> None:
    """Call a function in a child of os.fork. Where it fails, this process fails."""
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


def fork_after_threads() -> None:
    """Fork after the threads of OpenMP, of the engine and of the sampler have run."""
    torch.set_num_threads(2)
    ops, engine, names = op_calls(), engine_training(), draw_names()
    wide = torch.linspace(-3, 3, 2_000_000).view(2000, 1000)
    own = wide.tanh().sum(0)

    def child() -> None:
        torch.set_num_threads(2)
        assert same_bits(op_calls(), ops)
        assert same_bits(engine_training(), engine)
        assert draw_names() == names
        assert torch.equal(wide.tanh().sum(0), own)  # torch's own, on two threads
        in_fork(lambda: check(same_bits(op_calls(), ops)))  # and a child of the child

    in_fork(child)
    assert same_bits(op_calls(), ops)  # the parent has its threads still


def fork_after_import() -> None:
    """Fork before anything has been called."""

    def child() -> None:
        check(same_bits(op_calls(), op_calls()) and draw_names() == draw_names())
        engine_training()

    in_fork(child)
    op_calls()


def fork_while_drawing() -> None:
    """Fork while other threads draw from a sampler and train. The child uses the same sampler."""
    sampler = NameSampler(small_model(), VOCABULARY, 1000, method="direct")
    expected, done = sampler.draw(5, 0, 2000), threading.Event()

    def draw() -> None:
        while not done.is_set():
            sampler.draw(6, 0, 20_000)

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    for _ in range(5):
        in_fork(lambda: check(sampler.draw(5, 0, 2000) == expected))
    done.set()
    thread.join(60)


def check(holds: bool) -> None:
    assert holds


def spawn() -> None:
    """Spawn processes, which start from nothing and send their results back."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.map(bits_of_everything, [0, 0])
    expected = bits_of_everything(0)
    assert results == [expected, expected]


def bits_of_everything(seed: int) -> list[bytes]:
    tensors = [*op_calls(seed, repeat=1), *engine_training(seed, calls=1)]
    return [t.contiguous().numpy().tobytes() for t in tensors] + ["\n".join(draw_names()).encode()]


class Hidden(Dataset[Tensor]):
    """Examples that are made by the operator, in whatever process asks for them."""

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(0)
        self.tokens = torch.randint(27, (64, 300, 3), generator=g)
        self.table, self.weight = torch.randn(27, 10, generator=g), torch.randn(200, 30, generator=g)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, number: int) -> Tensor:
        return namegen_ext.ops.embedding_concat_linear(
            self.tokens[number], self.table, self.weight
        )  # (300, 200)


def load(method: str) -> None:
    torch.set_num_threads(2)
    data = Hidden()
    op_calls()  # the parent's threads have run
    expected = torch.stack([data[number] for number in range(len(data))])
    loader: Any = DataLoader(data, batch_size=8, num_workers=2, multiprocessing_context=method)
    for _ in range(2):
        assert same_bits([torch.cat(list(loader))], [expected])


JOBS: dict[str, Callable[[], None]] = {
    "fork_after_threads": fork_after_threads,
    "fork_after_import": fork_after_import,
    "fork_while_drawing": fork_while_drawing,
    "spawn": spawn,
    "data_loader_fork": lambda: load("fork"),
    "data_loader_spawn": lambda: load("spawn"),
}

if __name__ == "__main__":
    JOBS[sys.argv[1]]()
    print("done")
