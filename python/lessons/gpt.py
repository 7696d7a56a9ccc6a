"""GPT: every character looks back at those before it, and decides by itself which of them matter."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from namegen_ext.data import Vocabulary, load_words, split_words
from namegen_ext.models import GPT

SEED = 2147483647
BLOCK_SIZE = 16
STEPS, BATCH_SIZE = 300, 64

EXERCISES = [
    (
        "Width 64 and 4 heads: how large is a head, and by what are its scores divided?",
        "16, and sqrt(16) = 4.",
    ),
    (
        "The block becomes twice as long. How many more scores does a head compute for a full window?",
        "About four times as many: each of twice as many positions looks back at twice as many.",
    ),
    (
        "Without position embeddings, which names could one causal head not tell apart when it predicts "
        "what follows them?",
        "Names with the same last letter and the same letters before it in another order: attention sees "
        "those as a set.",
    ),
]


def main() -> None:
    """Run the lesson."""
    running_mean()
    one_head()
    scale()
    causality_and_position()
    many_heads()
    training()


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    """Draw standard normal numbers in double precision. They are the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def masked(scores: torch.Tensor) -> torch.Tensor:
    """Set the scores (..., T, T) of later positions to minus infinity, so that their weight becomes 0."""
    length = scores.shape[-1]
    is_later = torch.ones(length, length, dtype=torch.bool).triu(1)  # (T, T)
    return scores.masked_fill(is_later, -math.inf)


def running_mean() -> None:
    """Compute the mean of all positions so far as a matrix product."""
    print("1. Looking back, at first at everything alike: the mean of all positions so far")
    x = normal(5, 3)  # (T, C)
    by_loop = torch.stack([x[: t + 1].mean(0) for t in range(5)])  # (T, C)
    weights = masked(torch.zeros(5, 5, dtype=torch.float64)).softmax(1)  # (T, T)
    print(
        "   softmax of zeros, with later positions at minus infinity, gives each row equal weights up to itself:"
    )
    for row in weights[:4].tolist():
        print("      " + " ".join(f"{weight:.3f}" for weight in row))
    print(f"   weights @ x and the means by a loop differ by {(weights @ x - by_loop).abs().max():.0e}")
    print("   attention puts scores that depend on the data in the place of the zeros\n")


