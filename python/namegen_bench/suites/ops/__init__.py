"""The suite ``ops``: each operator against the stock layers, one file for each."""

from namegen_bench.suites.ops.ops_suite import ops_cases, run_ops

__all__ = ["ops_cases", "run_ops"]
