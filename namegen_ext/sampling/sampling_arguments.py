"""Checks of the arguments of sampling. Their errors are one sentence that names the argument.

``name`` is what the caller calls the value: the keyword in Python, the flag on the command line.
"""

from __future__ import annotations

import math
import os
import sys
import unicodedata
from typing import Any

from namegen_ext.data import Vocabulary

SEED_LIMIT = 2**64  # a seed is the 64-bit key of the random numbers


def check_count(value: Any, *, minimum: int, name: str) -> int:
    """Accept an integer of at least ``minimum``."""
    if not _is_integer(value) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, but got {value!r}")
    return int(value)


def check_seed(value: Any, name: str = "seed") -> int:
    """Accept an integer in [0, 2**64)."""
    if not _is_integer(value) or not 0 <= value < SEED_LIMIT:
        raise ValueError(f"{name} must be an integer from 0 to 2**64 - 1, but got {value!r}")
    return int(value)


def fresh_seed() -> int:
    """Draw a seed from torch's global generator, which `torch.manual_seed` seeds; without torch, from the system."""
    torch = sys.modules.get("torch")
    if torch is None:
        return int.from_bytes(os.urandom(8), "little") >> 1
    return int(torch.randint(2**63 - 1, (), device="cpu"))


def check_choice(value: Any, choices: tuple[str, ...], *, name: str) -> None:
    """Accept one of a few words."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, but got {value!r}")


def check_temperature(value: Any, name: str = "temperature") -> float:
    """Accept a finite number greater than 0."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise ValueError(
            f"{name} must be a finite number above 0 (top-k 1 gives the likeliest name), but got {value!r}"
        )
    return float(value)


def check_top_k(value: Any, vocab_size: int, name: str = "top_k") -> int:
    """Accept an integer from 1 to the number of symbols, the end marker included."""
    if not _is_integer(value) or not 1 <= value <= vocab_size:
        raise ValueError(
            f"{name} must be an integer from 1 to {vocab_size} (the symbols, with the end marker), "
            f"but got {value!r}"
        )
    return int(value)


def check_prefix(value: Any, vocabulary: Vocabulary, max_length: int, name: str = "prefix") -> list[int]:
    """Accept a string of known letters that is shorter than ``max_length``, and return its symbols.

    Its accents may be written in another way than the model learnt them; see `known_form`.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, but got {value!r}")
    value = known_form(value, vocabulary)
    unknown = sorted(set(value) - set(vocabulary.symbols))
    if unknown:
        raise ValueError(
            f"{name} must be made of letters that the model knows ({_shorten(''.join(vocabulary.symbols))}), "
            f"but got {_shorten(value)!r} with {_shorten(', '.join(map(_with_code_point, unknown)))}"
        )
    if len(value) >= max_length:
        raise ValueError(
            f"{name} must be shorter than the longest name allowed ({max_length} letters), "
            f"but got {len(value)} letters"
        )
    return vocabulary.encode(value)


def known_form(prefix: Any, vocabulary: Vocabulary) -> Any:
    """Return a prefix in the Unicode normal form that the model knows all letters of; else as it is.

    >>> len(known_form("a\u0301", Vocabulary("bá"))), len(known_form("á", Vocabulary("ab\u0301")))
    (1, 2)

    """
    if not isinstance(prefix, str) or prefix.isascii():
        return prefix
    symbols = set(vocabulary.symbols)
    forms = (prefix, unicodedata.normalize("NFC", prefix), unicodedata.normalize("NFD", prefix))
    return next((form for form in forms if symbols.issuperset(form)), prefix)


def _with_code_point(letter: str) -> str:
    """Write a letter so that it can be told from others that look the same.

    >>> _with_code_point("z"), _with_code_point("á")
    ("'z'", "'á' (U+00E1)")

    """
    return repr(letter) if letter.isascii() else f"{letter!r} (U+{ord(letter):04X})"


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
