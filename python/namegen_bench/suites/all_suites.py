"""The suites by name: each is a function that measures. This loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.settings import Settings
from namegen_bench.names import GPU, OPS, SAMPLE, SCALING, TIME_TO_LOSS, TRAIN
from namegen_bench.suites.gpu import run_gpu
from namegen_bench.suites.ops import run_ops
from namegen_bench.suites.sample import run_sample
from namegen_bench.suites.scaling_suite import run_scaling
from namegen_bench.suites.time_to_loss_suite import run_time_to_loss
from namegen_bench.suites.train import run_train

# A suite takes the settings, the numbers of threads (a suite that needs only one takes the first), the peers to measure
# beside stock (None for all), and a function that is called with what is being measured, as text.
Suite = Callable[
    [Settings, Sequence[int], "frozenset[str] | None", Callable[[str], None]], Iterator[Comparison]
]

SUITE_FUNCTIONS: dict[str, Suite] = {
    OPS: run_ops,
    TRAIN: run_train,
    SCALING: run_scaling,
    SAMPLE: run_sample,
    TIME_TO_LOSS: run_time_to_loss,
    GPU: run_gpu,
}
