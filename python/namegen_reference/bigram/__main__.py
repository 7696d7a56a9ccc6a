"""The bigram by counting and by descent: ``python -m namegen_reference.bigram NAMES_FILE``."""

from __future__ import annotations

import random
import sys

from namegen_reference.bigram import BigramNetwork, count_pairs, mean_nll, row_probabilities, sample
from namegen_reference.reference_command import build_parser, read_words_or_exit, run
from namegen_reference.words import END_MARKER, alphabet_of

NUM_SAMPLES = 10


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = build_parser("bigram", "Learn which character follows which, by counting and by descent.")
    parser.add_argument(
        "--steps", metavar="N", type=int, default=200, help="full-batch gradient steps (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.steps < 0:
        parser.error(f"argument --steps: got {options.steps}, expected a whole number from 0")
    words = read_words_or_exit(parser, options.words)
    alphabet = alphabet_of(words)

    counts = count_pairs(words, alphabet)  # (V, V)
    print(f"{len(words):,} words, {sum(map(sum, counts)):,} pairs of neighbours; the most frequent:")
    print("  ".join(f"{pair} {count:,}" for pair, count in most_frequent(counts, alphabet)))

    counted = row_probabilities(counts)  # (V, V)
    smoothed = row_probabilities(counts, k=1)  # (V, V)
    network = BigramNetwork(len(counts), random.Random(options.seed))
    untrained = network.probabilities()  # (V, V)
    losses = network.train(counts, options.steps)
    trained = network.probabilities()  # (V, V)

    print(
        f"\nloss of the network with its penalty: {losses[0]:.4f}, after {options.steps} steps {losses[-1]:.4f}"
    )
    print("mean negative log-likelihood per character, in nats:")
    tables = {"before training": untrained, "after training": trained, "from the counts": counted}
    for name, table in (*tables.items(), ("counts, add-1", smoothed)):
        print(f"  {name:<18}{mean_nll(table, counts):.4f}")

    # Every table is drawn from with the same random numbers, so that only the tables make a difference.
    columns = {name: draw(table, alphabet, options.seed) for name, table in tables.items()}
    print("\n" + "".join(f"{name:<26}" for name in columns).rstrip())
    for row in zip(*columns.values(), strict=True):
        print("".join(f"{shorten(word):<26}" for word in row).rstrip())
    return 0


def most_frequent(counts: list[list[int]], alphabet: str, number: int = 8) -> list[tuple[str, int]]:
    """Return the pairs that occur most often, with their counts."""
    symbols = END_MARKER + alphabet
    pairs = [(symbols[i] + symbols[j], count) for i, row in enumerate(counts) for j, count in enumerate(row)]
    return sorted(pairs, key=lambda pair: -pair[1])[:number]


def draw(table: list[list[float]], alphabet: str, seed: int) -> list[str]:
    """Draw words, each with a random generator of its own."""
    return [sample(table, alphabet, random.Random(f"{seed}/{index}")) for index in range(NUM_SAMPLES)]


def shorten(word: str) -> str:
    """Shorten a word so that it fits its column."""
    return word[:21] + "..." if len(word) > 24 else word or "(empty)"


if __name__ == "__main__":
    sys.exit(run(main))
