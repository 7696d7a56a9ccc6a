#!/usr/bin/env bash
# Builds the torch-free C++ and the extension's sources by clang, every warning an error, and runs the torch-free tests:
#
#     bash tests/ports/clang.sh [FOLDER]
#
# CLANG names the compiler (default: clang++-16, else clang++). Wants cmake and ninja. FOLDER keeps the build.
set -euo pipefail
cd "$(dirname "$0")/../.."
clang=${CLANG:-$(command -v clang++-16 || command -v clang++ || true)}
if [ -z "$clang" ]; then
  echo "tests/ports/clang.sh: there is no clang++; Debian: apt-get install clang-16" >&2
  exit 1
fi
folder=${1:-$(mktemp -d)}
"$clang" --version | head -n 1
# The module _core and the operators are compiled where this Python has nanobind and torch. Debug: nothing of it is
# measured, and it compiles in a third of the time.
cmake -S . -B "$folder" -G Ninja -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 \
  -DCMAKE_CXX_FLAGS=-Werror -DNAMEGEN_EXTENSION=ON -DPython_EXECUTABLE="$(command -v python)"
cmake --build "$folder"
ctest --test-dir "$folder" --output-on-failure
