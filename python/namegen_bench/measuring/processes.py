"""Where the processes of the benchmarks come from."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

# Loaded once, before the first process is forked; none of it computes anything when it is loaded.
# An optimizer imports torch._dynamo when it is made, which takes a second.
_PRELOADED = ["namegen_bench.suites.all_suites", "torch._dynamo"]


def clean_processes() -> ForkServerContext:
    """Return what starts processes from the same clean state, in a fraction of a second.

    They are forked from a small server that has imported torch and the suites, and run nothing: no thread has been
    started, and no memory been used, by what was measured before.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context
