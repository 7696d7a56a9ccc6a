"""The suite ``train``: whole training steps, one file for each way to run them."""

from namegen_bench.suites.train.train_case_list import train_cases
from namegen_bench.suites.train.train_suite import run_train

__all__ = ["run_train", "train_cases"]
