"""Training with plain tensors in eager PyTorch, as lectures write it: no module and no optimizer.

In its favour: losses stay tensors until the end, where a lecture's loop reads each with ``.item()``. Unlike
the lectures, batch norm normalises with the biased variance, so that it computes what nn.BatchNorm1d does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from namegen_ext.benchmarks.train.case import TrainCase, TrainData

_MOMENTUM, _EPS = 0.1, 1e-5  # those of nn.BatchNorm1d


class PlainTensorsPeer:
    """Trains the MLP with tensors named as in the lectures."""

    def __init__(self, case: TrainCase, data: TrainData) -> None:
        weights = case.build_model(data.vocab_size).state_dict()
        hidden, output = ("2", "5") if case.batch_norm else ("2", "4")
        self.C = weights["net.0.weight"].clone()  # (V, E)
        self.W1 = weights[f"net.{hidden}.weight"].T.contiguous()  # (block * E, H)
        self.b1 = weights[f"net.{hidden}.bias"].clone()  # (H,)
        self.W2 = weights[f"net.{output}.weight"].T.contiguous()  # (H, V)
        self.b2 = weights[f"net.{output}.bias"].clone()  # (V,)
        self.parameters = [self.C, self.W1, self.b1, self.W2, self.b2]
        self.batch_norm = case.batch_norm
        if case.batch_norm:
            self.bngain = torch.ones(1, case.hidden_size)
            self.bnbias = torch.zeros(1, case.hidden_size)
            self.bnmean_running = torch.zeros(1, case.hidden_size)
            self.bnvar_running = torch.ones(1, case.hidden_size)
            self.parameters += [self.bngain, self.bnbias]
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
        emb = self.C[xb]  # (B, block, E)
        embcat = emb.view(emb.shape[0], -1)  # (B, block * E)
        hpreact = embcat @ self.W1 + self.b1  # (B, H)
        if self.batch_norm:
            hpreact = self._normalise(hpreact)
        h = torch.tanh(hpreact)  # (B, H)
        logits = h @ self.W2 + self.b2  # (B, V)
        return F.cross_entropy(logits, yb)

    def _normalise(self, hpreact: Tensor) -> Tensor:
        n = hpreact.shape[0]
        bnmean = hpreact.mean(0, keepdim=True)  # (1, H)
        bnvar = hpreact.var(0, keepdim=True, unbiased=False)  # (1, H)
        with torch.no_grad():
            self.bnmean_running = (1 - _MOMENTUM) * self.bnmean_running + _MOMENTUM * bnmean
            self.bnvar_running = (1 - _MOMENTUM) * self.bnvar_running + _MOMENTUM * bnvar * (n / (n - 1))
        return self.bngain * (hpreact - bnmean) / torch.sqrt(bnvar + _EPS) + self.bnbias  # (B, H)


def plain_tensors(case: TrainCase, data: TrainData, threads: int) -> PlainTensorsPeer:
    """Train with plain tensors."""
    return PlainTensorsPeer(case, data)
