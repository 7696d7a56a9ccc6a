"""The bigram model twice: by counting pairs, and by training one linear layer."""

from namegen_reference.bigram.counts import count_pairs, mean_nll, row_probabilities, sample
from namegen_reference.bigram.network import BigramNetwork, log_softmax, softmax

__all__ = [
    "BigramNetwork",
    "count_pairs",
    "log_softmax",
    "mean_nll",
    "row_probabilities",
    "sample",
    "softmax",
]
