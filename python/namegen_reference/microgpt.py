"""A GPT of 4,192 parameters in plain Python: training, and drawing names. Read it from top to bottom.

It is the model of A. Karpathy's "microgpt" (2026), written on the scalar engine of :mod:`namegen_reference.micrograd`.
With seed 42 and the makemore project's names.txt it has the losses and the names that are published. It takes half a
minute: ``python -m namegen_reference.microgpt names.txt``.

For each symbol of a name, from the mark of its beginning on, the model gives a score to every symbol that may follow:

    x = rms(token embedding + position embedding)
    x = x + wo @ attention(rms(x))          each head mixes the values of the positions so far
    x = x + fc2 @ relu(fc1 @ rms(x))
    scores = lm_head @ x

The loss is the mean of -log(probability) of the symbols that do come next. Adam follows its gradient, one name a step.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Sequence
from operator import mul

from namegen_reference.micrograd import Value
from namegen_reference.micrograd.value import computed
from namegen_reference.reference_command import build_parser, read_words_or_exit, run
from namegen_reference.words import alphabet_of

WIDTH, HEADS, LAYERS, BLOCK_SIZE = 16, 4, 1, 16
HEAD_SIZE = WIDTH // HEADS
STANDARD_DEVIATION = 0.08  # of the initial weights
EPS = 1e-5  # inside the root of rms

LEARNING_RATE, BETA1, BETA2, ADAM_EPS = 0.01, 0.85, 0.99, 1e-8
STEPS = 1000
TEMPERATURE = 0.5
HELD_OUT = 200  # names, of those that no step has seen

Vector = list[Value]
Matrix = list[Vector]  # a row for each output


# ---- Arithmetic on lists of values -------------------------------------------------------------------------


def dot(a: Sequence[Value], b: Sequence[Value]) -> Value:
    """Return the sum of products, as one operation. Its derivative with respect to a factor is the other factor."""
    x, y = [value.data for value in a], [value.data for value in b]
    return computed(sum(map(mul, x, y)), "dot", (*a, *b), (*y, *x))


def linear(matrix: Matrix, x: Vector) -> Vector:
    """Multiply a matrix by a vector."""
    return [dot(row, x) for row in matrix]


def rms(x: Vector) -> Vector:
    """Divide a vector by the root of its mean square."""
    scale = (dot(x, x) / len(x) + EPS) ** -0.5
    return [value * scale for value in x]


def add(a: Vector, b: Vector) -> Vector:
    """Add two vectors."""
    return [x + y for x, y in zip(a, b, strict=True)]


def softmax(scores: Vector) -> Vector:
    """Turn scores into probabilities. The largest score is taken off first, so that no exponential is too large."""
    top = max(score.data for score in scores)
    exponentials = [(score - top).exp() for score in scores]
    total = sum(exponentials, start=Value(0.0))
    return [exponential / total for exponential in exponentials]


# ---- The model ---------------------------------------------------------------------------------------------


class Cache:
    """The keys and values of the positions so far: for each layer a list of vectors of each."""

    def __init__(self) -> None:
        self.keys: list[Matrix] = [[] for _ in range(LAYERS)]
        self.values: list[Matrix] = [[] for _ in range(LAYERS)]

    @property
    def length(self) -> int:
        """How many positions there are so far."""
        return len(self.keys[-1])


class MicroGPT:
    """The model. Its symbols are the letters of the alphabet, and one more that begins and ends a name.

    Args:
        alphabet: the letters, each once.
        rng: the initial weights are drawn from it, row by row.

    Example:
        >>> model = MicroGPT("abcdefghijklmnopqrstuvwxyz", random.Random(42))
        >>> len(model.parameters())
        4192
        >>> scores = model.scores(model.boundary, Cache())
        >>> len(scores)
        27

    """

    def __init__(self, alphabet: str, rng: random.Random) -> None:
        self.alphabet = alphabet
        self.boundary = len(alphabet)  # the symbol that begins and ends a name
        symbols = len(alphabet) + 1

        def matrix(rows: int, columns: int) -> Matrix:
            return [[Value(rng.gauss(0, STANDARD_DEVIATION)) for _ in range(columns)] for _ in range(rows)]

        self.token_embedding = matrix(symbols, WIDTH)
        self.position_embedding = matrix(BLOCK_SIZE, WIDTH)
        self.head = matrix(symbols, WIDTH)
        self.layers = [
            {
                "query": matrix(WIDTH, WIDTH),
                "key": matrix(WIDTH, WIDTH),
                "value": matrix(WIDTH, WIDTH),
                "output": matrix(WIDTH, WIDTH),
                "wide": matrix(4 * WIDTH, WIDTH),
                "narrow": matrix(WIDTH, 4 * WIDTH),
            }
            for _ in range(LAYERS)
        ]

    def parameters(self) -> Vector:
        """Return all weights, in the order in which they were drawn."""
        matrices = [self.token_embedding, self.position_embedding, self.head]
        matrices += [matrix for layer in self.layers for matrix in layer.values()]
        return [weight for matrix in matrices for row in matrix for weight in row]

    def scores(self, token: int, cache: Cache) -> Vector:
        """Take one more symbol of a name; return the score of each symbol that may come next.

        Args:
            token: the symbol.
            cache: those before it; the new position is added.

        """
        position = cache.length
        x = rms(add(self.token_embedding[token], self.position_embedding[position]))
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            h = rms(x)
            query = linear(layer["query"], h)
            keys.append(linear(layer["key"], h))
            values.append(linear(layer["value"], h))
            x = add(x, linear(layer["output"], attention(query, keys, values)))
            hidden = [value.relu() for value in linear(layer["wide"], rms(x))]
            x = add(x, linear(layer["narrow"], hidden))
        return linear(self.head, x)

    def loss(self, word: str) -> Value:
        """Return the mean of -log(probability) of the symbols of a name, its end included; of the first 16 at most."""
        symbols = [self.boundary, *map(self.alphabet.index, word), self.boundary]
        cache = Cache()
        losses = []
        for token, following in itertools.pairwise(symbols[: BLOCK_SIZE + 1]):
            probabilities = softmax(self.scores(token, cache))
            losses.append(-probabilities[following].log())
        return sum(losses, start=Value(0.0)) / len(losses)

    def sample(self, rng: random.Random, temperature: float = TEMPERATURE) -> str:
        """Draw a name, of 16 letters at most; a lower temperature prefers likely letters more."""
        token, cache, word = self.boundary, Cache(), ""
        while len(word) < BLOCK_SIZE:
            probabilities = softmax([score / temperature for score in self.scores(token, cache)])
            weights = [probability.data for probability in probabilities]
            token = rng.choices(range(len(weights)), weights=weights)[0]
            if token == self.boundary:
                break
            word += self.alphabet[token]
        return word


def attention(query: Vector, keys: Matrix, values: Matrix) -> Vector:
    """Mix the values of all positions so far, head by head: the more, the better a position's key fits the query."""
    mixed: Vector = []
    for first in range(0, WIDTH, HEAD_SIZE):
        part = slice(first, first + HEAD_SIZE)
        weights = softmax([dot(query[part], key[part]) / HEAD_SIZE**0.5 for key in keys])
        mixed += [dot(weights, column) for column in zip(*(value[part] for value in values), strict=True)]
    return mixed


