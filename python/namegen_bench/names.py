"""The names of suites and peers, as they stand in flags, tables and files. Nothing here loads torch."""

from __future__ import annotations

# Every suite measures the other peers against this one: stock torch.nn layers in eager mode. In the suite sample it
# draws names in batches.
STOCK = "stock"
# This package: fused layers and a fused operator, which run through autograd, and the step engine, which does not.
FUSED_LAYERS, FUSED_OP, FUSED_STEP = "fused-layers", "fused-op", "fused-step"
PLAIN_TENSORS, NUMPY, JAX = "plain-tensors", "numpy", "jax-scan"
COMPILED, COMPILED_AUTOTUNE = "torch.compile", "torch.compile-max-autotune"
# NODE is the exported module, where Node is installed.
ONE_AT_A_TIME, PYTHON, NODE, NATIVE = "one-at-a-time", "python", "node", "native"
STOCK_GRAPH, FUSED_GRAPH = "cuda-graph", "fused-op-graph"

OPS, TRAIN, SCALING, SAMPLE, TIME_TO_LOSS, GPU = "ops", "train", "scaling", "sample", "time-to-loss", "gpu"

# The peers of each suite, in the order in which they are measured and shown.
SUITE_PEERS: dict[str, tuple[str, ...]] = {
    OPS: (STOCK, FUSED_LAYERS, FUSED_OP),
    TRAIN: (STOCK, FUSED_LAYERS, FUSED_STEP, PLAIN_TENSORS, NUMPY, COMPILED, COMPILED_AUTOTUNE, JAX),
    SCALING: (STOCK, FUSED_LAYERS, FUSED_STEP, COMPILED, JAX),
    SAMPLE: (STOCK, ONE_AT_A_TIME, PYTHON, NODE, NATIVE),
    TIME_TO_LOSS: (STOCK, FUSED_LAYERS, FUSED_STEP),
    GPU: (STOCK, COMPILED, STOCK_GRAPH, FUSED_LAYERS, FUSED_OP, FUSED_GRAPH),
}
SUITES = tuple(SUITE_PEERS)
# The suites that are measured where none is named: all that need no CUDA device.
DEFAULT_SUITES = tuple(suite for suite in SUITES if suite != GPU)
# Every peer once.
PEERS = tuple(dict.fromkeys(peer for peers in SUITE_PEERS.values() for peer in peers))
