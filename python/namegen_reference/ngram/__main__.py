"""Fit the counting models and print their losses: ``python -m namegen_reference.ngram NAMES_FILE``."""

from __future__ import annotations

import random
import sys

from namegen_reference.ngram import AddK, CountingModel, KneserNey, WittenBell
from namegen_reference.reference_command import build_parser, read_words_or_exit, run
from namegen_reference.words import alphabet_of, split_words

NUM_SAMPLES = 8


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = build_parser("ngram", "Fit counting models on 80% of the words and judge them on the rest.")
    options = parser.parse_args(arguments)
    words = read_words_or_exit(parser, options.words)
    train, dev, test = split_words(words)
    seen = set(train)
    unseen_dev = [word for word in dev if word not in seen] or dev
    alphabet = alphabet_of(words)  # of all words, because a rare character may occur only in dev or test
    models: dict[str, CountingModel] = {
        "unigram, add-1": AddK(order=1, k=1, alphabet=alphabet),
        "bigram, add-1": AddK(order=2, k=1, alphabet=alphabet),
        "trigram, add-0.1": AddK(order=3, k=0.1, alphabet=alphabet),
        "4-gram, add-0.1": AddK(order=4, k=0.1, alphabet=alphabet),
        "Witten-Bell, context 4": WittenBell(context=4, alphabet=alphabet),
        "Kneser-Ney, context 5": KneserNey(context=5, alphabet=alphabet),
    }
    print(f"{len(train):,} words to count, {len(dev):,} dev, {len(test):,} test; {len(alphabet) + 1} symbols")
    print("mean negative log-likelihood per character, in nats\n")
    print(f"{'model':<24}{'train':>8}{'dev':>8}{'unseen':>8}{'test':>8}   (unseen: dev words not in train)")
    rng = random.Random(options.seed)
    for name, model in models.items():
        model.fit(train)
        losses = [model.nll(part) for part in (train, dev, unseen_dev, test)]
        print(f"{name:<24}" + "".join(f"{loss:8.4f}" for loss in losses))
    print()
    for name, model in models.items():
        print(f"{name:<24}" + " ".join(model.sample(rng) or "(empty)" for _ in range(NUM_SAMPLES)))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
