"""The suite ``sample``: drawing names, by this package and by loops in eager PyTorch."""

from namegen_bench.suites.sample.sample_suite import run_sample

__all__ = ["run_sample"]