# ---- Training ----------------------------------------------------------------------------------------------


class Adam:
    """Moves parameters against their gradients, by steps whose size does not depend on that of the gradients.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.
    """

    def __init__(self, parameters: Vector) -> None:
        self.parameters = parameters
        self.means = [0.0] * len(parameters)  # moving averages of the gradients
        self.squares = [0.0] * len(parameters)  # and of their squares
        self.steps = 0

    def step(self, learning_rate: float) -> None:
        """Make one step, from the gradients that ``backward`` has left in the parameters, and set these to 0.

        The embedding of a letter that the next name lacks is not in its graph, and would keep its gradient.
        """
        self.steps += 1
        for i, parameter in enumerate(self.parameters):
            self.means[i] = BETA1 * self.means[i] + (1 - BETA1) * parameter.grad
            self.squares[i] = BETA2 * self.squares[i] + (1 - BETA2) * parameter.grad**2
            mean = self.means[i] / (1 - BETA1**self.steps)  # the averages began at 0, which this makes up for
            square = self.squares[i] / (1 - BETA2**self.steps)
            parameter.data -= learning_rate * mean / (square**0.5 + ADAM_EPS)
            parameter.grad = 0.0


def train(
    model: MicroGPT,
    words: Sequence[str],
    steps: int = STEPS,
    planned: int | None = None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Take one name a step, in their order; return the loss of each, taken before the step.

    Args:
        model: is trained in place.
        words: the names; after the last one comes the first again.
        steps: how many steps.
        planned: the step at which the learning rate would be 0; None for ``steps``.
        report: is told the number and the loss of each step.

    """
    adam = Adam(model.parameters())
    planned = steps if planned is None else planned
    losses = []
    for step in range(steps):
        loss = model.loss(words[step % len(words)])
        loss.backward()
        adam.step(LEARNING_RATE * (1 - step / planned))
        losses.append(loss.data)
        report(step + 1, loss.data)
    return losses


def begin(words: Sequence[str], seed: int) -> tuple[MicroGPT, list[str], random.Random]:
    """Shuffle the names and draw a model, from one generator. Return both, and the generator as that leaves it."""
    rng = random.Random(seed)
    shuffled = list(words)
    rng.shuffle(shuffled)
    return MicroGPT(alphabet_of(words), rng), shuffled, rng


def mean_nll(model: MicroGPT, words: Sequence[str]) -> float:
    """Return the mean negative log-likelihood per character, in nats; an end counts as a character."""
    counts = [min(len(word) + 1, BLOCK_SIZE) for word in words]
    return sum(model.loss(word).data * count for word, count in zip(words, counts, strict=True)) / sum(counts)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = build_parser(
        "microgpt", "Train a GPT of 4,192 parameters in plain Python, and draw names from it."
    )
    parser.set_defaults(seed=42)
    for flag, default, meaning in (
        ("--steps", STEPS, "of one name each"),
        ("--samples", 20, "names to draw"),
    ):
        parser.add_argument(
            flag, metavar="N", type=int, default=default, help=f"{meaning} (default: %(default)s)"
        )
    options = parser.parse_args(arguments)
    for flag, value, least in (("--steps", options.steps, 1), ("--samples", options.samples, 0)):
        if value < least:
            parser.error(f"argument {flag}: got {value}, expected a whole number from {least}")
    words = read_words_or_exit(parser, options.words)
    model, shuffled, rng = begin(words, options.seed)
    print(
        f"{len(words):,} names, {len(model.alphabet) + 1} symbols, {len(model.parameters()):,} parameters",
        flush=True,
    )

    every = max(1, options.steps // 20)
    recent: list[float] = []

    def report(step: int, loss: float) -> None:
        recent.append(loss)
        if step == 1 or step % every == 0 or step == options.steps:
            mean = sum(recent) / len(recent)
            print(
                f"step {step:>5,} of {options.steps:,}: loss {loss:.4f}, mean since the last line {mean:.4f}",
                flush=True,
            )
            recent.clear()

    losses = train(model, shuffled, options.steps, report=report)
    print(f"mean of all losses {sum(losses) / len(losses):.4f}, the lowest {min(losses):.4f}")
    unseen = shuffled[options.steps :][-HELD_OUT:]
    names = [model.sample(rng) for _ in range(options.samples)]
    if unseen:
        print(f"loss over {len(unseen)} names that no step has seen: {mean_nll(model, unseen):.4f}")
    print("\n".join(name or "(empty)" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
