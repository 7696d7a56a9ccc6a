"""Reproducing published results.

``rows`` says what was published, ``run`` trains it and compares, and ``outcome_tables`` writes how it came out.
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports
from namegen_ext.reproduction.published_rows import ROWS, Expectation, Row

if TYPE_CHECKING:
    from namegen_ext.reproduction.run import Check, Outcome, run_row
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.reproduction.run": ("Check", "Outcome", "run_row"),
        },
    )

__all__ = ["ROWS", "Check", "Expectation", "Outcome", "Row", "run_row"]
