"""The suite ``train``: whole training steps, one file for each way to run them."""

from namegen_ext.benchmarks.train.cases import train_cases
from namegen_ext.benchmarks.train.suite import run_train

__all__ = ["run_train", "train_cases"]
