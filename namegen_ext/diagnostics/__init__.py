"""What goes on inside a model and its training, as plain data: numbers and histograms, no pictures.

Everything works on any module that is called as ``model(tokens, targets)`` and returns (logits, loss), made of
stock layers or fused, and leaves it as it is. ``namegen_ext.plotting`` draws what is found here.
"""

from namegen_ext.diagnostics.activations import ActivationStatistics, activation_statistics
from namegen_ext.diagnostics.bigrams import bigram_counts, next_symbol_probabilities
from namegen_ext.diagnostics.diagnosis import DEFAULT_EXAMPLES, Diagnosis, diagnose
from namegen_ext.diagnostics.embedding import EmbeddingMap, embedding_map
from namegen_ext.diagnostics.gradients import GradientStatistics, parameter_gradients
from namegen_ext.diagnostics.histograms import Histogram, histogram
from namegen_ext.diagnostics.history import RunHistory, read_history

__all__ = [
    "DEFAULT_EXAMPLES",
    "ActivationStatistics",
    "Diagnosis",
    "EmbeddingMap",
    "GradientStatistics",
    "Histogram",
    "RunHistory",
    "activation_statistics",
    "bigram_counts",
    "diagnose",
    "embedding_map",
    "histogram",
    "next_symbol_probabilities",
    "parameter_gradients",
    "read_history",
]
