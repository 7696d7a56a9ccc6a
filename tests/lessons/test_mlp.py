from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from namegen_ext.data import load_words
from namegen_reference.ngram import AddK
from namegen_reference.words import split_words


def test_it_beats_the_bigram(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("mlp")
    assert "emm -> a\n   mma -> ." in out
    # 27 embeddings of 10; 30 x 100 and 100; 100 x 27 and 27.
    assert number_after(out, "parameters:") == 27 * 10 + 30 * 100 + 100 + 100 * 27 + 27
    # Output weights of 0.01 make the first logits smaller than 0.1 * a few: nearly even.
    assert number_after(out, "first loss") == pytest.approx(math.log(27), abs=0.05)
    means = [float(loss) for loss in re.findall(r"mean loss of steps .*: ([\d.]+)", out)]
    assert len(means) == 4
    assert means == sorted(means, reverse=True)
    train, dev, _ = split_words(load_words("census").words)
    bigram = AddK(2, 1, "abcdefghijklmnopqrstuvwxyz").fit(train).nll(dev)
    assert number_after(out, "dev loss on this split:") == pytest.approx(bigram, abs=1e-4)
    # Three characters of context against one.
    assert number_after(out, ", dev") < bigram - 0.15
    assert number_after(out, "   train") < number_after(out, ", dev")
