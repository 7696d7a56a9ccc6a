#!/usr/bin/env bash
# namemaker: adding one set of names to another ties their counts together. What the sum learns later, the second set draws
# as well, though its own list does not have it.
#
# What one would expect: `a += b` copies b's names into a; b stays as it is.
#
# What happens: where a has no entry for a context, it takes b's list of next letters itself, not a copy. Names added to a
# afterwards are appended to b's lists.
#
# Versions: namemaker 1.2, Python 3.11.
# Output seen:
#   the second set holds ['Bella'] and draws ['Bella']
#   after the first has learnt more: holds ['Bella'] and draws ['Bella', 'Ben', 'Ber', 'Bo']
# What it means: in a comparison each model is trained anew from its own list of names.
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet namemaker==1.2 || { echo "needs namemaker==1.2"; exit 77; }

cat > check.py <<'PYTHON'
import random

import namemaker
from namemaker import NameSet


def drawn(names: NameSet) -> list[str]:
    options = {"exclude_real_names": False, "exclude_history": False, "add_to_history": False, "n_candidates": 1}
    return sorted({names.make_name(**options) for _ in range(200)})


namemaker.set_rng(random.Random(1))
first, second = NameSet(["Anna"]), NameSet(["Bella"])
before = drawn(second)
print(f"the second set holds {list(second)} and draws {before}")
first += second
first += ["Bert", "Bo", "Ben"]
after = drawn(second)
print(f"after the first has learnt more: holds {list(second)} and draws {after}")
raise SystemExit(0 if before == ["Bella"] and len(after) > 1 and list(second) == ["Bella"] else "changed")
PYTHON
venv/bin/python check.py
