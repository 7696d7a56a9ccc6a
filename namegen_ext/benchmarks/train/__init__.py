"""The suite ``train``: whole training steps, one file for each way to run them."""

from namegen_ext.benchmarks.train.suite import run_train, train_cases

__all__ = ["run_train", "train_cases"]
