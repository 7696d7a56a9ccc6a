"""Fuse a model of your own: ``python examples/fuse_your_model.py``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import namegen_ext


class Tagger(nn.Module):
    """A model with parts that fuse, and parts that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Embedding(100, 16), nn.Flatten(), nn.Linear(5 * 16, 64), nn.BatchNorm1d(64), nn.Tanh()
        )
        self.head = nn.Linear(64, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, 5) tokens to (N, 12) logits."""
        logits: Tensor = self.head(self.body(tokens))
        return logits


def main() -> None:
    """Show that fusing changes how the model runs, and nothing else of it."""
    torch.manual_seed(0)
    model = Tagger()
    tokens = torch.randint(100, (256, 5))  # (N, 5)
    weights = list(model.parameters())
    model.eval()
    before = model(tokens)
    print(namegen_ext.fuse(model))  # in place; it says what runs fused, and why the rest does not
    assert all(a is b for a, b in zip(weights, model.parameters(), strict=True))
    torch.testing.assert_close(model(tokens), before, rtol=1e-4, atol=1e-5)
    namegen_ext.unfuse(model)
    assert torch.equal(model(tokens), before)
    print("the same parameters, and the stock layers' bits after unfuse")


if __name__ == "__main__":
    main()
