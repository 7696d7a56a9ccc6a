"""Fit the rational functions inside the GELU kernels (csrc/core/kernels/cpu/gelu.h).

For t >= 0 the kernels form the normal distribution's lower tail as

    Phi(-t) = exp(-t^2 / 2) * C(t),    C(t) = exp(t^2 / 2) * erfc(t / sqrt(2)) / 2,

and take C(t) = (p[0] + ... + p[n] t^n) / (q[0] + ... + q[n] t^n + t^(n + 1)). All coefficients are positive, so that no
sum loses digits.

Run this to see where the coefficients come from; it prints them, lowest power first, and the largest relative error.
Needs mpmath, which every installation of torch brings along.

    python python/fit_gelu.py
"""

from __future__ import annotations

from mpmath import cos, erfc, exp, lu_solve, matrix, mp, mpf, nstr, pi, polyval, sqrt

mp.dps = 60
_ROUNDS = 12
_POINTS_PER_COEFFICIENT = 8


def tail_factor(t: mpf) -> mpf:
    """Return C(t)."""
    return exp(t * t / 2) * erfc(t / sqrt(2)) / 2


def fit(degree: int, limit: mpf) -> tuple[list[mpf], list[mpf], mpf]:
    """Fit numerator and denominator on [0, limit] by least squares of the relative error.

    The error of p / q is linear in the coefficients once q in its denominator is that of the round before.
    """
    count = _POINTS_PER_COEFFICIENT * (2 * degree + 2)
    # Dense towards both ends, and more so towards 0, where C changes most.
    points = [limit * ((1 - cos(pi * (2 * i + 1) / (2 * count))) / 2) ** 2 for i in range(count)]
    values = [tail_factor(t) for t in points]
    weights = [mpf(1) / (1 + t ** (degree + 1)) for t in points]
    unknowns = 2 * degree + 2
    for _ in range(_ROUNDS):
        normal, right = matrix(unknowns, unknowns), matrix(unknowns, 1)
        for t, value, weight in zip(points, values, weights, strict=True):
            powers = [t**k for k in range(degree + 1)]
            row = [weight * power / value for power in powers] + [-weight * power for power in powers]
            wanted = weight * t ** (degree + 1)
            for i in range(unknowns):
                right[i] += row[i] * wanted
                for j in range(unknowns):
                    normal[i, j] += row[i] * row[j]
        solution = list(lu_solve(normal, right))
        p, q = solution[: degree + 1], [*solution[degree + 1 :], mpf(1)]
        weights = [1 / polyval(q[::-1], t) for t in points]
    worst = mpf(0)
    for i in range(2001):
        t = limit * (mpf(i) / 2000) ** 2
        worst = max(worst, abs(polyval(p[::-1], t) / polyval(q[::-1], t) / tail_factor(t) - 1))
    return p, q, worst


def main() -> None:
    """Print the coefficients for each type."""
    for name, degree, limit, digits in (("float32", 4, 14, 10), ("float64", 10, 39, 19)):
        p, q, worst = fit(degree, mpf(limit))
        print(f"{name}: largest relative error {nstr(worst, 3)}")
        for k, value in enumerate(p):
            print(f"  p[{k}] = {nstr(value, digits)}")
        for k, value in enumerate(q[:-1]):
            print(f"  q[{k}] = {nstr(value, digits)}")


if __name__ == "__main__":
    main()
