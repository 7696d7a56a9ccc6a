"""Results as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.timing import Quartiles
from namegen_bench.names import FUSED_LAYERS, FUSED_STEP, STOCK

MET, WITHIN_NOISE, MISSED = "met", "within noise", "missed"
_STYLES = {MET: "green", WITHIN_NOISE: "yellow", MISSED: "red"}
_TARGET_PEER = FUSED_LAYERS  # the targets are for what a user of fuse gets

LEGEND = (
    "time: median (lower to upper quartile). speedup: over stock, from neighbouring samples; "
    f"the target is for {_TARGET_PEER}\n"
    f"and for {FUSED_STEP} over the peers named. of floor: the time that the operations, or going through the\n"
    "bytes, would take at the machine's own rates, over the median.\n"
    "memory: of ops, the peak of one forward+backward: held of torch's allocator, then, for large batches, "
    "growth of the\nprocess; of whole steps, all that the process came to hold for it, compilers' leavings included. "
    "threads: the best of those measured."
)


def verdict(speedup: Quartiles, target: float) -> str:
    """Say whether a speedup reaches its target; "within noise" where only its upper quartile does."""
    if speedup.median >= target:
        return MET
    return WITHIN_NOISE if speedup.upper >= target else MISSED


def print_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print comparisons of one suite as one table, with a line for each peer of each comparison."""
    first = comparisons[0]
    several_cases = len({(one.case, one.sizes) for one in comparisons}) > 1
    all_found = [found for one in comparisons for found in one.peers.values()]
    has_threads = any(found.threads is not None for found in all_found)
    has_memory = any(found.peak_allocated or found.peak_resident for found in all_found)
    has_compiler = any(found.compile_seconds is not None for found in all_found)
    has_loss = any(found.loss is not None for found in all_found)
    has_floor = any(found.share_of_floor is not None for found in all_found)
    in_seconds = all(one.mode == "process" for one in comparisons)

    title = first.suite if several_cases else f"{first.suite}: {first.case} ({first.sizes})"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("case" if several_cases else "mode")
    table.add_column("batch", justify="right")
    table.add_column("peer")
    if has_threads:
        table.add_column("threads", justify="right")
    table.add_column("time, s" if in_seconds else "time, us", justify="right")
    table.add_column("speedup", justify="right")
    table.add_column("target")
    if has_floor:
        table.add_column("of floor", justify="right")
    if has_memory:
        table.add_column("memory, KiB", justify="right")
    if has_compiler:
        table.add_column("compiling, s", justify="right")
    if has_loss:
        table.add_column("loss", justify="right")

    modes = list(dict.fromkeys(comparison.mode for comparison in comparisons))
    for comparison in sorted(comparisons, key=lambda one: modes.index(one.mode)):
        # The first lines of a comparison say what was measured.
        names = [comparison.case, comparison.sizes] if several_cases else [comparison.mode]
        if len(names) > len(comparison.peers):
            names = ["\n".join(names)]
        names += [""] * (len(comparison.peers) - len(names))
        for name, (peer, found) in zip(names, comparison.peers.items(), strict=True):
            is_first = peer == STOCK
            line = [
                escape(name),
                f"{comparison.batch:,}" if is_first else "",
                peer,
                *([f"{found.threads or ''}"] if has_threads else []),
                _time(found.timing.seconds, in_seconds=in_seconds),
                "" if is_first else _speedup(comparison.speedup(peer)),
                _target(comparison, peer),
            ]
            if has_floor:
                line.append(_share(found.share_of_floor))
            if has_memory:
                line.append(_memory(comparison, peer))
            if has_compiler:
                line.append("" if found.compile_seconds is None else f"{found.compile_seconds:.1f}")
            if has_loss:
                line.append("" if found.loss is None else f"{found.loss:.6f}")
            table.add_row(*line)
        table.add_section()
    console.print(table)
    for note in dict.fromkeys(note for comparison in comparisons for note in comparison.notes):
        console.print(f"note: {escape(note)}")
    console.print()


def _time(seconds: Quartiles, *, in_seconds: bool) -> str:
    if in_seconds:
        return f"{seconds.median:.2f} ({seconds.lower:.2f} to {seconds.upper:.2f})"
    micros = seconds.scaled(1e6)
    return f"{_number(micros.median)} ({_number(micros.lower)} to {_number(micros.upper)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def _speedup(speedup: Quartiles) -> str:
    return f"{speedup.median:.2f} ({speedup.lower:.2f} to {speedup.upper:.2f})"


def _target(comparison: Comparison, peer: str) -> str:
    """Write a line for each target of a peer: what should be reached, and whether it was."""
    if peer == _TARGET_PEER and comparison.target is not None:
        word = verdict(comparison.speedup(peer), comparison.target)
        return f"[{_STYLES[word]}]{comparison.target:g} {word}[/]"
    lines = []
    if peer == FUSED_STEP and comparison.most_seconds is not None:
        seconds = comparison.peers[peer].timing.seconds
        word = verdict(_inverse(seconds), 1 / comparison.most_seconds)
        lines.append(f"[{_STYLES[word]}]{comparison.most_seconds:g} s at most: {word}[/]")
    for other, target in comparison.step_targets.items() if peer == FUSED_STEP else ():
        if other in comparison.peers:
            speedup = comparison.speedup(peer, over=other)
            word = verdict(speedup, target)
            lines.append(f"[{_STYLES[word]}]{target:g} x {other}: {speedup.median:.2f} {word}[/]")
    return "\n".join(lines)


def _share(share: float | None) -> str:
    """Write a share with two digits, such as "42%" or "0.31%"."""
    if share is None:
        return ""
    return f"{share:.0%}" if share >= 0.095 else f"{100 * share:.2g}%"


def _inverse(seconds: Quartiles) -> Quartiles:
    return Quartiles(1 / seconds.upper, 1 / seconds.median, 1 / seconds.lower)


def _memory(comparison: Comparison, peer: str) -> str:
    found = comparison.peers[peer]
    figures = [size for size in (found.peak_allocated, found.peak_resident) if size is not None]
    text = ", ".join(f"{size / 1024:,.0f}" for size in figures)
    return f"[red]{text} above stock[/]" if comparison.memory_above_stock(peer) else text
