"""MLP: an embedding and a hidden layer, so that three characters of context count instead of one."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from namegen_ext.data import END_MARKER, Vocabulary, build_windows, load_words, split_words
from namegen_ext.plotting.lesson_figure import draw_figure

SEED = 2147483647
BLOCK_SIZE = 3
EMBEDDING_DIM = 10
HIDDEN_SIZE = 100
BATCH_SIZE = 32
STEPS = 4000

Parameters = list[torch.Tensor]

EXERCISES = [
    (
        "How many parameters has the network with block_size 5 instead of 3?",
        "8,097: the hidden layer's weight has 2 * 10 * 100 = 2,000 numbers more, and nothing else changes.",
    ),
    (
        "The batch grows from 32 to 320. What becomes of the noise of a gradient, and of the work of a step?",
        "The noise falls to 1/sqrt(10), about a third; the work is ten times as much. That rarely pays.",
    ),
    (
        "The output weights are drawn times 1 instead of 0.01. What does the first loss look like, and "
        "what is lost?",
        "It is far above 3.3, because the logits are large and wrong. Early steps are spent on making "
        "them small.",
    ),
]


def main() -> None:
    """Run the lesson."""
    words = load_words("census").words
    vocabulary = Vocabulary.from_words(words)
    show_windows(vocabulary)
    splits = split_words(words)
    train = build_windows(splits.train, vocabulary, BLOCK_SIZE)  # (n, block_size), (n,)
    dev = build_windows(splits.dev, vocabulary, BLOCK_SIZE)  # (m, block_size), (m,)
    parameters = make_parameters(len(vocabulary))
    show_forward(parameters, train[0][:BATCH_SIZE])
    train_it(parameters, *train)
    show_embedding(parameters[0], vocabulary)
    judge(parameters, train, dev)
    sample(parameters, vocabulary)


def show_windows(vocabulary: Vocabulary) -> None:
    """Show the windows. A table of all contexts of three characters would have 27^3 rows; a network needs no table."""
    print("1. Windows: three characters of context, and what comes next")
    symbols = END_MARKER + "".join(vocabulary.symbols)
    for context, target in zip(*build_windows(["emma"], vocabulary, BLOCK_SIZE), strict=True):
        print(f"   {''.join(symbols[token] for token in context)} -> {symbols[target]}")
    num_contexts = len(vocabulary) ** BLOCK_SIZE
    print(f"   a table of counts would need {num_contexts:,} rows, most of them without an example;")
    print("   a network gives similar contexts similar answers, through the embedding\n")


def make_parameters(vocab_size: int) -> Parameters:
    """Return the embedding, and the weight and bias of the hidden layer and of the output layer."""
    generator = torch.Generator().manual_seed(SEED)
    num_inputs = BLOCK_SIZE * EMBEDDING_DIM
    parameters = [
        torch.randn(vocab_size, EMBEDDING_DIM, generator=generator),  # C (V, E)
        torch.randn(num_inputs, HIDDEN_SIZE, generator=generator) * (5 / 3) / num_inputs**0.5,  # W1 (T*E, H)
        torch.zeros(HIDDEN_SIZE),  # b1 (H,)
        torch.randn(HIDDEN_SIZE, vocab_size, generator=generator) * 0.01,  # W2 (H, V)
        torch.zeros(vocab_size),  # b2 (V,)
    ]
    for parameter in parameters:
        parameter.requires_grad_()
    return parameters


def forward(parameters: Parameters, tokens: torch.Tensor) -> torch.Tensor:
    """Return the logits (B, V) of the next characters after contexts (B, block_size)."""
    embedding, w1, b1, w2, b2 = parameters
    embedded = embedding[tokens]  # (B, block_size, E)
    joined = embedded.view(len(tokens), -1)  # (B, block_size * E)
    hidden = torch.tanh(joined @ w1 + b1)  # (B, H)
    return hidden @ w2 + b2  # (B, V)


def show_forward(parameters: Parameters, tokens: torch.Tensor) -> None:
    """Print the shapes on the way through the network."""
    print("2. The way through the network, of a batch of 32")
    embedding = parameters[0]
    embedded = embedding[tokens]
    print(f"   tokens {tuple(tokens.shape)} -> a row of the embedding for each {tuple(embedded.shape)}")
    print(
        f"   -> side by side {tuple(embedded.flatten(1).shape)} -> hidden, tanh ({BATCH_SIZE}, {HIDDEN_SIZE})"
    )
    print(f"   -> logits {tuple(forward(parameters, tokens).shape)}")
    print(f"   parameters: {sum(parameter.numel() for parameter in parameters):,}\n")


def train_it(parameters: Parameters, tokens: torch.Tensor, targets: torch.Tensor) -> None:
    """Train on minibatches. A rough gradient now is worth more than an exact one later."""
    print(
        f"3. Training on minibatches of {BATCH_SIZE}, at a tenth of the learning rate from step {STEPS * 3 // 4:,} on"
    )
    generator = torch.Generator().manual_seed(SEED)
    recent = 0.0
    for step in range(STEPS):
        indices = torch.randint(len(tokens), (BATCH_SIZE,), generator=generator)  # (B,)
        loss = F.cross_entropy(forward(parameters, tokens[indices]), targets[indices])
        gradients = torch.autograd.grad(loss, parameters)
        learning_rate = 0.2 if step < STEPS * 3 // 4 else 0.02
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= learning_rate * gradient
        recent += loss.item()
        if step == 0:
            print(
                f"   first loss {loss.item():.4f}: knowing nothing costs log V = {math.log(parameters[-1].numel()):.4f}"
            )
        if (step + 1) % 1000 == 0:
            print(f"   mean loss of steps {step - 999:>5,} to {step:>5,}: {recent / 1000:.4f}")
            recent = 0.0


@torch.no_grad()
def show_embedding(embedding: torch.Tensor, vocabulary: Vocabulary) -> None:
    """Draw the embedding (V, E) in the two directions in which its rows differ most. Vowels end up together."""
    centred = embedding - embedding.mean(0)  # (V, E)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:2]  # (2, E)
    places = centred @ directions.T  # (V, 2)
    symbols = END_MARKER + "".join(vocabulary.symbols)

    def draw_letters(axes: Any) -> None:
        axes.scatter(places[:, 0], places[:, 1], s=250, c=["C1" if s in "aeiouy" else "C0" for s in symbols])
        for (x, y), symbol in zip(places.tolist(), symbols, strict=True):
            axes.annotate(symbol, (x, y), ha="center", va="center", color="white")
        axes.set(title="the embedding, along its two widest directions")

    draw_figure("mlp", draw_letters, size=(5.6, 5.0))
    print()


@torch.no_grad()
def judge(
    parameters: Parameters, train: tuple[torch.Tensor, torch.Tensor], dev: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Compare the loss on the training names with the loss on other names."""
    print("4. Judged on names it has not seen")
    losses = [
        F.cross_entropy(forward(parameters, tokens), targets).item() for tokens, targets in (train, dev)
    ]
    bigram = bigram_loss(train, dev)
    print(
        f"   train {losses[0]:.4f}, dev {losses[1]:.4f} (the bigram's dev loss on this split: {bigram:.4f})"
    )
    print("   where train goes on falling and dev does not, the network is learning the names by heart\n")


