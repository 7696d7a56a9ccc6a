"""From a list of words to (tokens, targets) windows: word lists, vocabulary, splits, windows.

The windows are tensors. Everything else here needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports
from namegen_ext.data.characters import END_MARKER
from namegen_ext.data.data_errors import DataError
from namegen_ext.data.list_format import ListFormat
from namegen_ext.data.splits import SPLITS, Splits, split_words
from namegen_ext.data.vocabulary import Vocabulary
from namegen_ext.data.word_list import WORD_LISTS, WordList, load_words

if TYPE_CHECKING:
    from namegen_ext.data.sequences import IGNORED, build_sequences
    from namegen_ext.data.windows import build_windows
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.data.sequences": ("IGNORED", "build_sequences"),
            "namegen_ext.data.windows": ("build_windows",),
        },
    )

__all__ = [
    "END_MARKER",
    "IGNORED",
    "SPLITS",
    "WORD_LISTS",
    "DataError",
    "ListFormat",
    "Splits",
    "Vocabulary",
    "WordList",
    "build_sequences",
    "build_windows",
    "load_words",
    "split_words",
]
