"""What goes on inside a model and its training, as plain data: numbers and histograms, no pictures.

Everything works on any module that is called as ``model(tokens, targets)`` and returns (logits, loss). The module may
be made of stock layers or fused, and is not changed. ``namegen_ext.plotting`` draws what is found here.

- ``diagnosis``: everything about a run.
- ``activations``, ``gradients``, ``embedding``, ``bigrams``, ``history``: its parts; ``histograms``: what they use.
- ``passes``: a forward and backward pass on a copy of the model.
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.diagnostics.activations import ActivationStatistics, activation_statistics
    from namegen_ext.diagnostics.bigrams import bigram_counts, next_symbol_probabilities
    from namegen_ext.diagnostics.diagnosed_examples import DEFAULT_EXAMPLES
    from namegen_ext.diagnostics.diagnosis import Diagnosis, diagnose
    from namegen_ext.diagnostics.embedding import EmbeddingMap, embedding_map
    from namegen_ext.diagnostics.gradients import GradientStatistics, parameter_gradients
    from namegen_ext.diagnostics.histograms import Histogram, histogram
    from namegen_ext.diagnostics.history import RunHistory, read_history
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.diagnostics.activations": ("ActivationStatistics", "activation_statistics"),
            "namegen_ext.diagnostics.bigrams": ("bigram_counts", "next_symbol_probabilities"),
            "namegen_ext.diagnostics.diagnosis": ("Diagnosis", "diagnose"),
            "namegen_ext.diagnostics.embedding": ("EmbeddingMap", "embedding_map"),
            "namegen_ext.diagnostics.diagnosed_examples": ("DEFAULT_EXAMPLES",),
            "namegen_ext.diagnostics.gradients": ("GradientStatistics", "parameter_gradients"),
            "namegen_ext.diagnostics.histograms": ("Histogram", "histogram"),
            "namegen_ext.diagnostics.history": ("RunHistory", "read_history"),
        },
    )

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
