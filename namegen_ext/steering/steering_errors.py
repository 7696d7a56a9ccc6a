"""The errors of constraints."""

from __future__ import annotations


class ConstraintError(ValueError):
    """A constraint has a value that cannot be.

    Args:
        name: of the constraint, as Python writes it.
        problem: what is wrong, in words that follow the name.

    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name
        self.problem = problem
