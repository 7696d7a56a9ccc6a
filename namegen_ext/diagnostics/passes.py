"""One forward and backward pass as in training. It runs on a copy, so that the model itself does not change."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


def copy_for_training(model: nn.Module) -> nn.Module:
    """Copy a model. The copy is in training mode, has no gradients, and is fused where the model is fused.

    A pass in training mode changes the running statistics of batch norm. It then changes those of the copy.
    """
    copy = deepcopy(model).train()
    copy.zero_grad(set_to_none=True)
    return copy


def forward_backward(model: nn.Module, tokens: Tensor, targets: Tensor, *, seed: int) -> float:
    """Run a model forward and backward, as a training step does, but without the update.

    Args:
        model: called as ``model(tokens, targets)``; returns (logits, loss).
        tokens: (B, block_size), integers.
        targets: (B,), int64.
        seed: the seed of dropout. torch's global generators are not changed.

    Returns:
        The loss in nats. The gradients are in the parameters. A model of counts has no gradients.

    """
    devices = [tokens.device] if tokens.is_cuda else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        torch.manual_seed(seed)
        _, loss = model(tokens, targets)
        if loss.requires_grad:
            loss.backward()
    return float(loss.detach())
