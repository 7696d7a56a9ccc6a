"""What a suite yields: one case, measured for all its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from namegen_ext.benchmarks.timing import Quartiles, Timing

STOCK, FUSED_STEP = "stock", "fused-step"

# Code that is loaded at the first call, and the allocator's own pages: bytes.
RESIDENT_NOISE = 256 * 1024


@dataclass(frozen=True)
class Measured:
    """What was found for one peer of a case.

    Attributes:
        timing: seconds per call (suite ops), per training step (suite train), or of a whole process (suite
            time-to-loss).
        compile_seconds: of a peer that compiles, how long its preparation and first steps took; else None.
        peak_allocated: bytes that torch's allocator held at the peak beyond those before; None: not measured.
        peak_resident: bytes by which the process grew at the peak; None: not measured.
        loss: the loss in nats after the checked steps, or the dev loss at the end (suite time-to-loss); None
            where there is no loss.
        share_of_floor: the time that the operations would take at the machine's own rate, over the median;
            None where they are not counted.

    """

    timing: Timing
    compile_seconds: float | None = None
    peak_allocated: int | None = None
    peak_resident: int | None = None
    loss: float | None = None
    share_of_floor: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One case: the same computation by all its peers.

    Attributes:
        suite: the suite's name.
        case: what is computed, such as "batch_norm".
        mode: "inference", "forward", "forward+backward", "step" or "process".
        sizes: the sizes other than the batch, as text.
        batch: number of examples.
        peers: what was found, by peer; "stock" is among them.
        target: the speedup over stock that fused layers are to reach; None where none is set.
        step_targets: the speedups over other peers that the step engine is to reach, by peer.
        most_seconds: what the step engine may take, at most; None where none is set.
        notes: peers that were left out, and why.

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

    def speedup(self, peer: str, over: str = STOCK) -> Quartiles:
        """How many times as fast as the stock layers, or as another peer, a peer is."""
        return self.peers[peer].timing.speedup_over(self.peers[over].timing)

    def memory_above_stock(self, peer: str) -> bool:
        """Whether a peer's peak memory was found to be above that of the stock layers, by either figure."""
        own, stock = self.peers[peer], self.peers[STOCK]
        return _above(own.peak_allocated, stock.peak_allocated, 0) or _above(
            own.peak_resident, stock.peak_resident, RESIDENT_NOISE
        )


def describe_sizes(sizes: dict[str, int]) -> str:
    """Write sizes as text: "V=27 E=10"."""
    return " ".join(f"{name}={size}" for name, size in sizes.items())


def _above(own: int | None, stock: int | None, noise: int) -> bool:
    return own is not None and stock is not None and own > stock + noise
