"""The models, each made of stock ``torch.nn`` layers, and the specifications that name their options.

The specifications (specs.py, schemes.py, layouts.py, model_arguments.py) need no torch. The command line and
config.json are read with them.
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports
from namegen_ext.models.schemes import COUNTS, SCHEMES, Initialisation
from namegen_ext.models.specs import MODELS, ModelSpec, model_spec

if TYPE_CHECKING:
    from namegen_ext.models.build import build_model
    from namegen_ext.models.count_model import CountModel
    from namegen_ext.models.gpt import GPT
    from namegen_ext.models.mixture import Mixture
    from namegen_ext.models.mlp import MLP
    from namegen_ext.models.ngram import Bigram, NGram
    from namegen_ext.models.wavenet import WaveNet
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.models.build": ("build_model",),
            "namegen_ext.models.count_model": ("CountModel",),
            "namegen_ext.models.gpt": ("GPT",),
            "namegen_ext.models.mixture": ("Mixture",),
            "namegen_ext.models.mlp": ("MLP",),
            "namegen_ext.models.ngram": ("Bigram", "NGram"),
            "namegen_ext.models.wavenet": ("WaveNet",),
        },
    )

__all__ = [
    "COUNTS",
    "GPT",
    "MLP",
    "MODELS",
    "SCHEMES",
    "Bigram",
    "CountModel",
    "Initialisation",
    "Mixture",
    "ModelSpec",
    "NGram",
    "WaveNet",
    "build_model",
    "model_spec",
]
