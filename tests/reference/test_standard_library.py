"""The references need the standard library alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import namegen_reference

PROGRAM = """
import sys
before = set(sys.modules)
import namegen_reference.bigram.__main__, namegen_reference.micrograd.__main__, namegen_reference.ngram.__main__
import namegen_reference.microgpt
roots = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(roots - set(sys.stdlib_module_names) - {"namegen_reference"}))
"""


def test_nothing_else_is_imported() -> None:
    (folder,) = namegen_reference.__path__
    done = subprocess.run(
        # -S: without site-packages, so that an import of anything else would also fail.
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(Path(folder).parent)!r})\n{PROGRAM}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
