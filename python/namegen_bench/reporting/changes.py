"""What became faster or slower between two runs: ``--compare OLD.csv``.

A result counts as changed where both of these hold:

- the ranges between the quartiles of the two measurements do not overlap, and
- the greater median is more than ``FLOOR`` above the smaller one.

The quartiles show the noise within a run. Between runs, the placement of memory and the clock of the CPU differ too.
Code that had not changed was measured twice on the same quiet machine: in a third of its results the ranges did not
overlap, and the medians were up to 4% apart. The floor is there for that reason.

Where the peers that are not part of this package changed as well, the machine or torch has changed. One result does not
show that, but all of them together do, so their median change is printed too.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from namegen_bench.reporting.charts.look import OWN
from namegen_bench.reporting.results import Key, Result, latest

FLOOR = 0.05
FASTER, SLOWER, UNCHANGED = "faster", "slower", "unchanged"

_MACHINE_FIELDS = {"cpu": "CPU", "gpu": "GPU", "isa": "instruction set", "threads": "threads"}


@dataclass(frozen=True)
class Change:
    """The results of one key in both runs."""

    old: Result
    new: Result

    @property
    def ratio(self) -> float:
        """The new median over the old one; above 1 is slower."""
        return self.new.seconds.median / self.old.seconds.median

    @property
    def verdict(self) -> str:
        """FASTER, SLOWER, or UNCHANGED where the difference may be noise."""
        old, new = self.old.seconds, self.new.seconds
        if new.lower > old.upper and new.median > (1 + FLOOR) * old.median:
            return SLOWER
        if new.upper < old.lower and old.median > (1 + FLOOR) * new.median:
            return FASTER
        return UNCHANGED


@dataclass(frozen=True)
class Changes:
    """Two runs side by side. Where a run has several results of one key, the last one counts.

    Attributes:
        both: the results of the keys that both runs measured, in the order of the new run.
        only_old: results whose key the new run lacks.
        only_new: results whose key the old run lacks.
        elsewhere: pairs of keys that differ only in the CPU, the GPU, the instruction set or the number of threads. The
            first is the old run's last key of that kind, the second is a key of ``only_new``.

    """

    both: list[Change]
    only_old: list[Result]
    only_new: list[Result]
    elsewhere: list[tuple[Key, Key]] = field(default_factory=list)

    def of(self, verdict: str) -> list[Change]:
        """Return the changes with a verdict. The greatest change comes first."""
        found = [change for change in self.both if change.verdict == verdict]
        return sorted(found, key=lambda change: max(change.ratio, 1 / change.ratio), reverse=True)

    def drift(self) -> tuple[float, int]:
        """Return the median ratio of the peers that are not part of this package, and their number.

        The ratio is 1 where there are no such peers. Their code has not changed, unless torch or another package was
        replaced.
        """
        ratios = [change.ratio for change in self.both if change.new.key.peer not in OWN]
        return (statistics.median(ratios) if ratios else 1.0), len(ratios)


def compare_results(old: Iterable[Result], new: Iterable[Result]) -> Changes:
    """Find out what changed from one run to another."""
    old_by_key, new_by_key = latest(old), latest(new)
    both = [Change(old_by_key[key], result) for key, result in new_by_key.items() if key in old_by_key]
    only_old = [result for key, result in old_by_key.items() if key not in new_by_key]
    only_new = [result for key, result in new_by_key.items() if key not in old_by_key]
    by_task = {_task(key): key for key in old_by_key}
    elsewhere = [(by_task[_task(one.key)], one.key) for one in only_new if _task(one.key) in by_task]
    return Changes(both, only_old, only_new, elsewhere)


def print_changes(changes: Changes, console: Console, old_name: str) -> None:
    """Print what became slower and what became faster, and count the rest."""
    slower, faster = changes.of(SLOWER), changes.of(FASTER)
    if slower or faster:
        table = Table(title=escape(f"changed since {old_name}"), title_justify="left")
        for heading in ("", "suite", "case", "mode", "peer"):
            table.add_column(heading)
        for heading in ("batch", "threads", "before, us", "now, us", "change"):
            table.add_column(heading, justify="right")
        for change in (*slower, *faster):
            table.add_row(*_cells(change))
        console.print(table)
    counts = f"{len(slower)} slower, {len(faster)} faster, {len(changes.of(UNCHANGED))} unchanged"
    console.print(
        f"compared with {old_name}: {counts} (changed: the quartiles do not overlap, and the medians "
        f"are more than {FLOOR:.0%} apart)",
        highlight=False,
        markup=False,
    )
    ratio, number = changes.drift()
    if number:
        console.print(
            f"peers that are not part of this package: {_change(ratio)} in the median of {number}; where that is "
            "far from 1, the machine or their versions changed",
            highlight=False,
        )
    for sentence in _not_compared(changes):
        console.print(sentence, highlight=False, markup=False)
    console.print()


def _cells(change: Change) -> tuple[str, ...]:
    key, colour = change.new.key, "red" if change.verdict == SLOWER else "green"
    return (
        f"[{colour}]{change.verdict}[/]",
        escape(key.suite),
        escape(f"{key.case} ({key.sizes})" if key.sizes else key.case),
        escape(key.mode),
        escape(key.peer),
        f"{key.batch:,}",
        str(key.threads),
        _micros(change.old.seconds.median),
        _micros(change.new.seconds.median),
        _change(change.ratio),
    )


def _change(ratio: float) -> str:
    """Write how many times the old time the new time is."""
    return f"x {ratio:.3g}" if not 0.995 <= ratio < 1.005 else "x 1.00"


def _micros(seconds: float) -> str:
    micros = seconds * 1e6
    return f"{micros:,.0f}" if micros >= 1000 else f"{micros:.3g}"


def _not_compared(changes: Changes) -> list[str]:
    sentences = []
    elsewhere = len(changes.elsewhere)
    if elsewhere:
        differences = []
        for name, words in _MACHINE_FIELDS.items():
            old = sorted({str(getattr(old, name) or "none") for old, new in changes.elsewhere})
            new = sorted({str(getattr(new, name) or "none") for old, new in changes.elsewhere})
            if old != new:
                differences.append(f"{words}: {', '.join(old)} then, {', '.join(new)} now")
        where = "; ".join(differences) or "other combinations of them"
        sentences.append(f"not compared: {elsewhere} that were measured in other circumstances ({where})")
    tasks_elsewhere = {_task(new) for _, new in changes.elsewhere}
    only_new, only_old = (
        sum(_task(result.key) not in tasks_elsewhere for result in results)
        for results in (changes.only_new, changes.only_old)
    )
    if only_new or only_old:
        sentences.append(f"not compared: {only_new} only in the new run, {only_old} only in the old")
    return sentences


def _task(key: Key) -> Key:
    """Return a key without the circumstances: threads, instruction set, CPU and GPU."""
    return key._replace(threads=0, isa="", cpu="", gpu="")
