"""Which results are shown, and what is said about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from namegen_bench.names import GPU
from namegen_bench.reporting.results import Result, latest

T = TypeVar("T", bound=Hashable)

_NAMES = {"mlp": "MLP", "wavenet": "WaveNet", "gpt": "GPT", "bigram": "bigram"}


def of_one_machine(results: Sequence[Result]) -> list[Result]:
    """Return the last result of each key, of the machine that the last result of all is of.

    In a file, results only come on top: what other machines measured into it before is left out. The results of
    GPUs and those of CPUs may be of two machines, of each the last.
    """
    last = {on_gpu(result): _machine_of(result) for result in results}
    return [result for result in latest(results).values() if _machine_of(result) == last[on_gpu(result)]]


def on_gpu(result: Result) -> bool:
    """Whether a result is that of a GPU."""
    return result.key.suite == GPU


def _machine_of(result: Result) -> tuple[str, str, str]:
    return result.key.cpu, result.key.isa, result.key.gpu


def best_of_threads(results: Iterable[Result]) -> list[Result]:
    """Keep, of results that differ in the number of threads alone, the fastest."""
    best: dict[Hashable, Result] = {}
    for result in results:
        task = result.key._replace(threads=0)
        if task not in best or result.seconds.median < best[task].seconds.median:
            best[task] = result
    return list(best.values())


def grouped(results: Iterable[Result], by: Callable[[Result], T]) -> dict[T, list[Result]]:
    """Put results together that share something, in the order in which it first comes."""
    groups: dict[T, list[Result]] = {}
    for result in results:
        groups.setdefault(by(result), []).append(result)
    return groups


def peers_of(results: Iterable[Result]) -> list[str]:
    """The peers, each once."""
    return list(dict.fromkeys(result.key.peer for result in results))


def size_of(sizes: str, name: str) -> int | None:
    """Read one size from a text such as "V=27 H=200"; None where it is not there."""
    found = re.search(rf"(?:^|\s){re.escape(name)}=(\d+)(?:\s|$)", sizes)
    return int(found[1]) if found else None


def sizes_without(sizes: str, name: str) -> str:
    """Take one size out of a text such as "V=27 H=200"."""
    return " ".join(size for size in sizes.split() if not size.startswith(f"{name}="))


def case_title(case: str) -> str:
    """Name a case as people write it: "MLP with batch norm", "embedding_concat_linear"."""
    first, space, rest = case.partition(" ")
    return _NAMES.get(first, first) + space + rest


def machine_line(measured: Sequence[Result], *, best: bool = True) -> str:
    """Say on what and with what results were measured.

    Args:
        measured: all of them, of all numbers of threads.
        best: only the best number of threads of each is shown; else it is shown how they differ.

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
    """Write a time with three digits: "18.3 µs", "1.25 ms", "2.60 s"."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * scale:
            return f"{_three_digits(seconds / scale)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def times_as_fast(ratio: float) -> str:
    """Write a ratio: "0.023x", "0.57x", "8.9x", "23x"."""
    if ratio < 0.095:
        return f"{ratio:.2g}×"
    return f"{ratio:.2f}×" if ratio < 0.995 else f"{ratio:.1f}×" if ratio < 19.95 else f"{ratio:,.0f}×"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
