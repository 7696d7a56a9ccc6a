"""What a suite yields: the measurements of one case, for all its peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.timing import Quartiles, Timing
from namegen_bench.names import STOCK

# Bytes by which a process may grow for other reasons than its work: code that is loaded at the first call, and the
# allocator's own pages.
RESIDENT_NOISE = 256 * 1024


@dataclass(frozen=True)
class Measured:
    """What was found for one peer of a case at one number of threads.

    Attributes:
        timing: seconds per call (suites ops and gpu), per training step (suites train and scaling), per name
            (suite sample), or of a whole process (suite time-to-loss).
        threads: number of threads the peer had; None for the number that the whole run was given.
        compile_seconds: how long the preparation and the first steps of a peer took that compiles; None for others.
        peak_allocated: bytes that torch's allocator held at the peak beyond those before; None where not measured.
        peak_resident: bytes by which the process grew at the peak; None where not measured.
        loss: the loss in nats after the checked steps, or the dev loss at the end (suite time-to-loss); None
            where there is no loss.
        share_of_floor: the least time that the work takes at the machine's own rates, over the median; see ``floor``.
            None where the work is not counted.
        rates: the machine's rates at this number of threads; None where they were not measured.

    """

    timing: Timing
    threads: int | None = None
    compile_seconds: float | None = None
    peak_allocated: int | None = None
    peak_resident: int | None = None
    loss: float | None = None
    share_of_floor: float | None = None
    rates: Rates | None = None


@dataclass(frozen=True)
class Comparison:
    """One case: the same computation by all its peers.

    Attributes:
        suite: the suite's name.
        case: what is computed, such as "batch_norm".
        mode: "inference", "forward", "forward+backward", "step", "name", "constrained" or "process".
        sizes: the sizes other than the batch, as text.
        batch: number of examples.
        peers: what was found for each peer at its best number of threads; "stock" is among them.
        target: the speedup over stock that fused layers should reach; None where none is set.
        step_targets: the speedups over other peers that the step engine should reach, by peer.
        most_seconds: the most seconds that the step engine may take; None where no limit is set.
        notes: sentences about the case, such as which peer was left out and why.
        others: what was found for the same peers at other numbers of threads, at which they are slower.

    """

    suite: str
    case: str
    mode: str
    sizes: str
    batch: int
    peers: dict[str, Measured]
    target: float | None = None
    step_targets: Mapping[str, float] = field(default_factory=dict)
    most_seconds: float | None = None
    notes: tuple[str, ...] = field(default=())
    others: tuple[tuple[str, Measured], ...] = ()

    def all_measured(self) -> Iterator[tuple[str, Measured]]:
        """Yield what was found for each peer at its best number of threads, then at all the others."""
        yield from self.peers.items()
        yield from self.others

    def speedup(self, peer: str, over: str = STOCK) -> Quartiles:
        """Return how many times as fast as the stock layers, or as another peer, a peer is."""
        return self.peers[peer].timing.speedup_over(self.peers[over].timing)

    def memory_above_stock(self, peer: str) -> bool:
        """Tell whether a call's peak memory was found to be above that of the stock layers, by either figure.

        It is False for whole steps, because their figure includes the libraries' and compilers' own memory.
        """
        own, stock = self.peers[peer], self.peers[STOCK]
        if own.peak_allocated is None:
            return False
        return _above(own.peak_allocated, stock.peak_allocated, 0) or _above(
            own.peak_resident, stock.peak_resident, RESIDENT_NOISE
        )


def best_of_threads(
    measured: Mapping[tuple[str, int], Measured],
) -> tuple[dict[str, Measured], tuple[tuple[str, Measured], ...]]:
    """Choose for each peer the number of threads at which its median is lowest.

    Args:
        measured: what was found, by peer and number of threads.

    Returns:
        ``peers`` and ``others`` of a Comparison: the best of each peer, and all the others.

    """
    best: dict[str, Measured] = {}
    for (peer, _), found in measured.items():
        if peer not in best or found.timing.seconds.median < best[peer].timing.seconds.median:
            best[peer] = found
    others = tuple((peer, found) for (peer, _), found in measured.items() if found is not best[peer])
    return best, others


def describe_sizes(sizes: dict[str, int]) -> str:
    """Write sizes as text, such as "V=27 E=10"."""
    return " ".join(f"{name}={size}" for name, size in sizes.items())


def _above(own: int | None, stock: int | None, noise: int) -> bool:
    return own is not None and stock is not None and own > stock + noise
