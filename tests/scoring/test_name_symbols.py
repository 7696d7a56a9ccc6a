from __future__ import annotations

import pytest

from namegen_ext.data import Vocabulary
from namegen_ext.scoring.name_symbols import name_symbols


@pytest.mark.parametrize(
    ("names", "symbols", "begins", "unknown"),
    [
        ([], [], [], {}),
        ([""], [0], [0], {}),
        (["ab", "", "ba"], [1, 2, 0, 0, 2, 1, 0], [0, 3, 4], {}),
        (["xa", "a"], [0, 1, 0], [0, 1], {0: "x"}),
        (["ayx", "by", "a"], [0, 0, 1, 0], [0, 1, 2], {0: "y", 1: "y"}),
        (["a\nb", "b"], [0, 2, 0], [0, 1], {0: "\n"}),
        (["a\ud800", "b"], [0, 2, 0], [0, 1], {0: "\ud800"}),
        (["\U0001f600"], [0], [0], {0: "\U0001f600"}),
    ],
)
def test_names_become_numbers(
    names: list[str], symbols: list[int], begins: list[int], unknown: dict[int, str]
) -> None:
    found = name_symbols(names, Vocabulary("ab"))
    assert found.symbols.tolist() == symbols
    assert found.begins.tolist() == begins
    assert found.unknown == unknown
