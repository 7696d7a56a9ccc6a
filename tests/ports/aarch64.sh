#!/usr/bin/env bash
# Cross-compiles the torch-free C++ for 64-bit Arm Linux and runs its tests under qemu-user:
#
#     bash tests/ports/aarch64.sh [FOLDER]
#
# Wants g++-aarch64-linux-gnu and qemu-user-static (Debian's names), cmake and ninja. The CUDA kernels' emulation is left
# out. FOLDER keeps the build.
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in aarch64-linux-gnu-g++ qemu-aarch64-static; do
  if ! command -v "$tool" >/dev/null; then
    echo "tests/ports/aarch64.sh: there is no $tool; Debian: apt-get install g++-aarch64-linux-gnu qemu-user-static" >&2
    exit 1
  fi
done
folder=${1:-$(mktemp -d)}
# gcc 12 takes an array for uninitialized that a loop has filled.
cmake -S . -B "$folder" -G Ninja --toolchain cmake/toolchains/aarch64-linux.cmake \
  "-DCMAKE_CXX_FLAGS=-Werror -Wno-error=maybe-uninitialized"
cmake --build "$folder"
ctest --test-dir "$folder" --output-on-failure --timeout 300
