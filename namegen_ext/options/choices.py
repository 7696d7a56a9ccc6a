"""The names that some options take as their values.

They stand here because the code that takes them needs torch, and the command line does not.
"""

from __future__ import annotations

from namegen_ext.models.schemes import COUNTS, SCHEMES

# How a gpt's weights begin in the published program of that name; see `namegen_ext.models.microgpt`.
MICROGPT = "microgpt"
INITS = (*SCHEMES, COUNTS, MICROGPT)

# How the examples of a step are drawn; see `namegen_ext.training.minibatches`.
REPLACEMENT, SHUFFLED, IN_ORDER = ORDERS = ("replacement", "shuffled", "in-order")

# What --fused takes; see `namegen_ext.training.backends`.
FUSED_CHOICES = ("auto", "layers", "step", "off")

# Which model a run keeps in model.safetensors.
KEPT_MODELS = ("best", "last")

# See `namegen_ext.training.torch_optimizers`.
OPTIMIZERS = ("sgd", "adamw")

# What --to takes; see `namegen_ext.exporting.export_model`.
EXPORT_CHOICES = ("html", "js", "json", "onnx", "pt2")
