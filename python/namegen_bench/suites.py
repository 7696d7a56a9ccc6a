"""The suites by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from namegen_bench.comparison import STOCK, Comparison
from namegen_bench.gpu import run_gpu
from namegen_bench.gpu.suite import PEERS as GPU_PEERS
from namegen_bench.ops import run_ops
from namegen_bench.ops.case import PEERS as OPS_PEERS
from namegen_bench.sample import PEERS as SAMPLE_PEERS
from namegen_bench.sample import run_sample
from namegen_bench.scaling import run_scaling
from namegen_bench.settings import Settings
from namegen_bench.time_to_loss import PEERS as TIME_TO_LOSS_PEERS
from namegen_bench.time_to_loss import SUITE as TIME_TO_LOSS
from namegen_bench.time_to_loss import run_time_to_loss
from namegen_bench.train import run_train
from namegen_bench.train.peers import PEERS as TRAIN_PEERS

# Takes the settings, the numbers of threads (a suite that has use for one alone takes the first), the peers to measure
# beside stock (None for all), and a function that is told what is being measured.
Suite = Callable[
    [Settings, Sequence[int], "frozenset[str] | None", Callable[[str], None]], Iterator[Comparison]
]

SUITES: dict[str, Suite] = {
    "ops": run_ops,
    "train": run_train,
    "scaling": run_scaling,
    "sample": run_sample,
    TIME_TO_LOSS: run_time_to_loss,
    "gpu": run_gpu,
}
# Measured where none is named.
DEFAULT_SUITES = ("ops", "train", "scaling", "sample", TIME_TO_LOSS)

PEERS = tuple(dict.fromkeys((*OPS_PEERS, *TRAIN_PEERS, *SAMPLE_PEERS, *TIME_TO_LOSS_PEERS, *GPU_PEERS)))

assert PEERS[0] == STOCK
