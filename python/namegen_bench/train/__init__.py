"""The suite ``train``: whole training steps, one file for each way to run them."""

from namegen_bench.train.cases import train_cases
from namegen_bench.train.suite import run_train

__all__ = ["run_train", "train_cases"]
