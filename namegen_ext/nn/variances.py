"""The names of the two variances that a batch can be divided by; torch is not needed to read them."""

from __future__ import annotations

# "biased": the sum of squares over n, as in nn.BatchNorm1d. "unbiased": over n - 1, as in the makemore lectures.
VARIANCES = ("biased", "unbiased")
