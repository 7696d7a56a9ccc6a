"""What counts as new: no name of the list does, in whatever case and however its accents are written."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary
from namegen_ext.data.folding import fold_name
from namegen_ext.sampling import iter_names

# One byte a symbol; several; marks of two classes that combine, in whatever order they are drawn.
ALPHABETS = {"ascii": "ABab", "latin": "ABabÉéß", "marks": "Aae\u0301\u0323ệế", "no case": "ab"}
KNOWN = {
    "ascii": ["ab", "BA", "aabb"],
    "latin": ["éa", "E\u0301B", "STRASS", "bss", "ss", "b"],
    "marks": ["a\u0323\u0301", "\u1ebf", "e\u0302\u0323", "E\u0301A"],
    "no case": ["AB", "bA"],
}


class Even(nn.Module):
    """Every symbol is as likely as every other, after whatever context."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.block_size = 1
        self.vocab_size = vocab_size
        self.register_buffer("zero", torch.zeros(()))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.zero.expand(len(tokens), self.vocab_size)  # (N, V)


@pytest.mark.parametrize("backend", ["native", "python"])
@pytest.mark.parametrize("novel", [False, True])
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_what_is_new(alphabet: str, novel: bool, backend: str) -> None:
    vocabulary = Vocabulary(sorted(ALPHABETS[alphabet]))
    known = KNOWN[alphabet]

    def draw(**options: bool) -> tuple[list[str], int]:
        stream = iter_names(
            Even(len(vocabulary)),
            vocabulary,
            1000,
            seed=1,
            max_length=4,
            training_names=known,
            backend=backend,
            method="table",
            **options,
        )
        names = stream.to_list()
        return names, stream.counts.new

    names, new = draw()
    folded = {fold_name(name) for name in known}
    is_new = [fold_name(name) not in folded for name in names]
    assert new == sum(is_new)
    assert any(not fresh and name not in known for name, fresh in zip(names, is_new, strict=True))
    if novel:
        found, found_new = draw(novel=True)
        kept = [name for name, fresh in zip(names, is_new, strict=True) if fresh]
        assert found[: len(kept)] == kept
        assert found_new == 1000
        assert not folded & {fold_name(name) for name in found}
