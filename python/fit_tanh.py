"""Fit the rational functions that the tanh kernels evaluate (csrc/kernels/cpu/tanh.h).

tanh(x) is approximated by x * P(x^2) / Q(x^2) on |x| <= limit with the least possible largest relative error, found
by Remez exchange in 60-digit arithmetic. Run it to see where the coefficients come from:

    python python/fit_tanh.py

Needs mpmath, which every installation of torch brings along.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpmath import linspace, lu_solve, matrix, mp, mpf, polyval, tanh

mp.dps = 60


@dataclass(frozen=True)
class Fit:
    """What to fit: degrees count powers of x^2."""

    name: str
    limit: mpf
    numerator_degree: int
    denominator_degree: int
    digits: int

    @property
    def points(self) -> int:
        """The number of points at which the best error reaches its largest size."""
        return self.numerator_degree + self.denominator_degree + 2


FITS = (
    Fit("float32", mpf("9.02"), 6, 3, 10),  # from 9.011 on, the float32 nearest to tanh(x) is 1
    Fit("float64, small x", mpf("0.625"), 3, 3, 19),  # beyond, 1 - 2 / (exp(2x) + 1) loses nothing
)


def target(t: mpf) -> mpf:
    """Return tanh(sqrt(t)) / sqrt(t)."""
    return tanh(t**0.5) / t**0.5 if t > 0 else mpf(1)


def relative_error(t: mpf, numerator: list[mpf], denominator: list[mpf]) -> mpf:
    """Return the relative error of P(t) / Q(t); coefficients stand highest power first."""
    return polyval(numerator, t) / polyval(denominator, t) / target(t) - 1


def solve(fit: Fit, points: list[mpf], level: mpf) -> tuple[list[mpf], list[mpf], mpf]:
    """Find P, Q (constant term 1) and the level E with P(t_i) = f(t_i) (1 + (-1)^i E) Q(t_i)."""
    top, unknowns = fit.numerator_degree, fit.points
    denominator = [mpf(1)]
    for _ in range(40):  # Newton's method on the product E * Q
        system, right = matrix(unknowns, unknowns), matrix(unknowns, 1)
        for i, t in enumerate(points):
            f, sign = target(t), (-1) ** i
            for k in range(top + 1):
                system[i, k] = t**k
            for k in range(1, fit.denominator_degree + 1):
                system[i, top + k] = -f * (1 + sign * level) * t**k
            last_q = polyval(denominator, t)
            system[i, unknowns - 1] = -f * sign * last_q
            right[i] = f * (1 + sign * level) - f * sign * last_q * level
        x = lu_solve(system, right)
        new_level = x[unknowns - 1]
        numerator = [x[k] for k in range(top, -1, -1)]
        denominator = [x[top + k] for k in range(fit.denominator_degree, 0, -1)] + [mpf(1)]
        if abs(new_level - level) < mpf(10) ** -30:
            break
        level = new_level
    return numerator, denominator, level


def extrema(numerator: list[mpf], denominator: list[mpf], limit: mpf) -> list[mpf]:
    """Return where the error peaks between its changes of sign, on a fine grid in x."""
    grid = [x**2 for x in linspace(mpf(10) ** -3, limit, 3000)]
    errors = [relative_error(t, numerator, denominator) for t in grid]
    peaks, best = [], 0
    for i in range(1, len(grid)):
        if errors[i] * errors[best] < 0:
            peaks.append(grid[best])
            best = i
        elif abs(errors[i]) > abs(errors[best]):
            best = i
    return [*peaks, grid[best]]


def best(fit: Fit) -> tuple[list[mpf], list[mpf], mpf]:
    """Return P, Q and the largest relative error."""
    limits = linspace(fit.limit / 3, fit.limit, 13)  # each solution starts from that of a slightly smaller range
    points = [limits[0] ** 2 * (1 - mp.cos(mp.pi * (i + mpf("0.5")) / fit.points)) / 2 for i in range(fit.points)]
    level = mpf(0)
    for step, limit in enumerate(limits):
        if step > 0:
            points = [t * (limit / limits[step - 1]) ** 2 for t in points]
        for _ in range(8):
            numerator, denominator, level = solve(fit, points, level)
            peaks = extrema(numerator, denominator, limit)
            if len(peaks) < fit.points:
                raise SystemExit(f"{fit.name}: at {limit} the error has {len(peaks)} peaks, expected {fit.points}")
            points = peaks[: fit.points]
    return numerator, denominator, abs(level)


def main() -> None:
    """Print the coefficients, lowest power first, and the largest relative error of each fit."""
    for fit in FITS:
        numerator, denominator, level = best(fit)
        print(f"{fit.name}: |x| <= {mp.nstr(fit.limit, 4)}, largest relative error {mp.nstr(level, 5)}")
        for name, coefficients in (("P", numerator), ("Q", denominator)):
            for k, c in enumerate(reversed(coefficients)):
                print(f"  {name}[{k}] = {mp.nstr(c, fit.digits)}")


if __name__ == "__main__":
    main()
