"""From a list of words to (tokens, targets) windows: word lists, vocabulary, splits, windows."""

from __future__ import annotations

from namegen_ext.data.characters import END_MARKER
from namegen_ext.data.errors import DataError
from namegen_ext.data.sequences import IGNORED, build_sequences
from namegen_ext.data.splits import Splits, split_words
from namegen_ext.data.vocabulary import Vocabulary
from namegen_ext.data.windows import build_windows
from namegen_ext.data.word_list import WORD_LISTS, WordList, load_words

__all__ = [
    "END_MARKER",
    "IGNORED",
    "WORD_LISTS",
    "DataError",
    "Splits",
    "Vocabulary",
    "WordList",
    "build_sequences",
    "build_windows",
    "load_words",
    "split_words",
]
