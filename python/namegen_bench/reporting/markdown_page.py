"""``--page``: a Markdown page of the results in a CSV file, with charts and all the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from namegen_bench.names import GPU
from namegen_bench.reporting.charts.all_charts import all_charts
from namegen_bench.reporting.charts.chart import Chart
from namegen_bench.reporting.charts.look import DARK, LIGHT
from namegen_bench.reporting.charts.select import grouped, of_one_machine, on_gpu
from namegen_bench.reporting.markdown_tables import steps_table, suite_table
from namegen_bench.reporting.results import Result, latest

PICTURE_FORMATS = ("svg",)
_FOLDED_FROM = 30  # a table with more rows is folded

_METHOD = """\
Times are medians; the quartiles stand behind them. Peers take turns, sample by sample; what compiles is compiled
before. Minibatches are drawn inside every step. The losses, or the outputs and gradients, of all peers were found
equal before a time was kept. "Times as fast" is over torch.nn, eager, in the same case (over batched, eager, where
names are drawn), at its best number of threads. "Of floor" is the time that the operations and the moving of bytes
would take at the rates of this machine, measured in the same run, over the median: 100% could not be made faster."""


def page_charts(results: Sequence[Result]) -> list[Chart]:
    """Return the charts that the page shows."""
    return all_charts(results)


def render_page(results: Sequence[Result], csv_path: str, page_path: str) -> str:
    """Write the page.

    Args:
        results: the results in the CSV file.
        csv_path: the path of the CSV file as a command names it, from the root of the checkout.
        page_path: the path of the page, also from the root. Its pictures lie in the directory with its name without the
            ending.

    Returns:
        The page as Markdown. The same results give the same text.

    """
    shown = of_one_machine(results)
    suites = grouped(shown, lambda one: one.key.suite)
    on_cpu = [suite for suite in suites if suite != GPU]
    commands = [
        f"python -m namegen_ext.bench {' '.join(names)} --csv {csv_path}"
        for names in (on_cpu, [GPU] if GPU in suites else [])
        if names
    ]
    parts = [
        "# Benchmarks",
        f"Measured on {_machines(shown)}, by",
        _code(commands),
        f"The numbers stand in [{Path(csv_path).name}]({_link(csv_path, page_path)}){_left_out(results, shown)}; page "
        "and pictures are made from it by",
        _code([f"python -m namegen_ext.bench --from {csv_path} --page {page_path}"]),
        _METHOD,
        *_rates(shown),
    ]
    steps = [one for one in suites.get("train", []) if one.key.mode == "step"]
    if steps:
        parts += ["## Whole training steps", steps_table(steps)]
    for chart in page_charts(results):
        parts += [f"## {chart.title}", picture_html(chart, Path(page_path).stem)]
    parts.append("## All numbers")
    for suite, of_suite in suites.items():
        table = suite_table(of_suite)
        if len(of_suite) > _FOLDED_FROM:
            table = f"<details><summary>{len(of_suite)} rows</summary>\n\n{table}\n\n</details>"
        parts += [f"### {suite}", table]
    return "\n\n".join(parts) + "\n"


def picture_html(chart: Chart, directory: str) -> str:
    """Write the HTML that shows a chart, in its light or its dark form to match the reader's pages."""
    alt = chart.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    light, dark = (f"{directory}/{chart.name}-{theme.name}.svg" for theme in (LIGHT, DARK))
    return (
        f'<picture>\n<source media="(prefers-color-scheme: dark)" srcset="{dark}" />\n'
        f'<img src="{light}" alt="{alt}" />\n</picture>'
    )


def _machines(shown: Sequence[Result]) -> str:
    """Name the machine; or two, because the suite gpu may have been measured on another machine than the rest."""
    of_gpu = [one for one in shown if on_gpu(one)]
    others = [one for one in shown if not on_gpu(one)]
    if not of_gpu or not others:
        return _machine(shown)
    return f"{_machine(others)}; and, the suite gpu, on {_machine(of_gpu)}"


def _machine(shown: Sequence[Result]) -> str:
    last = shown[-1]
    days = sorted({one.date[:10] for one in shown if one.date})
    commits = list(dict.fromkeys(one.commit for one in shown if one.commit))
    parts = [
        last.key.cpu + (f" with {last.key.gpu}" if last.key.gpu else ""),
        f"kernels for {last.key.isa}",
        last.versions,
        f"commit {', '.join(commits)}" if commits else "",
        " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
    ]
    return ", ".join(part for part in parts if part)


def _left_out(results: Sequence[Result], shown: Sequence[Result]) -> str:
    others = len(latest(results)) - len(shown)
    return f", which also holds {others} of other machines" if others else ""


def _rates(shown: Sequence[Result]) -> list[str]:
    """Write the machine's own rates, for each number of threads that has them."""
    lines = []
    on_cpu = [one for one in shown if not on_gpu(one)]
    for threads, same in sorted(grouped(on_cpu, lambda one: one.key.threads).items()):
        known = [one for one in same if one.fma_rate is not None]
        if not known:
            continue
        last = known[-1]
        numbers = [f"{last.fma_rate / 1e9:,.0f} GFLOP/s of float32 multiply-adds" if last.fma_rate else ""]
        numbers += [f"{last.bandwidth / 1e9:,.1f} GB/s of memory" if last.bandwidth else ""]
        numbers += [f"clock {last.clock_mhz:,.0f} MHz" if last.clock_mhz else ""]
        words = f"{threads} thread{'s' if threads != 1 else ''}"
        lines.append(f"- {words}: {', '.join(part for part in numbers if part)}")
    return ["The machine's own rates:", "\n".join(lines)] if lines else []


def _code(commands: Sequence[str]) -> str:
    return "\n".join(("```", *commands, "```"))


def _link(csv_path: str, page_path: str) -> str:
    directory = Path(page_path).parent
    path = Path(csv_path)
    return (path.relative_to(directory) if path.is_relative_to(directory) else path).as_posix()
