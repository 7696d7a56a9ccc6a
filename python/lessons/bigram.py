"""Bigram: guess the next character from the one before, first by counting, then by gradient descent."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from namegen_ext.data import END_MARKER, Vocabulary, build_windows, load_words, split_words
from namegen_ext.plotting.lesson_figure import draw_figure

SEED = 2147483647
NUM_NAMES = 8

EXERCISES = [
    (
        "What does a model cost, in nats a character, that always gives the right symbol the probability "
        "1/4?",
        "log 4 = 1.3863.",
    ),
    (
        "Without smoothing, one unseen pair makes the loss infinite. Why?",
        "Its probability is 0, and -log 0 is infinite; a mean with one infinite part is infinite.",
    ),
    (
        "How many multiplications are one_hot(symbol) @ W for one symbol, and how many is looking up the "
        "row?",
        "27 * 27 = 729, of which 702 are by 0; and none.",
    ),
]


def main() -> None:
    """Run the lesson."""
    words = load_words("census").words
    vocabulary = Vocabulary.from_words(words)
    print("1. The data")
    tokens, targets = build_windows(words, vocabulary, block_size=1)  # (n, 1), (n,)
    tokens = tokens.squeeze(1)  # (n,)
    print(f"   {len(words):,} first names of the US census of 1990, {len(tokens):,} pairs of neighbours")
    symbols = END_MARKER + "".join(vocabulary.symbols)
    first = ", ".join(
        f"{symbols[token]}{symbols[target]}" for token, target in zip(tokens[:5], targets[:5], strict=True)
    )
    print(
        f"   the first name is {words[0]!r}; its first pairs: {first} ({END_MARKER} is its beginning and its end)\n"
    )

    counted = by_counting(tokens, targets, len(vocabulary))  # (V, V)
    show_table(counted, symbols)

    untrained, trained = by_descent(tokens, targets, len(vocabulary))  # (V, V) each

    print("4. Names, drawn with the same random numbers")
    tables = {"before training": untrained, "after training": trained, "from the counts": counted}
    print("   " + "".join(f"{name:<24}" for name in tables).rstrip())
    columns = [draw(table, vocabulary) for table in tables.values()]
    for row in zip(*columns, strict=True):
        print("   " + "".join(f"{word[:22] or '(empty)':<24}" for word in row).rstrip())
    print()
    smoothing(words, vocabulary)


def by_counting(tokens: torch.Tensor, targets: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Count the pairs, and divide each row by its sum."""
    print("2. By counting: a table of how often each symbol followed each other one")
    counts = torch.zeros(vocab_size, vocab_size)  # (V, V)
    counts.index_put_((tokens, targets), torch.ones(len(tokens)), accumulate=True)
    probabilities = counts / counts.sum(1, keepdim=True)  # (V, V) / (V, 1)
    nll = -probabilities[tokens, targets].log().mean()
    print(
        f"   mean negative log-likelihood {nll:.4f} nats a character; knowing nothing costs {math.log(vocab_size):.4f}"
    )
    print("   no other table does better on these pairs: it is the maximum-likelihood estimate")
    return probabilities


def show_table(probabilities: torch.Tensor, symbols: str) -> None:
    """Draw the table (V, V): a row for each symbol, and in it how likely each other one follows."""

    def draw_table(axes: Any) -> None:
        axes.imshow(probabilities.numpy(), cmap="Blues")
        axes.set_xticks(range(len(symbols)), symbols, fontsize=7)
        axes.set_yticks(range(len(symbols)), symbols, fontsize=7)
        axes.set(xlabel="next symbol", ylabel="symbol", title="how likely each symbol follows each")

    draw_figure("bigram", draw_table, size=(5.6, 5.4))
    print()


def by_descent(
    tokens: torch.Tensor, targets: torch.Tensor, vocab_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train one linear layer from one-hot symbols to logits; return the table before and after."""
    print("3. By descent: logits = one_hot(symbol) @ W, which is the symbol's row of W")
    generator = torch.Generator().manual_seed(SEED)
    weight = torch.randn(vocab_size, vocab_size, generator=generator, requires_grad=True)  # (V, V)
    one_hot = F.one_hot(tokens[:4], vocab_size).float()  # (4, V)
    print(f"   the product and the row are the same: {torch.equal(one_hot @ weight, weight[tokens[:4]])}")
    untrained = weight.detach().softmax(1)  # (V, V)
    for step in range(201):
        loss = F.cross_entropy(weight[tokens], targets)
        if step % 50 == 0:
            print(f"   step {step:3}: loss {loss.item():.4f}")
        (gradient,) = torch.autograd.grad(loss, weight)  # (V, V)
        with torch.no_grad():
            weight -= 50 * gradient  # the rate is large because most rows see few of the examples
    print(
        "   it goes where counting is at once. The way by gradients is the one that larger models leave open\n"
    )
    return untrained, weight.detach().softmax(1)


def draw(probabilities: torch.Tensor, vocabulary: Vocabulary) -> list[str]:
    """Draw names from a table (V, V), symbol by symbol."""
    generator = torch.Generator().manual_seed(SEED)
    names = []
    for _ in range(NUM_NAMES):
        numbers, token = [], 0
        for _ in range(40):  # an untrained table may not end for long
            token = int(torch.multinomial(probabilities[token], 1, generator=generator))
            if token == 0:
                break
            numbers.append(token)
        names.append(vocabulary.decode(numbers))
    return names


def smoothing(words: list[str], vocabulary: Vocabulary) -> None:
    """Let every count start above 0. Otherwise a pair that never occurred in training has an infinite loss."""
    print("5. Smoothing: trained on 80% of the names, judged on others")
    splits = split_words(words)
    tokens, targets = build_windows(splits.train, vocabulary, 1)  # (n, 1), (n,)
    dev_tokens, dev_targets = build_windows(splits.dev, vocabulary, 1)  # (m, 1), (m,)
    for k in (0.0, 1.0, 100.0):
        counts = torch.full((len(vocabulary), len(vocabulary)), k)  # (V, V)
        counts.index_put_((tokens.squeeze(1), targets), torch.ones(len(targets)), accumulate=True)
        logprobs = (counts / counts.sum(1, keepdim=True)).log()  # (V, V)
        nll = -logprobs[dev_tokens.squeeze(1), dev_targets].mean()
        print(f"   {k:5g} added to every count: loss on the other names {nll:.4f}")
    print("   none, and one unseen pair makes the loss infinite; too many, and all symbols look alike")


if __name__ == "__main__":
    main()
