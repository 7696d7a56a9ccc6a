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


class UnknownLetterError(ConstraintError):
    """A constraint holds a letter that the model does not know."""


class NoNameError(ValueError):
    """No name of the model's letters can meet all constraints."""