def attend(x: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Compute one head of causal self-attention of x (B, T, C), with three weights (C, D): (B, T, D)."""
    q, k, v = x @ query, x @ key, x @ value  # (B, T, D) each
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])  # (B, T, T)
    return masked(scores).softmax(2) @ v  # (B, T, T) @ (B, T, D)


def one_head() -> None:
    """A query says what a position looks for, a key what it is, and a value what it tells."""
    print(
        "2. One head: a query (what I look for), a key (what I am) and a value (what I tell) for each position"
    )
    x = normal(2, 6, 8)  # (B, T, C)
    query, key, value = (normal(8, 4, seed=seed) for seed in (2, 3, 4))  # (C, D) each
    by_hand = attend(x, query, key, value)  # (B, T, D)
    by_torch = F.scaled_dot_product_attention(x @ query, x @ key, x @ value, is_causal=True)  # (B, T, D)
    print("   weights = softmax(query . key / sqrt(D)) over the positions so far; output = weights @ values")
    print(
        f"   largest difference to torch's scaled_dot_product_attention: {(by_hand - by_torch).abs().max():.0e}\n"
    )


def scale() -> None:
    """A sum of D products has the variance D, so scores are divided by sqrt(D)."""
    print(
        "3. Why divide by sqrt(D): a dot product of D pairs has variance D, and softmax of large scores picks one"
    )
    for dim in (4, 64, 1024):
        q, k = normal(200, dim, seed=5), normal(16, dim, seed=6)  # (n, D), (T, D)
        scores = q @ k.T  # (n, T)
        plain = scores.softmax(1).max(1).values.mean()
        scaled = (scores / math.sqrt(dim)).softmax(1).max(1).values.mean()
        print(
            f"   D = {dim:4}: variance {scores.var():7.1f}; largest of 16 weights {plain:.3f}, scaled {scaled:.3f}"
        )
    print()


def causality_and_position() -> None:
    """Later characters change nothing before them. Without position embeddings, order does not count."""
    print("4. Causality, and the need for positions")
    x = normal(1, 6, 8)  # (B, T, C)
    weights = [normal(8, 4, seed=seed) for seed in (2, 3, 4)]
    before = attend(x, *weights)  # (1, T, D)
    changed = x.clone()
    changed[0, 4] += 1
    moved = (attend(changed, *weights) - before).abs().amax(2)[0] > 0  # (T,)
    print("   changing position 4 changes the outputs at " + " ".join(str(t) for t in range(6) if moved[t]))
    shuffled = x[:, [2, 0, 3, 1, 4, 5]]  # (1, T, C)
    difference = (attend(shuffled, *weights)[0, 5] - before[0, 5]).abs().max()
    print(f"   shuffling positions 0 to 3 changes the output at 5 by {difference:.0e}: attention sees a set;")
    position = normal(1, 6, 8, seed=7)  # (1, T, C)
    difference = (
        (attend(shuffled + position, *weights)[0, 5] - attend(x + position, *weights)[0, 5]).abs().max()
    )
    print(f"   with a position embedding added to x, by {difference:.2f}\n")


def many_heads() -> None:
    """Heads are slices of the channels."""
    print("5. Several heads: the channels in slices, each with scores of its own, then side by side again")
    batch, length, channels, heads = 2, 6, 8, 2
    x = normal(batch, length, channels)  # (B, T, C)
    query, key, value = (normal(channels, channels, seed=seed) for seed in (2, 3, 4))  # (C, C) each

    def split(y: torch.Tensor) -> torch.Tensor:
        return y.view(batch, length, heads, channels // heads).transpose(1, 2)  # (B, heads, T, D)

    together = F.scaled_dot_product_attention(
        split(x @ query), split(x @ key), split(x @ value), is_causal=True
    )
    together = together.transpose(1, 2).reshape(batch, length, channels)  # (B, T, C)
    slices = [slice(head * 4, head * 4 + 4) for head in range(heads)]
    one_by_one = torch.cat(
        [attend(x, query[:, s], key[:, s], value[:, s]) for s in slices], dim=2
    )  # (B, T, C)
    in_heads = tuple(split(x).shape)
    print(
        f"   (B, T, C) {tuple(x.shape)} -> (B, heads, T, D) {in_heads} -> attention -> {tuple(together.shape)}"
    )
    print(f"   both heads at once and one by one differ by {(together - one_by_one).abs().max():.0e}\n")


def training() -> None:
    """Train the package's model for a moment, and draw names."""
    print(
        "6. The package's model: blocks of attention and a GELU network, each behind a layer norm and beside a"
    )
    print("   residual path, over token and position embeddings")
    words = load_words("census").words
    vocabulary = Vocabulary.from_words(words)
    full = GPT(len(vocabulary), generator=torch.Generator().manual_seed(1))
    count = sum(parameter.numel() for parameter in full.parameters())
    print(f"   GPT({len(vocabulary)}), 4 layers, 4 heads, width 64, block 16: {count:,} parameters")
    splits = split_words(words)
    tokens, targets = sequences(splits.train, vocabulary)  # (n, T), (n, T)
    dev = sequences(splits.dev, vocabulary)  # (m, T), (m, T)
    print(f"   the first name as tokens  {tokens[0].tolist()}")
    print(f"   and as targets            {targets[0].tolist()}")
    print("   one pass predicts every character of every name; -1 marks what counts for nothing")
    generator = torch.Generator().manual_seed(SEED)
    model = GPT(len(vocabulary), BLOCK_SIZE, embedding_dim=32, num_layers=2, num_heads=4, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    print(f"   a smaller one, {sum(parameter.numel() for parameter in model.parameters()):,} parameters:")
    for step in range(STEPS + 1):
        if step % (STEPS // 3) == 0:
            print(f"   step {step:3}: dev loss {dev_loss(model, *dev):.4f}")
        indices = torch.randint(len(tokens), (BATCH_SIZE,), generator=generator)  # (B,)
        loss = loss_of(model, tokens[indices], targets[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("   names: " + " ".join(draw(model, vocabulary, generator) or "(empty)" for _ in range(8)))


def sequences(words: list[str], vocabulary: Vocabulary) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and targets (n, block_size). The targets are the same name, moved by one place.

    A name that is longer than the block is cut. After a shorter name, tokens are 0 and targets are -1.
    """
    tokens = torch.zeros(len(words), BLOCK_SIZE, dtype=torch.int64)  # (n, T)
    targets = torch.full((len(words), BLOCK_SIZE), -1)  # (n, T)
    for row, word in enumerate(words):
        numbers = [0, *vocabulary.encode(word), 0]  # beginning, characters, end
        length = min(len(numbers) - 1, BLOCK_SIZE)
        tokens[row, :length] = torch.tensor(numbers[:length])
        targets[row, :length] = torch.tensor(numbers[1 : length + 1])
    return tokens, targets


def loss_of(model: GPT, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean negative log-likelihood of the targets that are not -1."""
    logits, _ = model(tokens)  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


@torch.no_grad()
def dev_loss(model: GPT, tokens: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the loss on names that are not in the training set."""
    return loss_of(model, tokens, targets).item()


@torch.no_grad()
def draw(model: GPT, vocabulary: Vocabulary, generator: torch.Generator) -> str:
    """Draw a name. The model sees everything so far, and the logits of the last position give the next character."""
    numbers = [0]
    while len(numbers) < BLOCK_SIZE:
        logits, _ = model(torch.tensor([numbers]))  # (1, t, V)
        token = int(torch.multinomial(logits[0, -1].softmax(0), 1, generator=generator))
        if token == 0:
            break
        numbers.append(token)
    return vocabulary.decode(numbers[1:])


if __name__ == "__main__":
    torch.set_num_threads(1)  # the tensors are small: a second thread gains nothing
    main()
