"""microgpt: a whole GPT on single numbers, and the same losses from tensors and from native steps."""

from __future__ import annotations

import math
import time

import torch

from namegen_ext.data import Vocabulary, build_sequences, load_words
from namegen_ext.engine import StepEngine
from namegen_ext.models import GPT
from namegen_ext.models.microgpt import fill_as_microgpt
from namegen_reference import microgpt
from namegen_reference.micrograd import Value

SEED, STEPS, SLOW_STEPS = 42, 1000, 25

EXERCISES = [
    (
        "Where do the 4,192 weights lie? The width is 16, the block 16, and there are 27 symbols.",
        "27 * 16 for symbols, 16 * 16 for positions, 27 * 16 for the head; 4 * 16 * 16 for attention and "
        "2 * 16 * 64 for the rest: 432 + 256 + 432 + 1,024 + 2,048.",
    ),
    (
        "x = (3, 4). What is x / rms(x), and how long is it?",
        "rms is sqrt((9 + 16) / 2) = 3.5355, so (0.8485, 1.1314), whose length is sqrt(2).",
    ),
    (
        "Why does a name of 7 letters give 8 predictions?",
        "Each letter is predicted from those before it, and so is the end.",
    ),
]


def main() -> None:
    """Run the lesson."""
    words = load_words("census").words
    symbols(words)
    one_operation()
    root_mean_square()
    one_position(words)
    losses = plain_python(words)
    tensors_and_native_steps(words, losses)


def symbols(words: list[str]) -> None:
    """A name as symbols: one that begins and ends it, and its letters between."""
    print("1. A name is its letters, and one more symbol that begins and ends it")
    model, shuffled, _ = microgpt.begin(words, SEED)
    word = shuffled[0]
    numbers = [model.boundary, *map(model.alphabet.index, word), model.boundary]
    print(f"   the first of {len(words):,} shuffled names, {word}: {' '.join(map(str, numbers))}")
    print(
        f"   each symbol is to predict the next: {len(numbers) - 1} predictions, whose mean loss one step follows"
    )
    print(
        f"   {len(model.parameters()):,} weights, each drawn by random.gauss(0, {microgpt.STANDARD_DEVIATION})\n"
    )


def one_operation() -> None:
    """A dot product as one operation of the scalar engine."""
    print(
        "2. Almost all of the work is dot products, so a dot product is one operation of the scalar engine:"
    )
    a, b = [Value(x) for x in (1.0, 2.0, 3.0)], [Value(x) for x in (4.0, 5.0, 6.0)]
    together, one_by_one = microgpt.dot(a, b), a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    for result, way in ((together, "as one operation"), (one_by_one, "as products and sums")):
        result.backward()
        gradients = " ".join(f"{value.grad:g}" for value in a)
        print(
            f"   {way:<22} {result.data:g}, gradient by the first factors {gradients},"
            f" {len(list(result.graph()))} values"
        )
    print("   the derivative by a factor is the other factor, either way\n")


def root_mean_square() -> None:
    """The norm keeps a vector's direction and fixes its length."""
    print(
        "3. rms(x) = x / sqrt(mean of squares): a vector keeps its direction, and its length becomes sqrt(n)"
    )
    for scale in (0.01, 1.0, 100.0):
        x = [Value(scale * number) for number in (3.0, -1.0, 2.0, 0.5)]
        normed = [value.data for value in microgpt.rms(x)]
        length = math.sqrt(sum(number**2 for number in normed))
        print(
            f"   times {scale:<6g} "
            + " ".join(f"{number:6.3f}" for number in normed)
            + f"   length {length:.3f}"
        )
    print("   (1e-5 inside the root matters where x is tiny)\n")


def one_position(words: list[str]) -> None:
    """One symbol through the model: scores, probabilities, and a loss."""
    print("4. One symbol through the model gives a score to each symbol that may come next")
    model, _, _ = microgpt.begin(words, SEED)
    cache = microgpt.Cache()
    scores = model.scores(model.boundary, cache)
    probabilities = microgpt.softmax(scores)
    graph = sum(1 for _ in scores[0].graph())
    print(
        f"   {len(scores)} scores near 0, probabilities near 1/{len(scores)}: the first is {probabilities[0].data:.4f}"
    )
    print(
        f"   a score depends on {graph:,} values; the keys and values of this position stay for those behind it\n"
    )


def plain_python(words: list[str]) -> list[float]:
    """Train for a moment; return the losses."""
    print(
        "5. Training: a name, its loss, backward, and a step of Adam at a rate that falls in a straight line"
    )
    model, shuffled, _ = microgpt.begin(words, SEED)
    began = time.perf_counter()
    losses = microgpt.train(model, shuffled, SLOW_STEPS, planned=STEPS)
    each = (time.perf_counter() - began) / SLOW_STEPS
    for step in (1, 5, SLOW_STEPS):
        print(f"   step {step:>2}: {shuffled[step - 1]:<10} loss {losses[step - 1]:.4f}")
    print(f"   {1e3 * each:.0f} ms a step: {STEPS:,} would take {STEPS * each:.0f} s\n")
    return losses


def tensors_and_native_steps(words: list[str], expected: list[float]) -> None:
    """The package's GPT with the same weights: the same losses, and all steps in one call."""
    print("6. The package's GPT is the same model, where it is given the same options and weights:")
    print("   GPT(norm='rms', activation='relu', biases=False, final_norm=False, embedding_norm=True)")
    _, shuffled, _ = microgpt.begin(words, SEED)
    vocabulary = Vocabulary.from_words(words)
    tokens, targets = build_sequences(shuffled, vocabulary, microgpt.BLOCK_SIZE)  # (n, T), (n, T)
    model = GPT(
        len(vocabulary),
        block_size=microgpt.BLOCK_SIZE,
        embedding_dim=microgpt.WIDTH,
        num_layers=microgpt.LAYERS,
        num_heads=microgpt.HEADS,
        norm="rms",
        activation="relu",
        biases=False,
        final_norm=False,
        embedding_norm=True,
    ).double()
    fill_as_microgpt(model, SEED, len(words))
    optimizer = torch.optim.AdamW(
        model.parameters(), microgpt.LEARNING_RATE, (microgpt.BETA1, microgpt.BETA2), weight_decay=0.0
    )
    engine = StepEngine(model, optimizer)
    indices = torch.arange(STEPS)[:, None] % len(shuffled)  # (steps, 1): one name each
    rates = [microgpt.LEARNING_RATE * (1 - step / STEPS) for step in range(STEPS)]
    began = time.perf_counter()
    losses = engine.run(tokens, targets, indices, rates)  # (steps,)
    seconds = time.perf_counter() - began
    difference = (losses[: len(expected)] - torch.tensor(expected, dtype=torch.float64)).abs().max()
    print(
        f"   largest difference of the first {len(expected)} losses to those of plain Python: {difference:.0e}"
    )
    print(
        f"   all {STEPS:,} native steps in float64: {1e3 * seconds:.0f} ms;"
        f" mean of the last 100 losses {losses[-100:].mean():.4f}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)  # the tensors are small: a second thread gains nothing
    main()
