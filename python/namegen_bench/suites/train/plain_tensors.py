"""Training with plain tensors in eager PyTorch, as lectures write it, without modules and without an optimizer.

It is a little faster than the lectures' code: losses stay tensors until the end, where a lecture reads each with
``.item()``, and a loop runs over the levels without the lectures' layer objects. Unlike in the lectures, batch norm
normalises with the biased variance, so that it computes what nn.BatchNorm1d computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from namegen_bench.suites.train.train_case import TrainCase, TrainData
from namegen_bench.suites.train.weights import LevelWeights, read_weights

_MOMENTUM, _EPS = 0.1, 1e-5  # the defaults of nn.BatchNorm1d


@dataclass
class _BatchNorm:
    """Parameters and running statistics of one level; each is (H,)."""

    bngain: Tensor
    bnbias: Tensor
    bnmean_running: Tensor
    bnvar_running: Tensor


@dataclass
class _Level:
    """One level: it joins ``group`` positions of C channels, multiplies by W (group * C, H), and adds b (H,)."""

    group: int
    W: Tensor
    b: Tensor | None
    norm: _BatchNorm | None

    @classmethod
    def of(cls, weights: LevelWeights) -> _Level:
        norm = None
        if weights.gain is not None and weights.shift is not None:
            zeros, ones = torch.zeros_like(weights.gain), torch.ones_like(weights.gain)  # (H,), (H,)
            norm = _BatchNorm(weights.gain, weights.shift, zeros, ones)
        return cls(weights.group, weights.weight, weights.bias, norm)

    def parameters(self) -> list[Tensor]:
        found = [self.W] if self.b is None else [self.W, self.b]
        return found if self.norm is None else [*found, self.norm.bngain, self.norm.bnbias]


class PlainTensorsPeer:
    """Trains the model with tensors named as in the lectures."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        weights = read_weights(case.build_model(data.vocab_size))
        self.C = weights.embedding  # (V, E)
        self.levels = [_Level.of(level) for level in weights.levels]
        self.W2 = weights.output_weight  # (H, V); a bigram has none
        self.b2 = weights.output_bias  # (V,)
        self.parameters = [p for p in (self.C, self.W2, self.b2) if p is not None]
        for level in self.levels:
            self.parameters += level.parameters()
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
        h = self.C[xb]  # (B, T, C), with T = block and C = E at first
        for level in self.levels:
            batch_size, length, channels = h.shape
            if length == level.group:
                joined = h.view(batch_size, -1)  # (B, group * C)
            else:
                joined = h.view(batch_size, length // level.group, level.group * channels)
            hpreact = joined @ level.W  # (B, H), or (B, T / group, H)
            if level.b is not None:
                hpreact = hpreact + level.b
            if level.norm is not None:
                hpreact = self._normalise(level.norm, hpreact)
            h = torch.tanh(hpreact)
        logits = h.view(len(xb), -1)  # (B, H), or (B, V) of a bigram, whose embedding holds the logits
        if self.W2 is not None and self.b2 is not None:
            logits = logits @ self.W2 + self.b2  # (B, V)
        return F.cross_entropy(logits, yb)

    def _normalise(self, norm: _BatchNorm, hpreact: Tensor) -> Tensor:
        dims = tuple(range(hpreact.dim() - 1))  # the batch, and the positions where the input has some
        n = hpreact.numel() // hpreact.shape[-1]
        bnmean = hpreact.mean(dims, keepdim=True)  # (1, H), or (1, 1, H)
        bnvar = hpreact.var(dims, keepdim=True, unbiased=False)
        with torch.no_grad():
            mean, var = bnmean.flatten(), bnvar.flatten() * (n / (n - 1))  # (H,), (H,)
            norm.bnmean_running = (1 - _MOMENTUM) * norm.bnmean_running + _MOMENTUM * mean
            norm.bnvar_running = (1 - _MOMENTUM) * norm.bnvar_running + _MOMENTUM * var
        return norm.bngain * (hpreact - bnmean) / torch.sqrt(bnvar + _EPS) + norm.bnbias


def plain_tensors(case: TrainCase, data: TrainData, threads: int) -> PlainTensorsPeer:
    """Train with plain tensors."""
    return PlainTensorsPeer(case, data)
