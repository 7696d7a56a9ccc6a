#!/usr/bin/env bash
# Compiles every torch-free source for macOS on Apple silicon by zig's clang, every warning an error. Nothing is linked,
# and nothing of it can run here:
#
#     bash tests/ports/macos.sh [FOLDER]
#
# Wants `pip install ziglang nanobind` for the Python on the PATH, cmake and ninja. FOLDER keeps the build.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(command -v python)
folder=${1:-$(mktemp -d)}
# Without a program to link, zig need not build macOS' C++ library first. Python's headers are Linux', which declare the
# same functions.
cmake -S . -B "$folder" -G Ninja --toolchain cmake/toolchains/arm64-macos-zig.cmake -DNAMEGEN_ZIG_PYTHON="$python" \
  -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DCMAKE_CXX_FLAGS=-Werror \
  -DNAMEGEN_EXTENSION=ON -DNAMEGEN_TORCH=OFF -DPython_EXECUTABLE="$python" \
  -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)"
mapfile -t objects < <(ninja -C "$folder" -t targets all | sed -n 's/^\(.*\.o\): CXX_COMPILER.*/\1/p')
if [ "${#objects[@]}" -lt 50 ]; then
  echo "tests/ports/macos.sh: found only ${#objects[@]} objects to compile" >&2
  exit 1
fi
ninja -C "$folder" "${objects[@]}"
echo "compiled ${#objects[@]} objects for arm64 macOS"
