"""The processes of a data-parallel run, which torchrun starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from namegen_ext.training.training_errors import BackendError, ProcessLostError


@dataclass(frozen=True)
class ProcessGroup:
    """One process among those that train together.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        device: where its tensors are.

    """

    rank: int = 0
    size: int = 1
    device: torch.device | str = "cpu"

    @property
    def is_main(self) -> bool:
        """Whether it is the process that writes, evaluates and reports."""
        return self.rank == 0

    def share_of(self, count: int) -> range:
        """Return the examples of this process among ``count``: neighbouring ones, in shares as even as possible."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def agree(self, chunk: int, stop: bool) -> tuple[int, bool]:
        """Return the size of the main process's chunk, and whether any process is to stop.

        Raises:
            ProcessLostError: another process has ended.

        """
        if self.size == 1:
            return chunk, stop
        message = torch.tensor([chunk if self.is_main else 0, int(stop)], device=self.device)  # (2,)
        with lost_processes():
            dist.all_reduce(message)
        return int(message[0]), bool(message[1])

    def add_up(self, values: Tensor) -> Tensor:
        """Return the sums of the values of all processes, of any shape, on the CPU.

        Raises:
            ProcessLostError: another process has ended.

        """
        total = values.to(self.device, copy=True)
        with lost_processes():
            dist.all_reduce(total)
        return total.cpu()


SINGLE = ProcessGroup()


@contextmanager
def lost_processes() -> Iterator[None]:
    """Raise ProcessLostError where an exchange fails because another process has ended; let other errors pass."""
    try:
        yield
    except RuntimeError as error:
        told = str(error)
        if isinstance(error, dist.DistError) or any(
            word in told for word in ("gloo", "NCCL", "closed by peer")
        ):
            raise ProcessLostError(
                "another process of this run has ended, or cannot be reached any more"
            ) from None
        raise


def is_one_of_several() -> bool:
    """Tell by the environment variables of torchrun whether this process was started as one of several."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1") and "RANK" in os.environ


@contextmanager
def joined_processes(device: torch.device) -> Iterator[ProcessGroup]:
    """Join the other processes of the run, where there are any, and leave them at the end.

    Args:
        device: of the run; on "cuda", each process of a machine takes one of its GPUs.

    Raises:
        BackendError: the other processes cannot be reached.

    """
    if not is_one_of_several():
        yield ProcessGroup(device=device)
        return
    if device.type == "cuda":
        local_rank, available = os.environ.get("LOCAL_RANK", "0"), torch.cuda.device_count()
        if not local_rank.isdecimal() or int(local_rank) >= available:
            raise BackendError(f"got LOCAL_RANK {local_rank}, expected one of the {available} GPUs, from 0")
        device = torch.device("cuda", int(local_rank))
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        problem = str(error).splitlines()[0]
        raise BackendError(f"the other processes of the run cannot be met: {problem}") from None
    lost = False
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size(), device)
    except ProcessLostError:  # there is no group left to leave
        lost = True
        raise
    finally:
        if not lost:
            dist.destroy_process_group()
