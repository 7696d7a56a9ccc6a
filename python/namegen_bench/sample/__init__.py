"""The suite ``sample``: drawing names, by this package and by loops in eager PyTorch."""

from namegen_bench.sample.suite import PEERS, run_sample

__all__ = ["PEERS", "run_sample"]