def bigram_loss(train: tuple[torch.Tensor, torch.Tensor], dev: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Return the dev loss of bigram counts with 1 added to each. Only the last character of a context counts there."""
    vocab_size = int(train[1].max()) + 1
    counts = torch.ones(vocab_size, vocab_size)  # (V, V)
    counts.index_put_((train[0][:, -1], train[1]), torch.ones(len(train[1])), accumulate=True)
    logprobs = (counts / counts.sum(1, keepdim=True)).log()  # (V, V)
    return -logprobs[dev[0][:, -1], dev[1]].mean().item()


@torch.no_grad()
def sample(parameters: Parameters, vocabulary: Vocabulary) -> None:
    """Draw names. After each character the context moves on by one."""
    print("5. Names")
    generator = torch.Generator().manual_seed(SEED)
    names = []
    for _ in range(10):
        context = [0] * BLOCK_SIZE
        numbers: list[int] = []
        while len(numbers) < 30:
            probabilities = forward(parameters, torch.tensor([context])).softmax(1)  # (1, V)
            token = int(torch.multinomial(probabilities, 1, generator=generator))
            if token == 0:
                break
            numbers.append(token)
            context = [*context[1:], token]
        names.append(vocabulary.decode(numbers))
    print("   " + " ".join(name or "(empty)" for name in names))


if __name__ == "__main__":
    torch.set_num_threads(1)  # the tensors are small: a second thread gains nothing
    main()
