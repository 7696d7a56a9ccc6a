"""Names of several categories: models of this package beside LSTMs of the size of PyTorch's tutorials.

    python -m namegen_bench.nationalities FOLDER [--seconds S]

FOLDER holds a file of names for each category, such as the 18 nationalities of surnames of PyTorch's tutorials on
classifying and on generating names with a character-level RNN ("NLP From Scratch", pytorch.org). Every model is trained
on the same 80% of the names, for the same time on one thread, and judged by the other 20%: by the loss of the names
given their categories, in nats per character, and by how often the right category is found. A model of names finds
categories by Bayes' rule; the classifier is trained for nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext import Generator, fit
from namegen_ext.data import DataError, load_words, split_words
from namegen_ext.data.categories import category_of, without_mark

HIDDEN_SIZE = 128  # of the tutorials' networks
_BATCH = 64
_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Names:
    """Names as numbers.

    Attributes:
        letters: int64 (n, L), letters from 1 on, zeros behind them, one at least.
        categories: int64 (n,).

    """

    letters: Tensor
    categories: Tensor


class NameLSTM(nn.Module):
    """An LSTM over one-hot letters, and one-hot categories where names are to be generated.

    Args:
        num_letters: V, with the end.
        num_categories: K.
        classifies: whether it tells the category of a name; else the next letters given the category.

    """

    def __init__(self, num_letters: int, num_categories: int, *, classifies: bool) -> None:
        super().__init__()
        self.sizes = (num_letters, num_categories)
        self.classifies = classifies
        inputs = num_letters if classifies else num_letters + num_categories
        self.lstm = nn.LSTM(inputs, HIDDEN_SIZE, batch_first=True)
        self.head = nn.Linear(HIDDEN_SIZE, num_categories if classifies else num_letters)

    def losses(self, names: Names) -> Tensor:
        """Return -log P: of the category (n,), or of each letter and the end (n, L), 0 behind it."""
        num_letters, num_categories = self.sizes
        if self.classifies:
            states, _ = self.lstm(F.one_hot(names.letters, num_letters).float())  # (n, L, H)
            last = (names.letters > 0).sum(dim=1) - 1  # (n,)
            logits = self.head(states[torch.arange(len(last)), last])  # (n, K)
            return F.cross_entropy(logits, names.categories, reduction="none")
        before = F.pad(names.letters[:, :-1], (1, 0))  # (n, L)
        kind = F.one_hot(names.categories, num_categories)[:, None].expand(
            -1, before.shape[1], -1
        )  # (n, L, K)
        states, _ = self.lstm(torch.cat([F.one_hot(before, num_letters), kind], dim=2).float())  # (n, L, H)
        logits = self.head(states)  # (n, L, V)
        losses = F.cross_entropy(logits.flatten(0, 1), names.letters.flatten(), reduction="none")
        return losses.view_as(before) * _is_predicted(names.letters)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m namegen_bench.nationalities", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a file NAME.txt for each category")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="to train each model for (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    files = sorted(options.folder.glob("*.txt"))
    try:
        words = load_words([f"{file.stem}={file}" for file in files])
    except DataError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    splits = split_words(words.words)
    held_out = [*splits.dev, *splits.test]
    lists: dict[str, list[str]] = {}
    for word in words.words:
        lists.setdefault(words.categories[category_of(word)], []).append(without_mark(word))
    print(
        f"{len(words.words):,} names of {len(words.categories)} categories, {len(held_out):,} of them held out"
    )
    print("model                           seconds  held-out loss  accuracy")
    for name, generator, seconds in _generators(lists, options.seconds):
        report = generator.category_report()
        _tell(name, seconds, _loss(generator, held_out), report["accuracy"])
    letters = {
        letter: number
        for number, letter in enumerate(sorted(set("".join(map(without_mark, words.words)))), 1)
    }
    train, test = _names(splits.train, letters), _names(held_out, letters)
    prior = torch.bincount(train.categories, minlength=len(words.categories)).double().log()  # (K,)
    for classifies in (False, True):
        torch.manual_seed(1)
        model = NameLSTM(len(letters) + 1, len(words.categories), classifies=classifies)
        seconds = _train(model, train, options.seconds)
        loss, accuracy = _evaluate(model, test, prior)
        name = "LSTM that classifies names" if classifies else "LSTM that generates names"
        _tell(name, seconds, loss, accuracy)
    return 0


def _tell(name: str, seconds: float, loss: float | None, accuracy: float | None) -> None:
    shown = "" if loss is None else f"{loss:.4f}"
    print(f"{name:30} {seconds:8.1f}  {shown:>13}  {accuracy:8.1%}", flush=True)


def _generators(lists: dict[str, list[str]], seconds: float) -> list[tuple[str, Generator, float]]:
    """Train this package's models: counts, and a perceptron for about as long as was asked for."""
    begin = time.perf_counter()
    counts = fit(lists, model="ngram", init="counts", steps=0, estimator="witten-bell", block_size=4)
    made = [("Witten-Bell counts, block 4", counts, time.perf_counter() - begin)]
    # Reading the list and evaluating take their time too, whatever the number of steps.
    few, many = _timed_fit(lists, 1000)[1], _timed_fit(lists, 5000)[1]
    step = max(many - few, 1e-3) / 4000
    steps = max(1000, 1000 + int((seconds - few) / step))
    generator, spent = _timed_fit(lists, steps)
    return [*made, (f"perceptron, {steps:,} steps", generator, spent)]


