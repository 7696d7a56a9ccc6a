"""torch.export's archive of a network, which torch.export.load reads without this package."""

from __future__ import annotations

import io

import torch
from torch import nn
from torch.export import Dim

from namegen_ext.exporting.next_logits import INPUT, next_logits


def pt2_bytes(model: nn.Module) -> bytes:
    """Return the archive: tokens (N, block_size) int64 -> logits (N, V), for any N.

    Raises:
        ExportError: the model is no network of torch's layers.

    """
    function, tokens = next_logits(model)
    with torch.no_grad():
        program = torch.export.export(function, (tokens,), dynamic_shapes={INPUT: {0: Dim("contexts")}})
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()
