"""The cases of the suite, and how one is measured.

All peers run in the parent's process, with the same number of threads in a comparison. They can share a process because
all of them are torch with the same pool of threads and the same allocator: none has anything of its own that could
disturb another. And calls of microseconds are best compared when they follow each other closely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from namegen_bench.measuring.agreement import check_tensors
from namegen_bench.measuring.comparison import Comparison, Measured, describe_sizes
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.memory import PeakMemory, PeakMemoryError, peak_memory
from namegen_bench.measuring.rates import measure_rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import Sampler, measure
from namegen_bench.names import FUSED_OP, OPS, STOCK, SUITE_PEERS
from namegen_bench.suites.ops.batch_norm import BatchNormCase
from namegen_bench.suites.ops.embedding_concat_linear import EmbeddingConcatLinearCase
from namegen_bench.suites.ops.embedding_concat_linear_batch_norm import EmbeddingConcatLinearBatchNormCase
from namegen_bench.suites.ops.linear import LinearCase
from namegen_bench.suites.ops.op_case import (
    FORWARD,
    FORWARD_BACKWARD,
    INFERENCE,
    OpCase,
    OpPeer,
    training_call,
)

_BATCHES = (1, 2, 8, 32, 128, 1024, 16384, 65536)
_FEW_BATCHES = (1, 32, 1024, 16384, 65536)
_QUICK_BATCHES = (1, 32, 1024)
# At these batches more threads are measured as well. Fewer examples are too little work for a second thread, and more
# examples take long.
_THREADED_BATCHES = (1024, 16384)

# First the sizes of the models of names, then those of a model of words.
_CASES: tuple[OpCase, ...] = (
    EmbeddingConcatLinearCase(
        batches=_BATCHES,
        targets=((32, 2.5), (1024, 4.0), (16384, 6.0)),
        vocab_size=27,
        embedding_dim=10,
        block_size=3,
        hidden_size=200,
    ),
    EmbeddingConcatLinearBatchNormCase(
        batches=_BATCHES,
        targets=((32, 3.3), (1024, 7.0), (16384, 6.5), (65536, 8.0)),
        vocab_size=27,
        embedding_dim=10,
        block_size=3,
        hidden_size=200,
    ),
    BatchNormCase(batches=_BATCHES, targets=((32, 2.0), (1024, 2.5), (16384, 2.5)), hidden_size=200),
    EmbeddingConcatLinearCase(
        batches=_FEW_BATCHES, targets=(), vocab_size=5000, embedding_dim=64, block_size=8, hidden_size=512
    ),
    EmbeddingConcatLinearBatchNormCase(
        batches=_FEW_BATCHES, targets=(), vocab_size=5000, embedding_dim=64, block_size=8, hidden_size=512
    ),
    BatchNormCase(batches=_FEW_BATCHES, targets=(), hidden_size=512),
    LinearCase(batches=(8, 32, 1024), targets=(), in_features=256, out_features=128),  # the WaveNet's
)


def ops_cases(quick: bool) -> tuple[OpCase, ...]:
    """Return the cases; for a quick run the first case of each operator at small batches."""
    firsts = {case.operator: case for case in reversed(_CASES)}
    return tuple(case.with_batches(_QUICK_BATCHES) for case in firsts.values()) if quick else _CASES


def run_ops(
    settings: Settings,
    thread_counts: Sequence[int],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Iterator[Comparison]:
    """Measure each case at each batch in each mode.

    Args:
        settings: how long and how often each peer is measured.
        thread_counts: the numbers of threads. The first is measured at all batches, and the targets are for it. The
            others are measured at two large batches only.
        only_peers: the peers to measure beside stock; None for all.
        tell: is called with what is being measured.

    Raises:
        DisagreementError: a peer computes something else than the stock layers.

    """
    names = [peer for peer in SUITE_PEERS[OPS] if peer == STOCK or only_peers is None or peer in only_peers]
    rates = {threads: measure_rates(threads) for threads in thread_counts}
    before = torch.get_num_threads()
    try:
        for case in ops_cases(settings.quick):
            for batch in case.batches:
                for mode in case.modes(batch):
                    for threads in thread_counts if batch in _THREADED_BATCHES else thread_counts[:1]:
                        where = f"{case.operator}, {describe_sizes(case.sizes)}, batch {batch:,}, {mode}"
                        tell(where)
                        torch.set_num_threads(threads)
                        is_first = threads == thread_counts[0]
                        yield _compare(
                            case, batch, mode, names, settings, threads, rates[threads], where, is_first
                        )
    finally:
        torch.set_num_threads(before)


def _compare(
    case: OpCase,
    batch: int,
    mode: str,
    names: list[str],
    settings: Settings,
    threads: int,
    rates: Rates,
    where: str,
    is_first: bool,
) -> Comparison:
    peers = {name: case.peer(name, batch, mode) for name in names}
    check_peers(case, batch, mode, peers, where)
    timings = measure({name: _sampler(peer, mode) for name, peer in peers.items()}, settings)
    peaks: dict[str, PeakMemory] = {}
    notes: list[str] = []
    if mode == FORWARD_BACKWARD and is_first:
        # The operator by itself takes the same memory as the fused layers, so it is not measured.
        for name in [name for name in names if name != FUSED_OP]:
            try:
                peaks[name] = peak_memory(partial(training_call, case, name), batch, threads)
            except PeakMemoryError as error:
                notes.append(f"peak memory of {name} at batch {batch:,} could not be measured: {error}")
    floor = rates.floor_seconds(case.work(mode, batch))
    measured = {}
    for name, timing in timings.items():
        peak = peaks.get(name)
        measured[name] = Measured(
            timing=timing,
            threads=threads,
            peak_allocated=None if peak is None else peak.allocated,
            peak_resident=None if peak is None else peak.resident,
            share_of_floor=floor / timing.seconds.median,
            rates=rates,
        )
    return Comparison(
        suite=OPS,
        case=case.operator,
        mode=mode,
        sizes=describe_sizes(case.sizes),
        batch=batch,
        peers=measured,
        target=None if settings.quick else case.target(mode, batch) if is_first else 1.0,
        notes=tuple(notes),
    )


def check_peers(
    case: OpCase, batch: int, mode: str, peers: dict[str, OpPeer], where: str, device: str = "cpu"
) -> None:
    """Compare what all peers compute with the stock layers in float64.

    Raises:
        DisagreementError: a peer computes something else.

    """
    reference = case.peer(STOCK, batch, mode, torch.float64, device).results(mode)
    results = {name: peer.results(mode) for name, peer in peers.items()}
    stock = results.pop(STOCK)
    check_tensors(where, reference, stock, results, case.terms(batch))


def _sampler(peer: OpPeer, mode: str) -> Sampler:
    return {INFERENCE: peer.inference, FORWARD: peer.forward, FORWARD_BACKWARD: peer.forward_backward}[mode]
