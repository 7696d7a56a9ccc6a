"""How likely names are, which names they resemble, and names drawn by such measures.

name_symbols.py turns names into numbers; likelihood.py computes negative log-likelihoods, natively where the native
sampler covers the model; nearest.py finds the nearest name of a list; scores.py puts both into rows. similar.py leaves
near copies of a list out of a stream, and near.py draws names within an edit distance of a given one.
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.scoring.nearest import NearestNames
    from namegen_ext.scoring.scores import Scores
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.scoring.nearest": ("NearestNames",),
            "namegen_ext.scoring.scores": ("Scores",),
        },
    )

__all__ = ["NearestNames", "Scores"]
