#!/usr/bin/env bash
# Builds both modules of the extension under AddressSanitizer and runs the tests of what it does: operators, layers, engine, sampling
# and the fuzzer. Wants the package's test requirements, cmake, ninja, nanobind and gcc. Arguments go to pytest, in place
# of the folders of tests:
#
#     tests/sanitize_extension.sh                    # about a quarter of an hour on two cores
#     tests/sanitize_extension.sh tests/fuzz --long
set -euo pipefail
cd "$(dirname "$0")/.."
build=build-sanitize-extension

cmake --preset sanitize-extension -DPython_EXECUTABLE="$(command -v python)"
cmake --build --preset sanitize-extension

# A copy of the sources with these modules in it, so that none of the tests' own processes finds others.
rm -rf "$build/tree"
mkdir "$build/tree"
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create | tar --extract --directory "$build/tree"
cp "$build"/_C.*.so "$build"/_core.*.so "$build/tree/namegen_ext/"
cd "$build/tree"
export PYTHONPATH=$PWD:$PWD/python

# Python itself is not built under the sanitizer, so that its library has to be there first; libstdc++ too, for it finds
# the functions that throw only where they are loaded when it starts.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)"
# detect_leaks=0: Python and torch keep memory to the end of the process by design, hundreds of blocks before this
# extension is even loaded. allocator_may_return_null=1: a size that cannot be had must end in MemoryError, as it does
# without the sanitizer, and not in the sanitizer's own message.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:abort_on_error=1
python - <<'CHECK'
from namegen_ext._native.core import _core
from namegen_ext._native.operators import _C

for module in (_core, _C):
    assert "build-sanitize-extension/tree" in module.__file__, f"another module was loaded: {module.__file__}"
    with open(module.__file__, "rb") as file:
        assert b"__asan_" in file.read(), f"{module.__name__} is not built under AddressSanitizer"
CHECK
if [ $# -eq 0 ]; then
  set -- tests/ops tests/nn tests/engine tests/sampling tests/fuzz tests/concurrency
fi
exec python -m pytest -q "$@"
