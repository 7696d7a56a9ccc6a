"""Which results the charts show, and how their numbers and names are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from namegen_bench.names import GPU
from namegen_bench.reporting.results import Result, latest

T = TypeVar("T", bound=Hashable)

_NAMES = {"mlp": "MLP", "wavenet": "WaveNet", "gpt": "GPT", "bigram": "bigram"}


def of_one_machine(results: Sequence[Result]) -> list[Result]:
    """Return the last result of each key, from the machine that measured last.

    A file only grows, and its older results may be of other machines. These are left out. The results of GPUs and those
    of CPUs may be of two machines: for each kind, the machine counts that measured last.
    """
    last = {on_gpu(result): _machine_of(result) for result in results}
    return [result for result in latest(results).values() if _machine_of(result) == last[on_gpu(result)]]


def on_gpu(result: Result) -> bool:
    """Tell whether a result was measured on a GPU."""
    return result.key.suite == GPU


def _machine_of(result: Result) -> tuple[str, str, str]:
    return result.key.cpu, result.key.isa, result.key.gpu


def best_of_threads(results: Iterable[Result]) -> list[Result]:
    """Keep the fastest of the results that differ only in the number of threads."""
    best: dict[Hashable, Result] = {}
    for result in results:
        task = result.key._replace(threads=0)
        if task not in best or result.seconds.median < best[task].seconds.median:
            best[task] = result
    return list(best.values())


def of_fewest_threads(results: Iterable[Result]) -> list[Result]:
    """Of the results that differ only in the number of threads, keep the one with the fewest."""
    kept: dict[Hashable, Result] = {}
    for result in results:
        task = result.key._replace(threads=0)
        if task not in kept or result.key.threads < kept[task].key.threads:
            kept[task] = result
    return list(kept.values())


def grouped(results: Iterable[Result], by: Callable[[Result], T]) -> dict[T, list[Result]]:
    """Group results by what ``by`` returns, in the order in which it first occurs."""
    groups: dict[T, list[Result]] = {}
    for result in results:
        groups.setdefault(by(result), []).append(result)
    return groups


def peers_of(results: Iterable[Result]) -> list[str]:
    """Return the name of each peer once."""
    return list(dict.fromkeys(result.key.peer for result in results))


def size_of(sizes: str, name: str) -> int | None:
    """Read one size from a text such as "V=27 H=200"; None where the text lacks it."""
    found = re.search(rf"(?:^|\s){re.escape(name)}=(\d+)(?:\s|$)", sizes)
    return int(found[1]) if found else None


def sizes_without(sizes: str, name: str) -> str:
    """Remove one size from a text such as "V=27 H=200"."""
    return " ".join(size for size in sizes.split() if not size.startswith(f"{name}="))


def case_title(case: str) -> str:
    """Write a case's name as people write it, such as "MLP with batch norm" or "embedding_concat_linear"."""
    first, space, rest = case.partition(" ")
    return _NAMES.get(first, first) + space + rest


def machine_line(measured: Sequence[Result], *, best: bool = True) -> str:
    """Name the machine and the versions that results were measured with.

    Args:
        measured: the results, at all numbers of threads.
        best: whether only the best number of threads of each peer is shown, not how they differ.

    """
    last = measured[-1]
    threads = sorted({result.key.threads for result in measured})
    if len(threads) == 1:
        counts = f"{threads[0]} thread{'s' if threads[0] != 1 else ''}"
    else:
        counts = f"each at the best of {', '.join(map(str, threads))} threads" if best else ""
    machine = f"{last.key.cpu} and {last.key.gpu}" if last.key.gpu else last.key.cpu
    machine = re.sub(r"\((R|TM)\)", "", machine)
    parts = [machine, last.key.isa, counts, last.versions, last.commit and f"commit {last.commit}"]
    return "; ".join(part for part in (*parts, last.date[:10]) if part)


def short_time(seconds: float) -> str:
    """Write a time with three digits, such as "18.3 µs", "1.25 ms" or "2.60 s"."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * scale:
            return f"{_three_digits(seconds / scale)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def times_as_fast(ratio: float) -> str:
    """Write a ratio, such as "0.023×", "0.57×", "8.9×" or "23×"."""
    if ratio < 0.095:
        return f"{ratio:.2g}×"
    return f"{ratio:.2f}×" if ratio < 0.995 else f"{ratio:.1f}×" if ratio < 19.95 else f"{ratio:,.0f}×"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
