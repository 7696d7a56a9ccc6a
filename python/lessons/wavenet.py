"""WaveNet: eight characters of context, merged two by two, as in a tree."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from namegen_ext.data import Vocabulary, build_windows, load_words, split_words
from namegen_ext.models import WaveNet

BLOCK_SIZE = 8
EMBEDDING_DIM, HIDDEN_SIZE = 10, 64
STEPS, BATCH_SIZE = 600, 64

EXERCISES = [
    (
        "A block of 16 is merged two by two. How many levels are there, and how much does the last unit see?",
        "4 levels, as 2^4 = 16; it sees all 16 characters.",
    ),
    (
        "A block of 16 is merged four by four, E = 24, H = 128. How many inputs have the two linear layers?",
        "4 * 24 = 96 and 4 * 128 = 512.",
    ),
    (
        "Batch norm's input is (32, 4, 64). Over which dimensions is its mean taken?",
        "Over the first two, 128 numbers for each channel: positions share their statistics.",
    ),
]


def main() -> None:
    """Run the lesson."""
    joining()
    levels()
    what_a_unit_sees()
    convolution()
    batch_norm_over_positions()
    training()


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    """Draw standard normal numbers in double precision. They are the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def join(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Join groups of ``factor`` neighbours: (B, T, C) -> (B, T / factor, factor * C). No number moves in memory."""
    batch, length, channels = x.shape
    return x.view(batch, length // factor, factor * channels)  # (B, T / factor, factor * C)


def joining() -> None:
    """Flatten two neighbours at a time, not the whole block."""
    print("1. Joining neighbours (FlattenConsecutive)")
    x = normal(4, BLOCK_SIZE, EMBEDDING_DIM)  # (B, T, E)
    joined = join(x, 2)  # (B, T / 2, 2E)
    first, second = x[:, 0::2], x[:, 1::2]  # (B, T / 2, E) each: positions 0 2 4 6, and 1 3 5 7
    same = torch.equal(joined, torch.cat([first, second], dim=2))
    print(f"   (4, 8, 10) viewed as {tuple(joined.shape)}: even and odd positions side by side: {same}")
    print("   the MLP joined all at once, (4, 80), and one layer had to make sense of it\n")


def levels() -> None:
    """Each level halves the number of positions."""
    print(f"2. The levels: join two, linear layer, tanh; H = {HIDDEN_SIZE}")
    x = normal(4, BLOCK_SIZE, EMBEDDING_DIM)  # (B, T, E)
    print(f"   embedding        {tuple(x.shape)}")
    num_weights = 0
    for level, weight in enumerate(level_weights(), start=1):
        joined = join(x, 2)  # (B, T / 2, 2C)
        x = torch.tanh(joined @ weight)  # (B, T / 2, H)
        num_weights += weight.numel()
        print(f"   level {level}: joined {tuple(joined.shape)!s:<13} -> {tuple(x.shape)}")
    flat = BLOCK_SIZE * EMBEDDING_DIM * HIDDEN_SIZE
    print(f"   weights: {num_weights:,}; one flat layer on all 80 numbers: {flat:,}")
    print(
        "   nn.Linear and @ work on the last dimension and take all others as a batch: nothing else changes\n"
    )


def level_weights() -> list[torch.Tensor]:
    """Return the weights (2C, H) of the three levels."""
    sizes = (EMBEDDING_DIM, HIDDEN_SIZE, HIDDEN_SIZE)
    return [normal(2 * size, HIDDEN_SIZE, seed=size) / (2 * size) ** 0.5 for size in sizes]


def what_a_unit_sees() -> None:
    """The gradient shows which inputs a unit depends on."""
    print("3. What the last unit of each level sees: a gradient that is not 0")
    x = normal(1, BLOCK_SIZE, EMBEDDING_DIM).requires_grad_()  # (1, T, E)
    hidden = x
    for level, weight in enumerate(level_weights(), start=1):
        hidden = torch.tanh(join(hidden, 2) @ weight)  # (1, T / 2^level, H)
        (gradient,) = torch.autograd.grad(hidden[0, -1, 0], x, retain_graph=True)  # (1, T, E)
        seen = gradient[0].abs().sum(1) > 0  # (T,)
        print(f"   level {level}: " + "".join("x" if is_seen else "." for is_seen in seen))
    print("   twice as many at each level: pairs first, then pairs of pairs\n")


@torch.no_grad()
def convolution() -> None:
    """A tree that moves along a sequence computes the same many times. A convolution computes it once."""
    print("4. Why it is a convolution")
    length = 12
    x = normal(1, length, EMBEDDING_DIM, seed=5)  # (1, L, E)
    weights = level_weights()

    windows = x[0].unfold(0, BLOCK_SIZE, 1).transpose(1, 2)  # (L - 7, T, E), a window for each next character
    by_tree = windows
    num_by_tree = 0
    for weight in weights:
        by_tree = torch.tanh(join(by_tree, 2) @ weight)  # (L - 7, T / 2, H), ..., (L - 7, 1, H)
        num_by_tree += by_tree.shape[0] * by_tree.shape[1]

    by_convolution = x.transpose(1, 2)  # (1, E, L), because torch's convolutions take channels first
    num_by_convolution = 0
    for weight, dilation in zip(weights, (1, 2, 4), strict=True):
        channels = by_convolution.shape[1]
        kernel = weight.view(2, channels, HIDDEN_SIZE).permute(2, 1, 0)  # (2C, H) -> (H, C, 2)
        by_convolution = torch.tanh(F.conv1d(by_convolution, kernel, dilation=dilation))  # (1, H, L - ...)
        num_by_convolution += by_convolution.shape[2]
    difference = (by_tree[:, 0] - by_convolution[0].T).abs().max()
    print(
        f"   the tree on each of the {len(windows)} windows of {length} characters, and three convolutions of kernel 2"
    )
    print(f"   with dilations 1, 2, 4 on all at once: largest difference {difference:.0e}")
    print(
        f"   the tree applies a linear layer {num_by_tree} times, the convolutions {num_by_convolution} times\n"
    )


def batch_norm_over_positions() -> None:
    """Batch norm takes its statistics over positions too, because positions share their weights."""
    print("5. Batch norm over batch and positions")
    x = normal(32, 4, HIDDEN_SIZE) + 2 * normal(1, 4, 1, seed=2)  # (B, T, H); each position has its own mean
    over_both = x.mean((0, 1), keepdim=True)  # (1, 1, H)
    over_batch = x.mean(0, keepdim=True)  # (1, T, H)
    print(f"   mean over both {tuple(over_both.shape)}, from {32 * 4} numbers each: what is meant")
    print(
        f"   mean over the batch alone {tuple(over_batch.shape)}, from 32 each: it broadcasts as well, with no error,"
    )
    print("   and quietly gives each position statistics of its own\n")


def training() -> None:
    """Train the package's model for a moment."""
    print("6. The package's model")
    words = load_words("census").words
    vocabulary = Vocabulary.from_words(words)
    full = WaveNet(len(vocabulary), generator=torch.Generator().manual_seed(1))
    count = sum(parameter.numel() for parameter in full.parameters())
    print(
        f"   WaveNet({len(vocabulary)}), embedding 24, hidden 128, block 8 = 2 x 2 x 2: {count:,} parameters"
    )
    splits = split_words(words)
    tokens, targets = build_windows(splits.train, vocabulary, BLOCK_SIZE)  # (n, T), (n,)
    dev_tokens, dev_targets = build_windows(splits.dev, vocabulary, BLOCK_SIZE)  # (m, T), (m,)
    generator = torch.Generator().manual_seed(2147483647)
    model = WaveNet(len(vocabulary), BLOCK_SIZE, EMBEDDING_DIM, HIDDEN_SIZE, (2, 2, 2), generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    print(f"   a smaller one, {sum(parameter.numel() for parameter in model.parameters()):,} parameters:")
    for step in range(STEPS + 1):
        if step % (STEPS // 3) == 0:
            model.eval()  # batch norm then uses its running statistics
            with torch.no_grad():
                dev_loss = F.cross_entropy(model(dev_tokens)[0], dev_targets)
            model.train()
            print(f"   step {step:3}: dev loss {dev_loss:.4f}")
        indices = torch.randint(len(tokens), (BATCH_SIZE,), generator=generator)  # (B,)
        loss = F.cross_entropy(model(tokens[indices])[0], targets[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    torch.set_num_threads(1)  # the tensors are small: a second thread gains nothing
    main()
