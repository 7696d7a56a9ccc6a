"""Checks of what the file of a model holds. Torch is not needed.

A file that was damaged by accident fails its checksum. These checks are for a file that another version, or another
program, wrote.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namegen_ext.runs.run_errors import RunError

# The description of a tensor that is not there.
NOTHING = "nothing"


def whole_number(path: Path, content: Mapping[str, Any], key: str) -> int:
    """Return an entry that counts something.

    Raises:
        RunError: it is missing, or no whole number from 0 to 2**63 - 1.

    """
    value = content.get(key)
    if type(value) is not int or not 0 <= value < 2**63:
        raise RunError(f"{path}: {key} is {reprlib.repr(value)}, expected a whole number from 0")
    return value


def check_descriptions(path: Path, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Accept parameters and buffers of a model's names, shapes and dtypes.

    Args:
        path: the file, for messages.
        found: what each entry is, in words, such as "float32 (27, 10)".
        expected: what it must be, in the same words; or with "numbers" for int32, int64 or float64, and -1 for a size
            that goes with the words.

    Raises:
        RunError: one is missing, too many, or another.

    """
    for name in sorted(expected.keys() | found.keys()):
        came, wanted = found.get(name, NOTHING), expected.get(name, NOTHING)
        if came != wanted and not _pattern(wanted).fullmatch(came):
            raise RunError(f"{path}: {name}: got {came}, expected {wanted} by config.json")


def _pattern(wanted: str) -> re.Pattern[str]:
    text = re.escape(wanted).replace("numbers", "(int32|int64|float64)", 1)
    return re.compile(text.replace(re.escape("-1"), "[0-9]+"))
