"""Names as they are given to a function: any iterable of strings, but no string."""

from __future__ import annotations

from collections.abc import Iterable


def as_strings(names: Iterable[str]) -> list[str]:
    """Return names as a list.

    Raises:
        TypeError: ``names`` is one string, or holds something else than strings.

    """
    if isinstance(names, str):
        raise TypeError(f"names must be a list of strings, but got the string {names!r}")
    words = list(names)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"names must be strings, but got {word!r}")
    return words
