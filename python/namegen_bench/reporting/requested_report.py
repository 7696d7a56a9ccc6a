"""The report that was asked for: a comparison, charts and a page of results that were measured now or are in a file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from namegen_bench.reporting.changes import compare_results, print_changes
from namegen_bench.reporting.chart_files import (
    ChartError,
    check_file,
    check_matplotlib,
    check_plot,
    draw,
    draw_into,
    write_file,
)
from namegen_bench.reporting.markdown_page import PICTURE_FORMATS, page_charts, render_page
from namegen_bench.reporting.results import Result, ResultsError, read_results

# The options that only a measurement needs, each with its attribute and the attribute's default.
_MEASURING = (
    ("threads", None, "--threads"),
    ("csv", None, "--csv"),
    ("peers", None, "--peers"),
    ("data", None, "--data"),
    ("quick", False, "--quick"),
)


class ReportError(ValueError):
    """The report cannot be made; the message names the argument and says why."""


@dataclass(frozen=True)
class Report:
    """What was asked for. It has been checked.

    Attributes:
        source: the CSV file that the results come from; None where they are measured.
        read: the results in that file of the suites that were asked for.
        old_name: the name of the file to compare with.
        old: the results in that file; None where nothing is compared.
        plot: the path of the charts; None for no charts.
        page: the path of the page; None for no page.

    """

    source: Path | None
    read: list[Result]
    old_name: str
    old: list[Result] | None
    plot: Path | None
    page: Path | None

    def make(self, results: Sequence[Result], console: Console) -> None:
        """Print the comparison, draw the charts and write the page, as far as they were asked for.

        Raises:
            ChartError: there is nothing to draw, or a file cannot be written.

        """
        if self.old is not None:
            print_changes(compare_results(self.old, results), console, self.old_name)
        if self.plot is not None:
            files = draw(results, self.plot)
            what = str(self.plot) if len(files) == 1 else f"{len(files)} files in {self.plot}"
            console.print(f"drawn: {what}", highlight=False, markup=False)
        if self.page is not None and self.source is not None:
            files = draw_into(page_charts(results), self.page.with_suffix(""), PICTURE_FORMATS)
            text = render_page(results, self.source.as_posix(), self.page.as_posix())
            write_file(self.page, text.encode())
            console.print(f"written: {self.page} and {len(files)} pictures", highlight=False, markup=False)


def check_report(options: argparse.Namespace) -> Report:
    """Check that everything that was asked for can be made, before anything is measured.

    Raises:
        ReportError: an argument is wrong, or a file cannot be read.

    """
    if options.source is not None:
        for name, default, option in _MEASURING:
            if getattr(options, name) != default:
                raise ReportError(f"argument {option}: not allowed with --from, which measures nothing")
        if options.compare is None and options.plot is None and options.page is None:
            raise ReportError("argument --from: give --compare, --plot or --page with it")
    elif options.page is not None:
        raise ReportError("argument --page: needs --from, the CSV file that the page tells of")
    old = read = None
    if options.compare is not None:
        old = _checked("--compare", lambda: read_results(options.compare))
    if options.source is not None:
        read = _checked("--from", lambda: _of_suites(options.source, options.suites))
    if options.plot is not None:
        _checked("--plot", lambda: check_plot(options.plot))
    if options.page is not None:
        _checked("--page", lambda: _check_page(options.page))
    return Report(options.source, read or [], str(options.compare), old, options.plot, options.page)


def _checked(option: str, check: Callable[[], Any]) -> Any:
    try:
        return check()
    except (ChartError, ResultsError) as error:
        raise ReportError(f"argument {option}: {error}") from None


def _of_suites(path: Path, suites: Sequence[str]) -> list[Result]:
    found = [one for one in read_results(path) if not suites or one.key.suite in suites]
    if not found:
        raise ResultsError(f"{path}: holds no results of {' or '.join(suites)}")
    return found


def _check_page(path: Path) -> None:
    if path.suffix != ".md":
        raise ChartError(f"got {str(path)!r}, expected a file that ends in .md")
    check_file(path)
    check_matplotlib()
