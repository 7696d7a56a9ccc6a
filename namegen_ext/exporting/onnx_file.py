"""A network in ONNX, which many runtimes read."""

from __future__ import annotations

import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from namegen_ext.exporting.export_errors import ExportError
from namegen_ext.exporting.next_logits import INPUT, OUTPUT, next_logits


def onnx_bytes(model: nn.Module) -> bytes:
    """Return the file: tokens (N, block_size) int64 -> logits (N, V) float32, for any N.

    Raises:
        ExportError: the model is no network of torch's layers, or onnx or onnxscript are not installed.

    """
    function, tokens = next_logits(model)
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ExportError(
                f'onnx needs {package}, which is not installed: pip install "namegen_ext[onnx]"'
            )
    import onnx

    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            function,
            (tokens,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("contexts")}},
        )
    assert program is not None
    proto = program.model_proto
    _forget_the_source(proto)
    onnx.checker.check_model(proto, full_check=True)
    buffer = io.BytesIO()
    onnx.save_model(proto, buffer)
    return buffer.getvalue()


def _forget_the_source(proto: Any) -> None:
    """Take out where in the source of this package each node comes from: paths of this machine."""
    del proto.metadata_props[:]
    graph = proto.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of its own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
