"""The bigram model twice: by counting pairs, and by training one linear layer."""

from namegen_reference.bigram.bigram_network import BigramNetwork, log_softmax, softmax
from namegen_reference.bigram.counts import count_pairs, mean_nll, row_probabilities, sample

__all__ = [
    "BigramNetwork",
    "count_pairs",
    "log_softmax",
    "mean_nll",
    "row_probabilities",
    "sample",
    "softmax",
]
