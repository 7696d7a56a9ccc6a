"""The suite ``sample``: its loops draw from the model, and a sampler that does not is found out."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest
import torch

from namegen_bench.bench_errors import BenchError
from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.settings import QUICK
from namegen_bench.names import NODE, SAMPLE, SUITE_PEERS
from namegen_bench.suites.sample import constrained_cases, process_cases, run_sample, sample_suite
from namegen_bench.suites.sample.eager_loops import batched, one_at_a_time
from namegen_bench.suites.sample.node_drawing import find_node
from namegen_bench.suites.sample.sampling_work import work
from namegen_bench.suites.train.operation_counts import forward_operations
from namegen_bench.suites.train.weights import read_weights
from namegen_ext.data import Vocabulary
from namegen_ext.models import MLP, Bigram
from namegen_ext.models.counting import count_windows
from namegen_ext.training import Corpus

RATES = Rates(1e9, {2**20: 1e9})
WORDS = ["anna", "ana", "hannah", "nana", "han", "ann"] * 5


def test_a_quick_run() -> None:
    mlp, constrained, wavenet, gpt, process = run_sample(QUICK, (1,), None, lambda what: None)
    comparisons = (mlp, wavenet, gpt)
    assert [comparison.case for comparison in comparisons] == ["mlp", "wavenet", "gpt"]
    assert (process.case, process.mode, process.batch) == ("mlp", "process", 20)
    assert tuple(process.peers) == ("stock", "native")
    assert (constrained.case, constrained.mode) == ("mlp", "constrained")
    assert tuple(constrained.peers) == ("stock", "python", "native")
    assert "names that match [a-z]{4,7}a: native draws " in constrained.notes[0]
    for comparison in comparisons:
        assert comparison.mode == "name"
        expected = [peer for peer in SUITE_PEERS[SAMPLE] if peer != NODE or find_node() is not None]
        assert list(comparison.peers) == expected
        for found in comparison.peers.values():
            assert 0 < found.timing.seconds.median < 1
            assert math.isfinite(found.timing.seconds.upper)


def test_all_but_one_at_a_time_are_measured_with_each_number_of_threads() -> None:
    mlp = next(run_sample(QUICK, (1, 2), frozenset({"one-at-a-time", "native"}), lambda what: None))
    measured = sorted((peer, found.threads) for peer, found in mlp.all_measured())
    assert measured == [("native", 1), ("native", 2), ("one-at-a-time", 1), ("stock", 1), ("stock", 2)]
    for peer, found in mlp.others:
        assert found.timing.seconds.median >= mlp.peers[peer].timing.seconds.median


def test_the_least_work_is_a_pass_for_each_context_that_occurs() -> None:
    model = MLP(3, block_size=2, embedding_dim=4, hidden_size=5, batch_norm=False)
    vocabulary = Vocabulary("ab")
    # "a": contexts .. and .a; "ab": .., .a and ab; so three in all.
    found = work(model, ["a", "ab", "a"], vocabulary, 2)
    contexts = torch.tensor([[0, 0], [0, 1], [1, 2]])
    assert found.operations == forward_operations(read_weights(model), contexts)
    assert found.bytes == 2 + 3 + 2


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
    real = sample_suite.sample_names

    def shifted(*arguments: object, backend: str, **options: object) -> list[str]:
        names = real(*arguments, backend=backend, **options)  # type: ignore[arg-type]
        return names[1:] + names[:1] if backend == "native" else names

    monkeypatch.setattr(sample_suite, "sample_names", shifted)
    with pytest.raises(DisagreementError, match=r"mlp: .* of the names are the same, expected 99%"):
        list(run_sample(QUICK, (1,), None, lambda what: None))


def test_names_that_do_not_match_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constrained_cases, "sample_names", lambda *arguments, **options: ["anna", "ben"] * 3)
    with pytest.raises(DisagreementError, match="mlp: native gave other names than "):
        constrained_cases.measure_constrained(
            "mlp", Bigram(27), Vocabulary("abcdefghijklmnopqrstuvwxyz"), 1, QUICK, RATES
        )


def test_whole_processes_are_measured_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    real = process_cases._run

    def noted(command: tuple[str, ...]) -> bytes:
        output = real(command)
        ran.append("torch" if "import torch" in command else f"{len(output.splitlines())} names")
        return output

    monkeypatch.setattr(process_cases, "_run", noted)
    monkeypatch.setattr(process_cases, "AIMS", {20: 0.35, 300: 0.6})
    options = {"steps": 20, "hidden_size": 8}
    settings = replace(QUICK, quick=False, rounds=2)
    few, many = process_cases.measure_processes("mlp", options, settings, RATES, lambda what: None)
    assert (few.batch, many.batch) == (20, 300)
    assert {"torch", "20 names", "300 names"} == set(ran)
    assert ran.count("20 names") >= 3, "one to count the names, and two that are timed"
    for comparison in (few, many):
        assert comparison.peers["stock"].timing.seconds.median > 0
        assert "aim: " in comparison.notes[0]
    # Importing torch takes far longer than the whole command, on any machine.
    assert few.speedup("native").median > 1


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("import sys; sys.exit('no such run')", BenchError, "no such run"),
        ("print('anna')", DisagreementError, "mlp: the command wrote 1 names, expected 20"),
    ],
)
def test_a_process_that_does_not_draw_is_found_out(
    program: str, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_cases, "_SAMPLE", (sys.executable, "-c", program))
    with pytest.raises(error, match=message):
        list(
            process_cases.measure_processes(
                "mlp", {"steps": 2, "hidden_size": 8}, QUICK, RATES, lambda what: None
            )
        )
