"""The models, each made of stock ``torch.nn`` layers, and the registry that builds them by name."""

from namegen_ext.models.gpt import GPT
from namegen_ext.models.initialisation import SCHEMES, Initialisation
from namegen_ext.models.mlp import MLP
from namegen_ext.models.ngram import COUNTS, Bigram, NGram
from namegen_ext.models.registry import MODELS, ModelSpec, build_model, model_spec
from namegen_ext.models.wavenet import WaveNet

__all__ = [
    "COUNTS",
    "GPT",
    "MLP",
    "MODELS",
    "SCHEMES",
    "Bigram",
    "Initialisation",
    "ModelSpec",
    "NGram",
    "WaveNet",
    "build_model",
    "model_spec",
]
