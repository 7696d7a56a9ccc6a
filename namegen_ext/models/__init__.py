"""The models, each made of stock ``torch.nn`` layers, and the registry that builds them by name."""

from namegen_ext.models.initialisation import SCHEMES, Initialisation
from namegen_ext.models.mlp import MLP
from namegen_ext.models.registry import MODELS, PLANNED_MODELS, ModelSpec, build_model, model_spec

__all__ = [
    "MLP",
    "MODELS",
    "PLANNED_MODELS",
    "SCHEMES",
    "Initialisation",
    "ModelSpec",
    "build_model",
    "model_spec",
]
