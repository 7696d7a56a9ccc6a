"""The ways to train, by the peer's name."""

from __future__ import annotations

from collections.abc import Callable

from namegen_bench.names import (
    COMPILED,
    COMPILED_AUTOTUNE,
    FUSED_LAYERS,
    FUSED_STEP,
    JAX,
    NUMPY,
    PLAIN_TENSORS,
    STOCK,
)
from namegen_bench.suites.train import modules
from namegen_bench.suites.train.compiled_step import compiled, compiled_autotune
from namegen_bench.suites.train.jax_scan import jax_scan
from namegen_bench.suites.train.numpy_bigram import numpy_bigram
from namegen_bench.suites.train.plain_tensors import plain_tensors
from namegen_bench.suites.train.train_case import TrainCase, TrainData, TrainPeer

BUILDERS: dict[str, Callable[[TrainCase, TrainData, int], TrainPeer]] = {
    STOCK: modules.stock,
    FUSED_LAYERS: modules.fused_layers,
    FUSED_STEP: modules.fused_step,
    PLAIN_TENSORS: plain_tensors,
    NUMPY: numpy_bigram,
    COMPILED: compiled,
    COMPILED_AUTOTUNE: compiled_autotune,
    JAX: jax_scan,
}
# The peers that compile, so that their first steps take seconds.
COMPILING = (COMPILED, COMPILED_AUTOTUNE, JAX)
# The peers that take so long to compile that a suite measures them in a few cases only.
SLOW_TO_COMPILE = (COMPILED, COMPILED_AUTOTUNE)
# The peers that never use a second thread. numpy counts, exponentiates and adds on one thread.
ONE_THREAD = (NUMPY,)
