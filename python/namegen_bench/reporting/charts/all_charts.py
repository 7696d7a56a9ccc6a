"""All charts, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from namegen_bench.reporting.charts.chart import Chart
from namegen_bench.reporting.charts.operator_charts import gpu_operators, operators
from namegen_bench.reporting.charts.sampling_charts import sampling, time_to_loss
from namegen_bench.reporting.charts.scaling_charts import (
    memory_by_batch,
    operators_memory,
    operators_time,
    steps_by_batch,
    steps_by_hidden_size,
    steps_by_threads,
)
from namegen_bench.reporting.charts.select import of_one_machine
from namegen_bench.reporting.charts.step_charts import other_steps, training_step
from namegen_bench.reporting.results import Result

_BUILDERS: tuple[Callable[[Sequence[Result]], Chart | None], ...] = (
    training_step,
    other_steps,
    time_to_loss,
    sampling,
    steps_by_batch,
    steps_by_hidden_size,
    steps_by_threads,
    memory_by_batch,
    operators,
    operators_time,
    operators_memory,
    gpu_operators,
)


def all_charts(results: Sequence[Result]) -> list[Chart]:
    """Return every chart that there are results for."""
    shown = of_one_machine(results)
    charts = (build(shown) for build in _BUILDERS)
    return [chart for chart in charts if chart is not None]
