"""The names that an option can have where its values are names and the code that takes them needs torch."""

from __future__ import annotations

# What --fused takes; see `namegen_ext.training.backends`.
FUSED_CHOICES = ("auto", "layers", "step", "off")

# Which model a run keeps in model.safetensors.
KEPT_MODELS = ("best", "last")

# See `namegen_ext.training.optimizers`.
OPTIMIZERS = ("sgd", "adamw")
