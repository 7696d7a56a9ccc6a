#!/usr/bin/env bash
# Runs the commands of an installed namegen_ext, away from any checkout:
#
#     bash tests/install/commands.sh PYTHON operators|core RUN
#
# RUN: a run directory, which is made where torch is and there is none, and names are drawn from it in any case.
# operators: fused layers and the step engine train, and the operators load. core: torch is missing, or is another than the
# operators were built for, or there are none; training steps and drawing names go on as far as they need no torch.
set -euo pipefail
python=$1
kind=$2
run=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$python" -m namegen_ext
"$python" -c "import namegen_ext; print(namegen_ext.__file__, namegen_ext.__version__)"
"$python" -m namegen_reference.bigram --help >/dev/null
"$python" -m namegen_ext.bench --help >/dev/null
"$python" -m namegen_ext.lessons >/dev/null
if [ "$kind" = operators ]; then
  "$python" -m namegen_ext.train --data census --steps 200 --fused=layers --out layers >/dev/null
  "$python" -c "import namegen_ext; assert namegen_ext.build_info()['cuda_note'].find('no operators') < 0"
fi
if "$python" -c "import torch" 2>/dev/null; then
  "$python" -m namegen_ext.train --data census --steps 2000 --fused --out trained >/dev/null
  "$python" -m namegen_ext.sample trained -n 5
  if [ ! -e "$run" ]; then mv trained "$run"; fi
fi
"$python" -m namegen_ext.sample "$run" -n 5 | tee names.txt
test "$(wc -l <names.txt)" -eq 5
echo "commands: ok ($kind)"
