"""StepEngine in a loop of your own, switching to torch and back: ``python examples/step_engine_loop.py``."""

from __future__ import annotations

import torch

from namegen_ext.data import Vocabulary, build_windows, load_words
from namegen_ext.engine import StepEngine
from namegen_ext.models import MLP

BLOCK, BATCH = 3, 32


def main() -> None:
    """Train by the engine, then by torch, then by the engine, with one optimizer's state throughout."""
    torch.manual_seed(0)
    words = load_words("census").words
    vocabulary = Vocabulary("".join(sorted(set("".join(words)))))
    tokens, targets = build_windows(words, vocabulary, BLOCK)  # (n, BLOCK), (n,)
    model = MLP(len(vocabulary), block_size=BLOCK)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    engine = StepEngine(model, optimizer)

    def by_engine(steps: int) -> float:
        indices = torch.randint(len(tokens), (steps, BATCH))  # (K, B)
        return float(engine.run(tokens, targets, indices, [3e-3] * steps).mean())

    def by_torch(steps: int) -> float:
        losses = []
        for _ in range(steps):
            chosen = torch.randint(len(tokens), (BATCH,))
            optimizer.zero_grad()
            _, loss = model(tokens[chosen], targets[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return sum(losses) / steps

    for name, run, steps in (
        ("engine", by_engine, 2000),
        ("torch", by_torch, 200),
        ("engine", by_engine, 2000),
    ):
        print(f"{steps:,} steps by {name}: mean loss {run(steps):.4f}")


if __name__ == "__main__":
    main()
