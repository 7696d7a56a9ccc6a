#!/usr/bin/env bash
# torch.bincount with float32 weights adds one by one in float32: a count stops at 16,777,216, whatever comes after.
#
# What one would expect: counts of 20 million weights of one are 20 million, as numpy.bincount gives (it sums in double),
# and as torch.bincount without weights gives (it counts in int64), and as torch.sum gives, which sums in a tree.
#
# What happens: the sum of a bin is a float32 to which each weight is added in turn. From 2^24 on, adding 1 changes nothing;
# with weights that are no integers the error is seen much earlier. jax.numpy.bincount does the same.
#
# Versions: torch 2.13.0 (CPU), jax 0.10.2, numpy 2.4.6, Python 3.11.
# Output seen:
#   20971520 weights of 1: torch 16777216, jax 16777216, numpy 20971520, torch without weights 20971520
#   1000000 weights of 0.1: torch 100958.3, jax 100958.3, numpy 100000.0, torch in float64 100000.0
# What it means: counts of letters weighted by how often a name occurs are summed in float64.
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
packages="torch==2.13.0 jax==0.10.2 numpy==2.4.6"
# shellcheck disable=SC2086  # a list of words
venv/bin/pip install --quiet $packages || { echo "needs $packages"; exit 77; }

cat > check.py <<'PYTHON'
import jax.numpy
import numpy
import torch

count = 2**24 + 2**22
zeros, ones = torch.zeros(count, dtype=torch.int64), torch.ones(count)
torchs = torch.bincount(zeros, ones).item()
jaxs = jax.numpy.bincount(zeros.numpy(), ones.numpy(), length=1).item()
numpys = numpy.bincount(zeros.numpy(), ones.numpy()).item()
plain = torch.bincount(zeros).item()
print(f"{count} weights of 1: torch {torchs:.0f}, jax {jaxs:.0f}, numpy {numpys:.0f}, torch without weights {plain}")
zeros, tenths = zeros[:1_000_000], torch.full((1_000_000,), 0.1)
torch_tenths = torch.bincount(zeros, tenths).item()
jax_tenths = jax.numpy.bincount(zeros.numpy(), tenths.numpy(), length=1).item()
numpy_tenths = numpy.bincount(zeros.numpy(), tenths.numpy()).item()
double_tenths = torch.bincount(zeros, tenths.double()).item()
print(
    f"1000000 weights of 0.1: torch {torch_tenths:.1f}, jax {jax_tenths:.1f}, numpy {numpy_tenths:.1f},"
    f" torch in float64 {double_tenths:.1f}"
)
stopped = torchs == jaxs == 2**24 and numpys == plain == count
off = abs(torch_tenths - 100_000) > 500 and abs(double_tenths - 100_000) < 1
raise SystemExit(0 if stopped and off else "changed")
PYTHON
venv/bin/python check.py
