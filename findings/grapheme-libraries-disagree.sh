#!/usr/bin/env bash
# How many symbols a Hindi name has depends on the library that splits it, and on its version: the same list gives two
# alphabets, and a model trained with one does not fit the other.
#
# What one would expect: extended grapheme clusters are a standard (UAX 29); every library gives the same.
#
# What happens: Unicode 15.1 added rule GB9c, which joins consonants by a virama in some scripts of India (Devanagari,
# Bengali, Odia and more, not Tamil). Libraries with older tables split there.
#
# Versions: regex 2026.11.19, uniseg 0.10.1, pyuegc 16.0.3 (newer rule), grapheme 0.6.0 (older), Python 3.11.
# Output seen:
#   name     regex  uniseg  pyuegc  grapheme
#   नमस्ते    3      3       3       4
#   क्षत्रिय   3      3       3       5
#   கக்ஷன்    4      4       4       4
# What it means: symbols that a model was trained on are kept with it and looked up as they stand, not split anew by
# whatever library is installed; docs name the library.
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet regex==2026.11.19 uniseg==0.10.1 pyuegc==16.0.3 grapheme==0.6.0 || { echo "needs regex==2026.11.19 uniseg==0.10.1 pyuegc==16.0.3 grapheme==0.6.0"; exit 77; }

cat > check.py <<'PYTHON'
import grapheme
import pyuegc
import regex
from uniseg.graphemecluster import grapheme_clusters

print("name     regex  uniseg  pyuegc  grapheme")
counts = {}
for name in ("नमस्ते", "क्षत्रिय", "கக்ஷன்"):
    of_each = [regex.findall(r"\X", name), grapheme_clusters(name), pyuegc.EGC(name), grapheme.graphemes(name)]
    counts[name] = [len(list(clusters)) for clusters in of_each]
    print(name, *counts[name], sep="    ")
hindi, _, tamil = counts.values()
raise SystemExit(0 if hindi == [3, 3, 3, 4] and len(set(tamil)) == 1 else "changed")
PYTHON
venv/bin/python check.py
