#!/usr/bin/env bash
# safetensors.numpy saves a bfloat16 array and cannot load what it has saved.
#
# What one would expect: what save accepts, load gives back; or save refuses it.
#
# What happens: save takes the dtype's name ("bfloat16", from ml_dtypes, the package that JAX uses) and writes BF16; load
# has no such entry in its table of dtypes and ends in KeyError: 'BF16'.
#
# Versions: safetensors 0.8.0, numpy 2.4.6, ml_dtypes 0.6.0, Python 3.11.
# Output seen:
#   saved 78 bytes, dtype BF16 in the header
#   load: KeyError 'BF16'
# What it means: a program that reads weights without torch maps BF16 itself (a bfloat16 is the upper half of a float32).
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0 || { echo "needs safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0"; exit 77; }

cat > check.py <<'PYTHON'
import json

import ml_dtypes
import numpy
from safetensors.numpy import load, save

content = save({"weight": numpy.ones(3, ml_dtypes.bfloat16)})
length = int.from_bytes(content[:8], "little")
dtype = json.loads(content[8 : 8 + length])["weight"]["dtype"]
print(f"saved {len(content)} bytes, dtype {dtype} in the header")
try:
    load(content)
except KeyError as error:
    print("load: KeyError", error)
    raise SystemExit(0 if error.args == ("BF16",) else "changed") from None
raise SystemExit("changed")
PYTHON
venv/bin/python check.py
