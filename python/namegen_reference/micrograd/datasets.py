"""Data sets that are small enough for an engine that handles one number at a time."""

from __future__ import annotations

import math
import random

Point = tuple[float, float]

# Four examples of three numbers each, and the answers that the network should give.
SAMPLE_INPUTS = ((2.0, 3.0, -1.0), (3.0, -1.0, 0.5), (0.5, 1.0, 1.0), (1.0, 1.0, -1.0))
SAMPLE_TARGETS = (1.0, -1.0, -1.0, 1.0)


def two_moons(num_points: int, noise: float, rng: random.Random) -> tuple[list[Point], list[int]]:
    """Make two half circles that reach into each other, so that no straight line separates them.

    Class 0 is the upper half of the unit circle around (0, 0). Class 1 is the lower half of the unit circle around
    (1, 0.5).

    Args:
        num_points: the number of points of both classes together. Of an odd number, class 0 has one more.
        noise: the standard deviation of the noise that is added to each coordinate.
        rng: draws the noise.

    Returns:
        The points and their classes. The two classes take turns.

    Raises:
        ValueError: num_points is below 2, or the noise is negative.

    """
    if num_points < 2:
        raise ValueError(f"num_points must be at least 2, but got {num_points!r}")
    if not noise >= 0:
        raise ValueError(f"noise must be at least 0, but got {noise!r}")
    points, classes = [], []
    for index in range(num_points):
        moon = index % 2
        num_of_moon = (num_points + 1 - moon) // 2
        angle = math.pi * (index // 2) / max(num_of_moon - 1, 1)
        x, y = (
            (math.cos(angle), math.sin(angle)) if moon == 0 else (1 - math.cos(angle), 0.5 - math.sin(angle))
        )
        points.append((x + rng.gauss(0, noise), y + rng.gauss(0, noise)))
        classes.append(moon)
    return points, classes
