"""A training loop of your own around fused layers and a DataLoader: ``python examples/training_loop.py``."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import namegen_ext
from namegen_ext.data import Vocabulary, build_windows, load_words, split_words
from namegen_ext.sampling import sample_names

BLOCK = 3


def main() -> None:
    """Train an nn.Sequential on names for one epoch, and draw from it."""
    torch.manual_seed(0)
    words = load_words("census").words
    splits = split_words(words)
    vocabulary = Vocabulary("".join(sorted(set("".join(words)))))
    vocab_size = len(vocabulary)
    train = TensorDataset(*build_windows(splits.train, vocabulary, BLOCK))
    dev_tokens, dev_targets = build_windows(splits.dev, vocabulary, BLOCK)  # (n, BLOCK), (n,)

    model = nn.Sequential(
        nn.Embedding(vocab_size, 10),
        nn.Flatten(),
        nn.Linear(BLOCK * 10, 200, bias=False),
        nn.BatchNorm1d(200),
        nn.Tanh(),
        nn.Linear(200, vocab_size),
    )
    namegen_ext.fuse(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss_of = nn.CrossEntropyLoss()
    for tokens, targets in DataLoader(train, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss_of(model(tokens), targets).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(f"dev loss after one epoch: {loss_of(model(dev_tokens), dev_targets):.4f}")
    print(*sample_names(model, vocabulary, 10, block_size=BLOCK, seed=1))


if __name__ == "__main__":
    main()
