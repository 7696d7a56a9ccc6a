"""A network as a function from contexts to next-symbol logits, in a form that can be traced whole."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from namegen_ext.exporting.export_errors import ExportError
from namegen_ext.fusion import unfuse
from namegen_ext.models.gpt import GPT
from namegen_ext.models.window_model import WindowModel

INPUT, OUTPUT = "tokens", "logits"


class NextLogits(nn.Module):
    """Tokens (N, block_size) int64 -> logits (N, V) float32.

    Args:
        model: of stock layers.

    """

    def __init__(self, model: WindowModel | GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute the logits of the symbol that follows each context, oldest symbol first, zeros before its start."""
        if isinstance(self.model, GPT):
            return _gpt_logits(self.model, tokens)
        logits: Tensor = self.model.net(tokens)
        return logits


def _gpt_logits(model: GPT, tokens: Tensor) -> Tensor:
    """Do what `GPT.next_logits` does, at the full length, as no size may depend on the tokens."""
    block = model.block_size
    places = torch.arange(1, block + 1, device=tokens.device)  # (T,)
    last_start = (tokens == 0).long().mul(places).amax(dim=1)  # (N,), counted from 1; 0 where there is none
    lengths = block - (last_start - 1).clamp(min=0)  # (N,), the start mark included
    moved = (places - 1) + (block - lengths)[:, None]  # (N, T): each word starts at position 0
    logits, _ = model(tokens.gather(1, moved.clamp(max=block - 1)))  # (N, T, V)
    rows = (lengths - 1)[:, None, None].expand(-1, 1, model.vocab_size)  # (N, 1, V)
    return logits.gather(1, rows).squeeze(1)  # (N, V)


def next_logits(model: nn.Module) -> tuple[NextLogits, Tensor]:
    """Make the function of a network, of stock layers and in evaluation mode, and tokens to trace it with.

    Args:
        model: of stock or of fused layers; it stays as it is.

    Raises:
        ExportError: it is no network of torch's layers.

    """
    if not isinstance(model, WindowModel | GPT):
        name = getattr(model, "name", type(model).__name__)
        raise ExportError(
            f"the model must be a network (bigram, mlp, wavenet, gpt) for onnx and pt2, but is {name}:"
            " html, js and json take it"
        )
    stock = copy.deepcopy(model).cpu()
    unfuse(stock)
    return NextLogits(stock).eval(), torch.zeros(2, stock.block_size, dtype=torch.int64)
