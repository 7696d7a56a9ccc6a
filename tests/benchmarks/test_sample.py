"""The suite ``sample``: its loops draw from the model, and a sampler that does not is found out."""

from __future__ import annotations

import math

import pytest

from namegen_ext.benchmarks.agreement import DisagreementError
from namegen_ext.benchmarks.sample import PEERS, run_sample, suite
from namegen_ext.benchmarks.sample.loops import batched, one_at_a_time
from namegen_ext.benchmarks.settings import QUICK
from namegen_ext.models import Bigram
from namegen_ext.models.counting import count_windows
from namegen_ext.training import Corpus

WORDS = ["anna", "ana", "hannah", "nana", "han", "ann"] * 5


def test_a_quick_run() -> None:
    comparisons = list(run_sample(QUICK, 1, None, lambda what: None))
    assert [comparison.case for comparison in comparisons] == ["mlp", "wavenet"]
    for comparison in comparisons:
        assert tuple(comparison.peers) == PEERS
        for found in comparison.peers.values():
            assert 0 < found.timing.seconds.median < 1
            assert math.isfinite(found.timing.seconds.upper)


@pytest.mark.parametrize("draw", [one_at_a_time, batched])
def test_the_loops_draw_from_the_model(draw: object) -> None:
    corpus = Corpus.build(WORDS, block_size=1, split_seed=42)
    model = Bigram.from_counts(count_windows(*corpus.train, len(corpus.vocabulary)), smoothing=0.0)
    names = draw(model, corpus.vocabulary, 1, 300)  # type: ignore[operator]
    assert len(names) == 300
    seen = {pair for word in corpus.splits.train for pair in zip(f".{word}", f"{word}.", strict=True)}
    assert {pair for name in names for pair in zip(f".{name}", f"{name}.", strict=True)} <= seen
    assert len(set(names)) > 10


def test_other_names_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = suite.sample_names

    def shifted(*arguments: object, backend: str, **options: object) -> list[str]:
        names = real(*arguments, backend=backend, **options)  # type: ignore[arg-type]
        return names[1:] + names[:1] if backend == "native" else names

    monkeypatch.setattr(suite, "sample_names", shifted)
    with pytest.raises(DisagreementError, match=r"mlp: .* of the names are the same, expected 99%"):
        list(run_sample(QUICK, 1, None, lambda what: None))
