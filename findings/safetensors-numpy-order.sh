#!/usr/bin/env bash
# safetensors.numpy writes an array's memory as it lies, with the array's shape: a transposed or sliced array comes back
# with other values, and nothing says so.
#
# What one would expect: the array that was saved is the one that is loaded, as by numpy.save and as by safetensors before
# 0.8; or an error, as safetensors.torch raises for such tensors.
#
# What happens: since 0.8.0 the data pointer and the number of bytes are handed over without a look at the strides
# (reported as safetensors issue 825). The documentation asks for contiguous arrays; a Fortran-ordered one counts as
# contiguous in numpy's own words, and comes from scikit-learn's PCA or numpy.linalg.
#
# Versions: safetensors 0.8.0 and 0.7.0, numpy 2.4.6, Python 3.11.
# Output seen:
#   0.8.0: saved [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]], loaded [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
#   0.7.0: saved [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]], loaded [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
# What it means: numpy.ascontiguousarray before every safetensors.numpy.save; a checksum of the file does not see it.
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6 || { echo "needs safetensors==0.8.0 numpy==2.4.6"; exit 77; }

cat > check.py <<'PYTHON'
import numpy
import safetensors
from safetensors.numpy import load, save

saved = numpy.arange(6, dtype=numpy.float32).reshape(2, 3).T
loaded = load(save({"weight": saved}))["weight"]
print(f"{safetensors.__version__}: saved {saved.tolist()}, loaded {loaded.tolist()}")
same = numpy.array_equal(saved, loaded)
raise SystemExit(0 if same == (safetensors.__version__ == "0.7.0") else "changed")
PYTHON
venv/bin/python check.py
venv/bin/pip install --quiet safetensors==0.7.0
venv/bin/python check.py
