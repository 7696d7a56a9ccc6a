"""A scalar autograd engine, and a neural network on top of it.

Read ``value.py`` first. ``nn.py`` and ``losses.py`` build on it, and ``training.py`` uses them.
"""

from namegen_reference.micrograd.datasets import SAMPLE_INPUTS, SAMPLE_TARGETS, two_moons
from namegen_reference.micrograd.graph_picture import DrawingError, draw, to_dot
from namegen_reference.micrograd.losses import cross_entropy, log_softmax, mean_squared_error, softmax
from namegen_reference.micrograd.nn import MLP, Layer, Module, Neuron
from namegen_reference.micrograd.value import Value

__all__ = [
    "MLP",
    "SAMPLE_INPUTS",
    "SAMPLE_TARGETS",
    "DrawingError",
    "Layer",
    "Module",
    "Neuron",
    "Value",
    "cross_entropy",
    "draw",
    "log_softmax",
    "mean_squared_error",
    "softmax",
    "to_dot",
    "two_moons",
]
