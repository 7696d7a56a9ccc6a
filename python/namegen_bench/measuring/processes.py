"""Where the processes of the benchmarks come from."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

# The server loads these once, before the first process is forked. None of them computes anything when it is loaded.
# torch._dynamo is among them because making an optimizer imports it, which takes a second.
_PRELOADED = ["namegen_bench.suites.all_suites", "torch._dynamo"]


def clean_processes() -> ForkServerContext:
    """Return a context that starts processes from the same clean state, each in a fraction of a second.

    The processes are forked from a small server that has imported torch and the suites and has run nothing. So nothing
    that was measured before has started a thread there or used memory.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context
