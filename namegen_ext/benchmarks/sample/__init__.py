"""The suite ``sample``: drawing names, by this package and by loops in eager PyTorch."""

from namegen_ext.benchmarks.sample.suite import PEERS, run_sample

__all__ = ["PEERS", "run_sample"]
