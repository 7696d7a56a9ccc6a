"""The suite ``scaling``: time and memory of a whole training step against batch, hidden size and threads."""

from namegen_bench.scaling.suite import run_scaling, scaling_cases

__all__ = ["run_scaling", "scaling_cases"]
