#!/usr/bin/env bash
# greenery's \w, \d and \s hold ASCII alone, and their opposites hold every other letter: a pattern for names accepts other
# strings than Python's re does for the same text.
#
# What one would expect: \w matches a letter, as in re for str: "Zoé" matches \w+, and \W does not match é.
#
# What happens: \w is [0-9A-Z_a-z]. \w+ refuses "Zoé", and \W accepts "é", which a constraint that forbids everything but
# letters then lets through.
#
# Versions: greenery 4.2.3, interegular 0.3.3 (which does the same), Python 3.11.
# Output seen:
#   pattern  string  re     greenery  interegular
#   \w+      Zoé     True   False     False
#   \W       é       False  True      True
#   \d       ٣       True   False     False
# What it means: classes are written out over the alphabet at hand before a library makes the automaton.
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet greenery==4.2.3 interegular==0.3.3 || { echo "needs greenery==4.2.3 interegular==0.3.3"; exit 77; }

cat > check.py <<'PYTHON'
import re

import greenery
import interegular

print("pattern  string  re     greenery  interegular")
as_said = True
for pattern, string in ((r"\w+", "Zoé"), (r"\W", "é"), (r"\d", "٣")):
    python = re.fullmatch(pattern, string) is not None
    first = greenery.parse(pattern).to_fsm().accepts(string)
    second = interegular.parse_pattern(pattern).to_fsm().accepts(string)
    print(f"{pattern:<8} {string:<7} {python!s:<6} {first!s:<9} {second}")
    as_said = as_said and first == second == (not python)
raise SystemExit(0 if as_said else "changed")
PYTHON
venv/bin/python check.py
