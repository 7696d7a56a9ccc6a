"""Fit the polynomials inside the tanh kernels (csrc/core/kernels/cpu/tanh.h).

The kernels form tanh(x) = e / (e + 2) with e = exp(2x) - 1, and for |r| <= ln(2)/2 take

    exp(r) - 1 = r + r^2 * (c[0] + c[1] r + ... + c[n] r^n).

Run this to see where the coefficients come from; it prints them, lowest power first, and the largest relative error of
exp(r) - 1. Needs mpmath, which every installation of torch brings along.

    python python/fit_tanh.py
"""

from __future__ import annotations

from mpmath import chebyfit, expm1, linspace, log, mp, mpf, nstr, polyval

mp.dps = 40
LIMIT = log(2) / 2 * mpf("1.001")


def remainder(r: mpf) -> mpf:
    """Return (exp(r) - 1 - r) / r^2."""
    return (expm1(r) - r) / r**2 if abs(r) > mpf(10) ** -9 else mpf("0.5") + r / 6


def main() -> None:
    """Print the coefficients for each type."""
    for name, degree, digits in (("float32", 4, 10), ("float64", 10, 18)):
        coefficients = chebyfit(remainder, [-LIMIT, LIMIT], degree + 1)  # highest power first
        error = max(
            abs((r + r**2 * polyval(coefficients, r)) / expm1(r) - 1) for r in linspace(-LIMIT, LIMIT, 1000)
        )
        print(f"{name}: largest relative error {nstr(error, 3)}")
        for k, c in enumerate(reversed(coefficients)):
            print(f"  c[{k}] = {nstr(c, digits)}")


if __name__ == "__main__":
    main()
