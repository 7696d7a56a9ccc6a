"""Tokens and splits: from names to rows of numbers, and which names a model may learn from."""

from __future__ import annotations

import torch

from namegen_ext.data import END_MARKER, Vocabulary, build_windows, load_words, split_words

BLOCK_SIZE = 3

EXERCISES = [
    (
        "How many windows does the name 'abby' give with block_size 8, and how many with block_size 3?",
        "Five each: one for every letter and one for the end. block_size sets how far a window looks back, not how "
        "many there are.",
    ),
    (
        "Somebody shuffles the 36,122 windows, not the names, and puts a tenth of them aside. What goes wrong?",
        "Windows of one name then stand on both sides: the model has seen 'mar' before 'y' of the very name that it is "
        "judged on. The loss on what was put aside says too little about new names.",
    ),
    (
        "A list holds 'Anna' four times. What is to be done before it is split?",
        "Make the names distinct, and keep 4 as a weight if it matters. Otherwise 'anna' may stand in the training "
        "names and in the test names, and is no new name there.",
    ),
]


def main() -> None:
    """Run the lesson."""
    words = load_words("census").words
    vocabulary = alphabet(words)
    numbers(vocabulary)
    windows(vocabulary)
    splits(words)
    leaks(words, vocabulary)


def alphabet(words: list[str]) -> Vocabulary:
    """Show the alphabet: the letters of the list, sorted, and one more symbol for the beginning and the end."""
    print("1. Tokens: each letter of the list gets a number, and 0 is the beginning and the end")
    vocabulary = Vocabulary.from_words(words)
    print(f"   {len(words):,} names use {len(vocabulary.symbols)} letters: {''.join(vocabulary.symbols)}")
    print(f"   with the end marker, V = {len(vocabulary)} symbols\n")
    return vocabulary


def numbers(vocabulary: Vocabulary) -> None:
    """Show a name as numbers and back. Nothing is lost on the way."""
    print("2. There and back")
    encoded = vocabulary.encode("emma")
    print(f"   'emma' -> {encoded} -> {vocabulary.decode(encoded)!r}")
    print("   larger models join letters to longer tokens; names are short, so that letters do\n")


def windows(vocabulary: Vocabulary) -> None:
    """Show the examples that a name gives: what stands before, and what comes next."""
    print(f"3. Examples: a name of n letters gives n + 1, here with block_size {BLOCK_SIZE}")
    tokens, targets = build_windows(["emma"], vocabulary, BLOCK_SIZE)  # (n, block_size), (n,)
    symbols = END_MARKER + "".join(vocabulary.symbols)
    for context, target in zip(tokens.tolist(), targets.tolist(), strict=True):
        told = "".join(symbols[token] for token in context)
        print(f"   {context!s:<12} -> {target:<3} {told} -> {symbols[target]}")
    print(f"   tokens {tuple(tokens.shape)} and targets {tuple(targets.shape)}, both {tokens.dtype}\n")


def splits(words: list[str]) -> None:
    """Show the three parts of the list, and what each is for."""
    print("4. Splits: the names are shuffled and cut, 80% to 10% to 10%")
    parts = split_words(words)
    purposes = {
        "train": (parts.train, "the model learns from these"),
        "dev": (parts.dev, "settings are chosen by the loss on these"),
        "test": (parts.test, "looked at once, at the end: nothing was chosen by them"),
    }
    for name, (part, purpose) in purposes.items():
        print(f"   {name:<5} {len(part):>5,} names, such as {', '.join(part[:3])}: {purpose}")
    shared = set(parts.train) & set(parts.test)
    print(f"   names in both train and test: {len(shared)}\n")


def leaks(words: list[str], vocabulary: Vocabulary) -> None:
    """Judge a table of counts on its own names and on others. The longer the context, the larger the difference."""
    print(
        "5. Why apart: counts with a longer context know their own names ever better, and others ever worse"
    )
    parts = split_words(words)
    print("   context    train loss    dev loss")
    for block_size in (1, 2, 3, 4):
        train, dev = (build_windows(part, vocabulary, block_size) for part in (parts.train, parts.dev))
        table = counted(*train, len(vocabulary))  # (V**block_size, V)
        losses = [nll(table, *part, len(vocabulary)) for part in (train, dev)]
        print(f"   {block_size:>7}    {losses[0]:>10.4f}    {losses[1]:>8.4f}")
    print("   the loss on the training names alone would choose the longest context")


def context_numbers(tokens: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Return the number (n,) of each context (n, block_size): its tokens read as digits."""
    number = torch.zeros(len(tokens), dtype=torch.int64)  # (n,)
    for place in range(tokens.shape[1]):
        number = number * vocab_size + tokens[:, place]  # (n,)
    return number


def counted(tokens: torch.Tensor, targets: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Return the log-probabilities (V**block_size, V) of counts with a tenth added to each."""
    contexts = context_numbers(tokens, vocab_size)  # (n,)
    counts = torch.full((vocab_size ** tokens.shape[1], vocab_size), 0.1)  # (V**block_size, V)
    counts.index_put_((contexts, targets), torch.ones(len(targets)), accumulate=True)
    return (counts / counts.sum(1, keepdim=True)).log()


def nll(table: torch.Tensor, tokens: torch.Tensor, targets: torch.Tensor, vocab_size: int) -> float:
    """Return the mean negative log-likelihood of the targets, in nats a character."""
    return -table[context_numbers(tokens, vocab_size), targets].mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)  # the tensors are small: a second thread gains nothing
    main()
