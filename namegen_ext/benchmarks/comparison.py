"""What a suite yields: one case, measured for all its peers."""

from __future__ import annotations

from dataclasses import dataclass, field

from namegen_ext.benchmarks.timing import Quartiles, Timing

STOCK = "stock"


@dataclass(frozen=True)
class Measured:
    """What was found for one peer of a case.

    Attributes:
        timing: seconds per call (suite ops) or per training step (suite train).
        compile_seconds: how long the first call took, where it compiles; None where nothing is compiled.
        peak_allocated: bytes that torch's allocator held at the peak beyond those before; None: not measured.
        peak_resident: bytes by which the process grew at the peak; None: not measured.
        loss: the loss in nats after the checked steps; None where there is no loss.

    """

    timing: Timing
    compile_seconds: float | None = None
    peak_allocated: int | None = None
    peak_resident: int | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One case: the same computation by all its peers.

    Attributes:
        suite: the suite's name.
        case: what is computed, such as "batch_norm".
        mode: "inference", "forward", "forward+backward" or "step".
        sizes: the sizes other than the batch, as text.
        batch: number of examples.
        peers: what was found, by peer; "stock" is among them.
        target: the speedup over stock that each fused peer is to reach; None where none is set.
        notes: peers that were left out, and why.

    """

    suite: str
    case: str
    mode: str
    sizes: str
    batch: int
    peers: dict[str, Measured]
    target: float | None = None
    notes: tuple[str, ...] = field(default=())

    def speedup(self, peer: str) -> Quartiles:
        """How many times as fast as the stock layers a peer is."""
        return self.peers[peer].timing.speedup_over(self.peers[STOCK].timing)


def describe_sizes(sizes: dict[str, int]) -> str:
    """Write sizes as text: "V=27 E=10"."""
    return " ".join(f"{name}={size}" for name, size in sizes.items())
