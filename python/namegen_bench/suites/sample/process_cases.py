"""Whole processes: ``python -m namegen_ext.sample`` from its start to its end, beside one that imports torch alone.

The command reads a run directory, draws names natively and writes them. It loads no torch. The peer "stock" draws
nothing: ``python -c 'import torch'`` is what any process waits for before it can draw names through torch.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from namegen_bench.bench_errors import BenchError
from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.comparison import Comparison, Measured, describe_sizes
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import measure
from namegen_bench.names import NATIVE, SAMPLE, STOCK
from namegen_ext.fit_names import fit

_IMPORT_TORCH = (sys.executable, "-c", "import torch")
_SAMPLE = (sys.executable, "-m", "namegen_ext.sample")

# How many names the command draws, and the most seconds that it should take.
AIMS = {20: 0.35, 1_000_000: 0.6}
_QUICK_NAMES = (20,)


def measure_processes(
    case: str, options: dict[str, Any], settings: Settings, rates: Rates, tell: Callable[[str], None]
) -> Iterator[Comparison]:
    """Measure the command for each number of names, in seconds per process. Its least work is not counted.

    Args:
        case: the model's name in the tables.
        options: the options that the model is trained with.
        settings: how often each process is started.
        rates: the machine's rates, for the rows.
        tell: is called with what is being measured.

    Raises:
        BenchError: a process failed.
        DisagreementError: the command wrote another number of names.

    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        generator = fit("census", fused=True, **options)
        generator.save(path)
        sizes = describe_sizes({"V": len(generator.vocabulary), "block": generator.config.options.block_size})
        for names in _QUICK_NAMES if settings.quick else AIMS:
            tell(f"{case}, processes of {names:,} names")
            yield _compare(case, sizes, path, names, settings, rates)


def _compare(case: str, sizes: str, path: Path, names: int, settings: Settings, rates: Rates) -> Comparison:
    command = (*_SAMPLE, str(path), "-n", str(names), "--seed", "1")
    found = len(_run(command).splitlines())
    if found != names:
        raise DisagreementError(f"{case}: the command wrote {found:,} names, expected {names:,}")
    timings = measure({STOCK: _process(_IMPORT_TORCH), NATIVE: _process(command)}, settings)
    seconds = timings[NATIVE].seconds.median
    return Comparison(
        suite=SAMPLE,
        case=case,
        mode="process",
        sizes=sizes,
        batch=names,
        peers={peer: Measured(timing, rates=rates) for peer, timing in timings.items()},
        notes=(
            f"{case}: a process that draws {names:,} names takes {seconds:.3f} s (aim: {AIMS[names]:g}); "
            "stock is a process that imports torch and draws nothing",
        ),
    )


def _process(command: Sequence[str]) -> Callable[[int], None]:
    def sample(calls: int) -> None:
        for _ in range(calls):
            _run(command)

    return sample


def _run(command: Sequence[str]) -> bytes:
    """Run a process to its end; return what it wrote to standard output."""
    finished = subprocess.run(command, capture_output=True, check=False)
    if finished.returncode != 0:
        lines = finished.stderr.decode(errors="replace").strip().splitlines()
        raise BenchError(f"{' '.join(command[:3])}: {lines[-1] if lines else finished.returncode}")
    return finished.stdout
