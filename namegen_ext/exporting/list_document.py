"""The names of a list as the document holds them: what tells whether a drawn name is new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from namegen_ext.data import ListFormat
from namegen_ext.data.folding import fold_name


def list_document(symbols: Sequence[str], words: Iterable[str], reading: ListFormat) -> dict[str, Any]:
    """Describe a list of names.

    Args:
        symbols: those of the vocabulary.
        words: the names of the list.
        reading: how it was read.

    """
    folded = {symbol: fold_name(symbol) for symbol in symbols}
    titled = {symbol: symbol.title() for symbol in symbols}
    return {
        "case": reading.case,
        "normalize": reading.normalize,
        # Characters that stay as they are are left out of both tables.
        "folded": {symbol: text for symbol, text in folded.items() if text != symbol},
        "titled": (
            {symbol: text for symbol, text in titled.items() if text != symbol}
            if reading.case == "title"
            else {}
        ),
        "names": sorted({fold_name(word) for word in words}),
    }