def _timed_fit(lists: dict[str, list[str]], steps: int) -> tuple[Generator, float]:
    begin = time.perf_counter()
    generator = fit(
        lists,
        model="mlp",
        fused="step",
        steps=steps,
        block_size=8,
        embedding_dim=24,
        hidden_size=HIDDEN_SIZE,
        batch_size=_BATCH,
        optimizer="adamw",
        learning_rate=_LEARNING_RATE,
    )
    return generator, time.perf_counter() - begin


def _loss(generator: Generator, words: Sequence[str]) -> float:
    """Return the mean loss per character of marked words given their categories."""
    total, characters = 0.0, 0
    for category in generator.categories:
        own = [without_mark(word) for word in words if generator.categories[category_of(word)] == category]
        total += float(generator.score(own, category=category, nearest=False).nll.sum())
        characters += sum(len(word) + 1 for word in own)
    return total / characters


def _names(words: Sequence[str], letters: dict[str, int]) -> Names:
    longest = max(map(len, words))
    rows = torch.zeros(len(words), longest, dtype=torch.int64)  # (n, L), the mark's place for the end
    for row, word in enumerate(words):
        rows[row, : len(word) - 1] = torch.tensor([letters[letter] for letter in without_mark(word)])
    return Names(rows, torch.tensor(list(map(category_of, words))))


def _is_predicted(letters: Tensor) -> Tensor:
    """Tell which places of names (n, L) are letters, or the first 0 behind them."""
    places = torch.arange(letters.shape[1])  # (L,)
    return places <= (letters > 0).sum(dim=1, keepdim=True)  # (n, L)


def _train(model: NameLSTM, train: Names, seconds: float) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    generator = torch.Generator().manual_seed(1)
    begin = time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        for group in optimizer.param_groups:  # a cosine to 0, as the perceptron has it
            group["lr"] = (
                _LEARNING_RATE * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * spent / seconds))))
            )
        rows = torch.randint(len(train.categories), (_BATCH,), generator=generator)  # (64,)
        batch = Names(train.letters[rows], train.categories[rows])
        longest = int((batch.letters > 0).sum(dim=1).max()) + 1
        batch = Names(batch.letters[:, :longest], batch.categories)
        losses = model.losses(batch)
        loss = losses.mean() if model.classifies else losses.sum() / _is_predicted(batch.letters).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - begin


@torch.no_grad()
def _evaluate(model: NameLSTM, test: Names, prior: Tensor) -> tuple[float | None, float]:
    """Return the loss per character and the accuracy over all held-out names."""
    num_categories = model.sizes[1]
    joint = []
    for category in range(num_categories):
        assumed = Names(test.letters, torch.full_like(test.categories, category))
        losses = model.losses(assumed)  # (n,) or (n, L)
        joint.append(-losses.double() if model.classifies else prior[category] - losses.double().sum(dim=1))
    chosen = torch.stack(joint, dim=1).argmax(dim=1)  # (n,)
    accuracy = float((chosen == test.categories).double().mean())
    if model.classifies:
        return None, accuracy
    characters = int(_is_predicted(test.letters).sum())
    return float(model.losses(test).double().sum()) / characters, accuracy


if __name__ == "__main__":
    sys.exit(main())
