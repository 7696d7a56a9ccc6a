#!/usr/bin/env bash
# markovify leaves names with brackets, double quotes or an apostrophe at a word's edge out of the list that it learns from,
# and says nothing.
#
# What one would expect: NewlineText learns from every line; a list of surnames keeps 't Hooft and Jean "Django" Reinhardt.
#
# What happens: lines that are no well-formed sentence (an unmatched apostrophe, a quote, a bracket) are dropped, unless
# well_formed=False is given. The model has fewer names than the file, and no count of them.
#
# Versions: markovify 0.9.4, Python 3.11.
# Output seen:
#   6 lines, learnt from 2: ['Anna', "O'Neil"]
#   with well_formed=False: 6
# What it means: whoever compares with markovify gives well_formed=False, or compares on another list.
# Exit status: 0 while it is so; 1 when it has changed; 77 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-deps markovify==0.9.4 unidecode || { echo "needs --no-deps markovify==0.9.4 unidecode"; exit 77; }

cat > check.py <<'PYTHON'
import markovify

names = ["Anna", "O'Neil", "'t Hooft", "Ngo'", 'Jean "Django" Reinhardt', "Mary (Polly) Jones"]
learnt = [" ".join(words) for words in markovify.NewlineText("\n".join(names)).parsed_sentences]
print(f"{len(names)} lines, learnt from {len(learnt)}: {learnt}")
all_of_them = markovify.NewlineText("\n".join(names), well_formed=False).parsed_sentences
print("with well_formed=False:", len(all_of_them))
raise SystemExit(0 if learnt == ["Anna", "O'Neil"] and len(all_of_them) == len(names) else "changed")
PYTHON
venv/bin/python check.py
