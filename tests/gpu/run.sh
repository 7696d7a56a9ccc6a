#!/usr/bin/env bash
# Everything that needs a GPU, in one call of under 8 minutes, on a machine that has one:
#
#     bash tests/gpu/run.sh OUT
#
# builds the package against the torch of the current Python environment, without isolation; runs `pytest -m gpu`, the
# C++ tests of the CUDA kernels by themselves and under compute-sanitizer's memcheck and racecheck, and the benchmark.
# OUT gets log.txt (all output), gpu.csv (times) and summary.txt (a line for each step, with its seconds). Exit status 1
# where a step failed. Needs: nvcc, a CUDA build of torch, pytest, hypothesis, cmake, ninja, setuptools, and nanobind or
# build/nanobind-* of a build elsewhere.
set -uo pipefail
if [ $# -ne 1 ]; then
  echo "usage: bash tests/gpu/run.sh OUT" >&2
  exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
root=$PWD
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
build=$out/cpp
budget=470  # seconds, for all steps together
failed=0
: >"$out/log.txt"
: >"$out/summary.txt"

say() { echo "$*" | tee -a "$out/summary.txt" "$out/log.txt"; }

# step NAME SECONDS COMMAND...: runs the command for at most so many seconds.
step() {
  local name=$1 limit=$2 began=$SECONDS status
  shift 2
  local left=$((budget - SECONDS))
  if [ "$left" -lt 5 ]; then
    say "FAILED  $name: not begun, the time is over"
    failed=1
    return 1
  fi
  [ "$limit" -le "$left" ] || limit=$left
  echo "=== $name: $*" >>"$out/log.txt"
  timeout "$limit" "$@" >>"$out/log.txt" 2>&1
  status=$?
  case $status in
    0) say "passed  $name ($((SECONDS - began)) s)" ;;
    124) say "FAILED  $name: not done after $limit s" ;;
    *) say "FAILED  $name: exit status $status ($((SECONDS - began)) s)" ;;
  esac
  [ $status -eq 0 ] || failed=1
  return $status
}

# The architecture of the first GPU, as CMake writes it.
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. ')
if [ -z "$architecture" ]; then
  say "FAILED  no GPU: nvidia-smi names none"
  exit 1
fi

step "build of the package" 200 pip install --no-build-isolation --no-deps -e . || exit 1
step "versions" 30 bash -c "nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv; nvcc --version; \
  python -m namegen_ext"
step "pytest -m gpu" 150 python -m pytest -q -m gpu tests/gpu tests/namegen_bench/suites/test_gpu_suite.py

step "configuration of the C++ tests" 60 cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DNAMEGEN_CUDA_ARCHITECTURES="$architecture-real" &&
  step "build of the C++ tests" 150 cmake --build "$build" --target test_gpu_batch_norm test_gpu_embedding_concat_linear
for name in batch_norm embedding_concat_linear; do
  program=$build/tests/cpp/test_gpu_$name
  [ -x "$program" ] || continue
  step "C++ tests: $name" 60 "$program"
  if command -v compute-sanitizer >/dev/null; then
    step "memcheck: $name" 90 compute-sanitizer --tool memcheck --leak-check full --error-exitcode 9 "$program"
    step "racecheck: $name" 90 compute-sanitizer --tool racecheck --error-exitcode 9 "$program"
  else
    say "SKIPPED memcheck and racecheck: $name: there is no compute-sanitizer on the PATH"
  fi
done

step "benchmark" 120 python -m namegen_ext.bench gpu --csv "$out/gpu.csv"
say "all: $SECONDS s"
exit $failed
