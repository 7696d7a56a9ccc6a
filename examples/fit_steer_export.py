"""Fit a list, steer what is drawn, export it: ``python examples/fit_steer_export.py [DIR]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import namegen_ext

TAVERNS = """The Green Dragon;The Golden Goose;The Silver Stag;The Prancing Pony;The Red Lion;The White Hart;
The Black Swan;The Drunken Duck;The Rusty Anchor;The Laughing Fox;The Old Oak;The Broken Barrel;The Blue Boar;
The Sleeping Giant;The Crooked Crown;The Thirsty Troll;The Merry Mermaid;The Howling Wolf;The Wandering Wizard;
The Salty Sailor"""


def main(folder: Path) -> None:
    """Find a model for twenty names; draw from it; write a page that draws from it anywhere."""
    names = [name.strip() for name in TAVERNS.split(";")]
    generator = namegen_ext.fit(names, budget=3.0)
    print(*generator.sample(5, seed=1, novel=True), sep="\n")
    print("\nof at most 18 letters, with a D somewhere behind The:")
    print(*generator.sample(3, seed=2, prefix="The ", contains="D", max_length=18, novel=True), sep="\n")
    page = folder / "taverns.html"
    generator.export(page, to="html")
    print(f"\n{page.name}: {page.stat().st_size:,} bytes, opens in any browser")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
