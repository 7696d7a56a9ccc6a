"""The cases of the suite, and how one is measured. CUDA events take the time, and the peers take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from namegen_bench.bench_errors import BenchError
from namegen_bench.measuring.comparison import Comparison, Measured, describe_sizes
from namegen_bench.measuring.floor import Rates, Work
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import Sampler, measure
from namegen_bench.names import COMPILED, GPU, STOCK, SUITE_PEERS
from namegen_bench.suites.gpu.device_rates import device_rates
from namegen_bench.suites.gpu.gpu_peers import GRAPHED, compiled, device_seconds, graphed, sampler
from namegen_bench.suites.ops.batch_norm import BatchNormCase
from namegen_bench.suites.ops.embedding_concat_linear import EmbeddingConcatLinearCase
from namegen_bench.suites.ops.op_case import FORWARD, FORWARD_BACKWARD, OpCase, OpPeer
from namegen_bench.suites.ops.ops_suite import check_peers
from namegen_ext.ops import why_not_supported

DEVICE = "cuda"
_MODES = (FORWARD, FORWARD_BACKWARD)

_BATCHES = (32, 1024, 65536)
_QUICK_BATCHES = (32,)
_COPY_BYTES = 2**28
_FLOAT_BYTES = 4


class NoGpuError(BenchError):
    """The suite cannot be measured here; the message says why."""


@dataclass(frozen=True)
class _GpuCase:
    """An operator, its targets, and how much memory its forward pass must move.

    Attributes:
        case: the operator at its sizes.
        targets: the speedups over stock that should be reached, by (mode, batch); 1 where none is given.
        forward_values: the least number of float32 values that the forward pass of one example reads and writes.

    """

    case: OpCase
    targets: dict[tuple[str, int], float]
    forward_values: int


_CASES = (
    _GpuCase(
        EmbeddingConcatLinearCase(
            batches=_BATCHES, targets=(), vocab_size=27, embedding_dim=10, block_size=3, hidden_size=200
        ),
        {(FORWARD_BACKWARD, 32): 2.0, (FORWARD, 65536): 2.5},
        forward_values=2 * 3 + 200,  # a token has 8 bytes, as two float32 values
    ),
    _GpuCase(
        BatchNormCase(batches=_BATCHES, targets=(), hidden_size=200),
        {(FORWARD_BACKWARD, 32): 2.0, (FORWARD, 65536): 1.7},
        forward_values=200 + 200,
    ),
)


def why_not() -> str | None:
    """Return why the suite cannot be measured here; None where it can."""
    if not torch.cuda.is_available():
        return f"the suite gpu needs a CUDA device, and torch {torch.__version__} finds none"
    return why_not_supported("batch_norm", torch.device(DEVICE))


def run_gpu(
    settings: Settings,
    thread_counts: Sequence[int],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Iterator[Comparison]:
    """Measure the bandwidth of a copy, then each operator at each batch, forward and forward+backward.

    Args:
        settings: how long and how often each peer is measured.
        thread_counts: not used.
        only_peers: the peers to measure beside stock; None for all, without torch.compile in a quick run.
        tell: is called with what is being measured.

    Raises:
        NoGpuError: there is no device, or this build has no kernels for it.
        DisagreementError: a peer computes something else than the stock layers.

    """
    reason = why_not()
    if reason is not None:
        raise NoGpuError(reason)
    names = [name for name in SUITE_PEERS[GPU] if name == STOCK or only_peers is None or name in only_peers]
    if settings.quick:
        names = [name for name in names if name != COMPILED]
    tell("copy")
    rates = device_rates(DEVICE)
    copy = _copy(settings, rates)
    yield copy
    bandwidth = 2 * _COPY_BYTES / copy.peers[STOCK].timing.seconds.median  # bytes read and written per second
    for gpu_case in _CASES:
        for batch in _QUICK_BATCHES if settings.quick else gpu_case.case.batches:
            tell(f"{gpu_case.case.operator}, batch {batch:,}")
            yield from _compare(gpu_case, batch, names, settings, bandwidth, rates)


def _copy(settings: Settings, rates: Rates) -> Comparison:
    source = torch.ones(_COPY_BYTES // _FLOAT_BYTES, device=DEVICE)
    target = torch.empty_like(source)

    def copy(times: int) -> None:
        for _ in range(times):
            target.copy_(source)

    timing = measure({STOCK: copy}, settings, device_seconds)[STOCK]
    speed = 2 * _COPY_BYTES / timing.seconds.median
    return Comparison(
        suite=GPU,
        case="copy",
        mode=FORWARD,
        sizes=f"bytes={_COPY_BYTES}",
        batch=1,
        peers={
            STOCK: Measured(
                timing,
                share_of_floor=rates.floor_seconds(Work(0, 2 * _COPY_BYTES)) / timing.seconds.median,
                rates=rates,
            )
        },
        notes=(f"copy: {speed / 1e9:,.0f} GB/s, read and written",),
    )


def _compare(
    gpu_case: _GpuCase,
    batch: int,
    names: list[str],
    settings: Settings,
    bandwidth: float,
    rates: Rates,
) -> Iterator[Comparison]:
    """Build the peers of one batch once, check what they compute, and measure them in each mode."""
    case, notes = gpu_case.case, []
    peers: dict[str, OpPeer] = {}
    compile_seconds: float | None = None
    for name in names:
        if name == COMPILED:
            try:
                peers[name], compile_seconds = compiled(case, batch, DEVICE)
            except Exception as error:  # the compiler may fail in any way, for want of a C++ compiler say
                notes.append(f"{name} left out: {str(error).strip().splitlines()[0]}")
        elif name in GRAPHED:
            peers[name] = case.peer(GRAPHED[name], batch, FORWARD_BACKWARD, device=DEVICE)
        else:
            peers[name] = case.peer(name, batch, FORWARD_BACKWARD, device=DEVICE)
    where = f"{case.operator}, {describe_sizes(case.sizes)}, batch {batch:,}"
    check_peers(case, batch, FORWARD_BACKWARD, peers, where, DEVICE)

    for mode in _MODES:
        samplers: dict[str, Sampler] = {
            name: graphed(peer, mode) if name in GRAPHED else sampler(peer, mode)
            for name, peer in peers.items()
        }
        timings = measure(samplers, settings, device_seconds)
        mode_notes = list(notes)
        if mode == FORWARD:
            moved = gpu_case.forward_values * _FLOAT_BYTES * batch
            for name, timing in timings.items():
                speed = moved / timing.seconds.median
                mode_notes.append(
                    f"{name}, batch {batch:,}, forward: {speed / 1e9:,.0f} GB/s of what must be read and written, "
                    f"{speed / bandwidth:.0%} of the copy's"
                )
        yield Comparison(
            suite=GPU,
            case=case.operator,
            mode=mode,
            sizes=describe_sizes(case.sizes),
            batch=batch,
            peers={
                name: Measured(
                    timing,
                    compile_seconds=compile_seconds if name == COMPILED else None,
                    share_of_floor=rates.floor_seconds(case.work(mode, batch)) / timing.seconds.median,
                    rates=rates,
                )
                for name, timing in timings.items()
            },
            target=None if settings.quick else gpu_case.targets.get((mode, batch), 1.0),
            notes=tuple(mode_notes),
        )
