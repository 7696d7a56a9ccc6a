"""Training with plain tensors in eager PyTorch, as lectures write it: no module and no optimizer.

In its favour: losses stay tensors until the end, where a lecture's loop reads each with ``.item()``. Unlike
the lectures, batch norm normalises with the biased variance, so that it computes what nn.BatchNorm1d does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from namegen_ext.benchmarks.train.case import TrainCase, TrainData
from namegen_ext.benchmarks.train.weights import BatchNormWeights, initial_weights

_MOMENTUM, _EPS = 0.1, 1e-5  # those of nn.BatchNorm1d


class PlainTensorsPeer:
    """Trains the MLP or the WaveNet with tensors named as in the lectures."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        weights = initial_weights(case, data.vocab_size)
        self.C = weights.embedding  # (V, E)
        self.levels = weights.levels
        self.W2 = weights.output_weight  # (H, V)
        self.b2 = weights.output_bias  # (V,)
        self.parameters = [self.C, self.W2, self.b2]
        for level in self.levels:
            self.parameters += [level.weight] if level.bias is None else [level.weight, level.bias]
            if level.batch_norm is not None:
                self.parameters += [level.batch_norm.gain, level.batch_norm.shift]
        for parameter in self.parameters:
            parameter.requires_grad = True
        self.tokens, self.targets = data.tokens, data.targets
        self.indices = case.build_indices(len(data.targets))
        self.learning_rate = case.learning_rate

    def run(self, start: int, count: int) -> Tensor:
        """Run steps; see TrainPeer."""
        losses = []
        for ix in self.indices.steps(start, start + count):
            xb, yb = self.tokens[ix], self.targets[ix]  # (B, block), (B,)
            loss = self._loss(xb, yb)
            for p in self.parameters:
                p.grad = None
            loss.backward()
            for p in self.parameters:
                assert p.grad is not None
                p.data += -self.learning_rate * p.grad
            losses.append(loss.detach())
        return torch.stack(losses)  # (count,)

    def _loss(self, xb: Tensor, yb: Tensor) -> Tensor:
        x = self.C[xb]  # (B, T, E)
        for level in self.levels:
            if x.dim() == 3:
                x = x.view(x.shape[0], x.shape[1] // level.group, -1)  # (B, T / group, group * C)
                if x.shape[1] == 1:
                    x = x.squeeze(1)  # (B, group * C)
            hpreact = x @ level.weight  # (B, T, H) or (B, H)
            if level.bias is not None:
                hpreact = hpreact + level.bias
            if level.batch_norm is not None:
                hpreact = self._normalise(level.batch_norm, hpreact)
            x = torch.tanh(hpreact)
        logits = x @ self.W2 + self.b2  # (B, V)
        return F.cross_entropy(logits, yb)

    def _normalise(self, bn: BatchNormWeights, hpreact: Tensor) -> Tensor:
        dims = (0, 1) if hpreact.dim() == 3 else 0
        n = hpreact.numel() // hpreact.shape[-1]
        bnmean = hpreact.mean(dims, keepdim=True)  # (1, H) or (1, 1, H)
        bnvar = hpreact.var(dims, keepdim=True, unbiased=False)
        with torch.no_grad():
            bn.running_mean = (1 - _MOMENTUM) * bn.running_mean + _MOMENTUM * bnmean
            bn.running_var = (1 - _MOMENTUM) * bn.running_var + _MOMENTUM * bnvar * (n / (n - 1))
        return bn.gain * (hpreact - bnmean) / torch.sqrt(bnvar + _EPS) + bn.shift


def plain_tensors(case: TrainCase, data: TrainData, threads: int) -> PlainTensorsPeer:
    """Train with plain tensors."""
    return PlainTensorsPeer(case, data)
