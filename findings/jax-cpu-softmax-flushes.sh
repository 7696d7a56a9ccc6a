#!/usr/bin/env bash
# JAX on the CPU flushes numbers below 1.2e-38 to zero: the log of a softmax is minus infinity where torch and numpy still
# have a number.
#
# What one would expect: float32 has subnormal numbers down to 1.4e-45, and log(softmax(x)) of logits 0 and -95 is -95.
#
# What happens: XLA's CPU backend computes with denormals as zero, with and without jit; torch keeps them by default
# (torch.set_flush_denormal is off).
#
# Versions: jax 0.10.2, torch 2.13.0 (CPU), Python 3.11, x86-64.
# Output seen:
#   log(softmax([0, -95]))[1]: jax -inf, jax with jit -inf, torch -95.0, numpy -95.0
# What it means: a negative log-likelihood is taken from log_softmax in both; two models are not compared by log(softmax).
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet jax==0.10.2 torch==2.13.0 numpy || { echo "needs jax==0.10.2 torch==2.13.0 numpy"; exit 77; }

cat > check.py <<'PYTHON'
import jax
import numpy
import torch


def of(log, softmax, array):
    return float(log(softmax(array))[1])


def numpy_softmax(x):
    return numpy.exp(x) / numpy.exp(x).sum()


logits = numpy.array([0, -95], numpy.float32)
with_jit = float(jax.jit(lambda x: jax.numpy.log(jax.nn.softmax(x)))(logits)[1])
eager = of(jax.numpy.log, jax.nn.softmax, logits)
torchs = of(torch.log, lambda x: torch.softmax(x, 0), torch.from_numpy(logits))
numpys = of(numpy.log, numpy_softmax, logits)
print(f"log(softmax([0, -95]))[1]: jax {eager:.1f}, jax with jit {with_jit:.1f}, torch {torchs:.1f}, numpy {numpys:.1f}")
flushed = eager == with_jit == -numpy.inf
raise SystemExit(0 if flushed and abs(torchs + 95) < 0.1 and abs(numpys + 95) < 0.1 else "changed")
PYTHON
venv/bin/python check.py
