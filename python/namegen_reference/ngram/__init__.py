"""Counting models: smoothed counts of how often each symbol followed each history. Every network should beat them."""

from namegen_reference.ngram.add_k import AddK
from namegen_reference.ngram.kneser_ney import KneserNey
from namegen_reference.ngram.model import CountingModel
from namegen_reference.ngram.witten_bell import WittenBell

__all__ = ["AddK", "CountingModel", "KneserNey", "WittenBell"]
