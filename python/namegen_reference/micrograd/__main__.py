"""The engine at work: ``python -m namegen_reference.micrograd [--out DIR]``."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

from namegen_reference.micrograd import (
    MLP,
    SAMPLE_INPUTS,
    SAMPLE_TARGETS,
    DrawingError,
    Value,
    draw,
    mean_squared_error,
    to_dot,
    two_moons,
)
from namegen_reference.micrograd.boundary import PictureError, boundary_png, boundary_text
from namegen_reference.micrograd.datasets import Point
from namegen_reference.micrograd.training import fit_classes, fit_sample, predict
from namegen_reference.reference_command import build_parser, run

NUM_POINTS = 100
NOISE = 0.1
BATCH_SIZE = 20
LEARNING_RATE = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = build_parser("micrograd", "Differentiate, train on four examples, part two moons.", words=False)
    parser.add_argument(
        "--steps", metavar="N", type=int, default=200, help="on the moons (default: %(default)s)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="a directory for pictures (default: text only)"
    )
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"argument --steps: got {options.steps}, expected a whole number from 1")
    if options.out is not None:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"argument --out: {options.out}: {error.strerror or error}")
    try:
        show_gradients(options.out)
        show_sample(options.seed)
        show_moons(options.seed, options.steps, options.out)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    return 0


def show_gradients(out: Path | None) -> None:
    """Print z = x*x*y with its gradients, and draw its graph."""
    x, y = Value(2, label="x"), Value(3, label="y")
    z = x * x * y
    z.label = "z"
    z.backward()
    print(f"z = x*x*y at x=2, y=3: z = {z.data:g}, dz/dx = 2xy = {x.grad:g}, dz/dy = x*x = {y.grad:g}")
    if out is None:
        print(f"\nits graph for Graphviz (--out DIR writes it):\n{to_dot(z)}")
        return
    draw(z, out / "graph.dot")
    print(f"its graph: {out / 'graph.dot'}")
    if shutil.which("dot") is None:
        print(
            f"not rendered: Graphviz is not installed; where it is: dot -Tsvg {out / 'graph.dot'} > graph.svg\n"
        )
        return
    try:
        draw(z, out / "graph.svg")
        print(f"rendered: {out / 'graph.svg'}\n")
    except DrawingError as error:
        print(f"not rendered: {error}\n")


def show_sample(seed: int) -> None:
    """Train on four examples with the mean squared error."""
    model = MLP(3, [4, 4, 1], rng=random.Random(seed))
    print(f"four examples, an MLP of {len(model.parameters())} parameters, mean squared error:")
    losses = fit_sample(model, SAMPLE_INPUTS, SAMPLE_TARGETS, steps=100)
    predictions = [model(example)[0] for example in SAMPLE_INPUTS]
    last = mean_squared_error(predictions, SAMPLE_TARGETS).data
    print(f"  loss {losses[0]:.4f}, after {len(losses)} steps {last:.6f}")
    for prediction, target in zip(predictions, SAMPLE_TARGETS, strict=True):
        print(f"  answer {prediction.data:+.3f}, right {target:+.0f}")


def show_moons(seed: int, steps: int, out: Path | None) -> None:
    """Train on two moons with the cross-entropy, and show the boundary."""
    rng = random.Random(seed)
    points, classes = two_moons(NUM_POINTS, NOISE, rng)
    model = MLP(2, [8, 8, 2], rng=rng)
    print(f"\ntwo moons, {NUM_POINTS} points, an MLP of {len(model.parameters())} parameters, cross-entropy:")
    losses = fit_classes(model, points, classes, steps, LEARNING_RATE, BATCH_SIZE, rng)

    def classify(point: Point) -> int:
        return predict(model, point)

    num_right = sum(classify(point) == number for point, number in zip(points, classes, strict=True))
    print(f"  loss {losses[0]:.4f}, of the last of {steps} steps {losses[-1]:.4f}")
    print(f"  {num_right} of {NUM_POINTS} points right\n\n{boundary_text(classify, points, classes)}")
    if out is not None:
        try:
            boundary_png(classify, points, classes, out / "moons.png")
            print(f"drawn: {out / 'moons.png'}")
        except PictureError as error:
            print(f"not drawn: {error}")


if __name__ == "__main__":
    sys.exit(run(main))
