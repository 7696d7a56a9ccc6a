"""Reproducing published results: what was published, running it, and telling how it came out."""

from namegen_ext.reproduction.rows import ROWS, Expectation, Row
from namegen_ext.reproduction.run import Check, Outcome, run_row

__all__ = ["ROWS", "Check", "Expectation", "Outcome", "Row", "run_row"]
