"""``--plot``: the charts as files. This needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from namegen_bench.bench_errors import BenchError
from namegen_bench.reporting.charts.all_charts import all_charts
from namegen_bench.reporting.charts.chart import Chart, render
from namegen_bench.reporting.charts.look import LIGHT, THEMES
from namegen_bench.reporting.results import Result
from namegen_ext.cli.parser import problem_with_file

FORMATS = ("pdf", "png", "svg")
DIRECTORY_FORMATS = ("png", "svg")


class ChartError(BenchError):
    """A chart cannot be drawn or written; the message says why."""


def check_plot(path: Path) -> None:
    """Check that charts can be drawn and written, before anything is measured.

    Raises:
        ChartError: the path is neither a directory nor a file that ends in one of FORMATS, its parent directory does
            not exist, or matplotlib is not installed.

    """
    if not _is_directory(path) and _ending(path) not in FORMATS:
        raise ChartError(
            f"got {str(path)!r}, expected a directory, or a file that ends in .{', .'.join(FORMATS)}"
        )
    if not _is_directory(path):
        check_file(path)
    elif not path.absolute().parent.is_dir():
        raise ChartError(
            f"got {str(path)!r}, whose directory does not exist, expected one in a directory that does"
        )
    check_matplotlib()


def check_file(path: Path) -> None:
    """Check that a file can be written.

    Raises:
        ChartError: it cannot be written.

    """
    problem = problem_with_file(path)
    if problem is not None:
        raise ChartError(problem)


def check_matplotlib() -> None:
    """Check that pictures can be drawn.

    Raises:
        ChartError: matplotlib is not installed.

    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ChartError(
            'matplotlib is not installed: pip install "namegen_ext[bench]", or in a checkout pip install -e ".[bench]"'
        ) from None


def draw(results: Sequence[Result], path: Path) -> list[Path]:
    """Draw every chart that there are results for.

    Args:
        results: the results of one run or of a file. Those of the machine of the last result are drawn, and the last
            one of each key.
        path: a file that gets all charts, one below the other, on a light ground; or a directory that gets each chart
            as ``NAME-light`` and ``NAME-dark``, as PNG and as SVG. The directory is made where it does not exist.

    Returns:
        The paths of the files.

    Raises:
        ChartError: there is nothing to draw, or a file cannot be written.

    """
    charts = all_charts(results)
    if not charts:
        raise ChartError("nothing was measured that could be drawn")
    if not _is_directory(path):
        write_file(path, render(charts, LIGHT, _ending(path)))
        return [path]
    return draw_into(charts, path, DIRECTORY_FORMATS)


def draw_into(charts: Sequence[Chart], directory: Path, formats: Sequence[str]) -> list[Path]:
    """Draw charts into a directory, which is made where it does not exist; see :func:`draw`."""
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise ChartError(f"{directory}: cannot be made: {error.strerror or error}") from None
    files = []
    for chart in charts:
        for theme in THEMES:
            for file_format in formats:
                files.append(directory / f"{chart.name}-{theme.name}.{file_format}")
                write_file(files[-1], render([chart], theme, file_format))
    return files


def _ending(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _is_directory(path: Path) -> bool:
    return path.is_dir() or (not path.suffix and not path.name.startswith("."))


def write_file(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it.

    Raises:
        ChartError: it cannot be written.

    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise ChartError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)
