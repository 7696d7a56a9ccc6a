"""How a build ends that cannot go on: one sentence of the problem, and one of what mends it."""

from __future__ import annotations


class BuildError(SystemExit):
    """Ends the build; the last lines of its output are the problem and what mends it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"\nnamegen_ext was not built: {problem}\nTo mend it: {remedy}")
