"""Names that meet constraints: their distribution is the model's own, given that they meet them.

The definition is slow: every name is spelt out, with the product of its letters' probabilities.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models import GPT, MLP, CountModel, Mixture, WaveNet
from namegen_ext.sampling import NameSampler, SamplingError, iter_names, sample_names
from namegen_ext.sampling.distribution import ModelDistribution
from namegen_ext.sampling.plan import most_message_contexts
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.sampling.steered_names import follow_beginnings
from namegen_ext.steering import Constraints, demand_of

VOCABULARY = Vocabulary("abc")
V = len(VOCABULARY)
LONGEST = 5
DRAWN = 4000


def sharpened(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a new model probabilities that differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def mlp(block_size: int = 2) -> nn.Module:
    return sharpened(
        MLP(V, block_size, embedding_dim=3, hidden_size=8, generator=torch.Generator().manual_seed(1))
    )


def wavenet() -> nn.Module:
    model = WaveNet(V, 8, embedding_dim=3, hidden_size=8, generator=torch.Generator().manual_seed(2))
    return sharpened(model)


def gpt() -> nn.Module:
    torch.manual_seed(3)
    return sharpened(GPT(V, 8, embedding_dim=8, num_layers=1, num_heads=2), 4)


class Odd(nn.Module):
    """A model that no native sampler can evaluate."""

    block_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(V**2, V, generator=torch.Generator().manual_seed(5)))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.weight[tokens[:, 0] * V + tokens[:, 1]]


def mixture() -> nn.Module:
    """Counts and a perceptron, in which the names of a list are rarer: its contexts are more than the last symbols."""
    components: list[dict[str, Any]] = [
        {"name": "ngram", "block_size": 4, "estimator": "kneser-ney"},
        {"name": "mlp", "block_size": 2, "embedding_dim": 3, "hidden_size": 5, "batch_norm": False},
    ]
    model = Mixture(V, 6, components, torch.Generator().manual_seed(3))
    names = ["a", "ab", "abc", "cab", "bb", "ab", "ccc"]
    model.components[0].count(*build_windows(names, VOCABULARY, 4))  # type: ignore[operator]
    model.register_buffer("weights", torch.tensor([0.7, 0.6], dtype=torch.float64))
    model.leave_out(torch.tensor([[*VOCABULARY.encode(name), *[0] * (7 - len(name))] for name in names]), 0.3)
    return model.eval()


MODELS = {"mlp": mlp, "wavenet": wavenet, "gpt": gpt, "odd": Odd, "mixture": mixture}
CONSTRAINTS = {
    "min": Constraints(min_length=4),
    "max": Constraints(max_length=2),
    "suffix": Constraints(suffix="ab"),
    "contains": Constraints(contains="cc"),
    "without": Constraints(without="b"),
    "match": Constraints(match="[ab]{1,3}c?"),
    "avoid": Constraints(avoid=["A", "bc"]),
    "together": Constraints(
        min_length=3, max_length=4, suffix="a", contains="b", avoid=["bb"], match=".*[bc]a"
    ),
    "one": Constraints(match="abc"),
}


def exact(
    model: nn.Module, constraints: Constraints, prefix: str = "", shaping: Shaping | None = None
) -> tuple[dict[str, float], float]:
    """The probability of each name that meets the constraints, given that one does; and how likely one does."""
    direct = ModelDistribution(model, V, model.block_size, shaping or Shaping())  # type: ignore[arg-type]
    found: dict[str, float] = {}

    def spell(word: str, probability: float) -> None:
        symbols = [0] * direct.block_size + VOCABULARY.encode(word)
        context = torch.tensor([symbols[-direct.block_size :]])
        row = direct.probabilities(context, allow_end=word != "")[0].tolist()
        if meets(word, constraints) and row[0] > 0:
            found[word] = probability * row[0]
        if len(word) < (constraints.max_length or LONGEST):
            for number, letter in enumerate(VOCABULARY.symbols, start=1):
                spell(word + letter, probability * row[number])

    spell(prefix, 1.0)
    total = sum(found.values())
    return {word: probability / total for word, probability in found.items()}, total


def meets(word: str, constraints: Constraints) -> bool:
    return (
        len(word) >= (constraints.min_length or 1)
        and word.endswith(constraints.suffix)
        and constraints.contains in word
        and not set(word) & set(constraints.without)
        and (constraints.match is None or re.fullmatch(constraints.match, word) is not None)
        and not any(text.casefold() in word for text in constraints.avoid)
    )


def check_distribution(names: list[str], expected: dict[str, float]) -> None:
    """Pearson's test of the counts of names, those that are expected seldom taken together.

    The seed is fixed, so that it passes always or never. With a correct sampler a bound of 1e-4 fails for one seed in
    ten thousand. The quantile is Wilson and Hilferty's: (chi2 / k)^(1/3) is close to normal, with mean 1 - 2/(9k) and
    variance 2/(9k); 3.72 standard deviations are 1e-4.
    """
    counts = Counter(names)
    assert counts.keys() <= expected.keys(), sorted(counts.keys() - expected.keys())[:5]
    often = {name: p * len(names) for name, p in expected.items() if p * len(names) >= 5}
    cells = [(counts[name], mean) for name, mean in often.items()]
    seldom = len(names) - sum(often.values())
    if seldom >= 5:
        cells.append((sum(count for name, count in counts.items() if name not in often), seldom))
    if len(cells) == 1:
        assert cells[0][0] == len(names)
        return
    statistic = sum((count - mean) ** 2 / mean for count, mean in cells)
    k = len(cells) - 1
    bound = k * (1 - 2 / (9 * k) + 3.72 * (2 / (9 * k)) ** 0.5) ** 3
    assert statistic < bound, (statistic, bound, k)


def sampler(model: nn.Module, constraints: Constraints, **options: Any) -> NameSampler:
    options.setdefault("max_length", LONGEST)
    return NameSampler(model, VOCABULARY, DRAWN, constraints=constraints, **options)


@pytest.mark.parametrize("method", ["table", "direct", "auto"])
@pytest.mark.parametrize("which", CONSTRAINTS)
@pytest.mark.parametrize("backend", ["native", "python"])
def test_the_distribution_is_the_models_own(backend: Any, which: str, method: Any) -> None:
    model, constraints = mlp(), CONSTRAINTS[which]
    expected, likely = exact(model, constraints)
    drawn = sampler(model, constraints, method=method, backend=backend)
    assert (drawn.native is None) == (backend == "python")
    assert drawn.method == ("direct" if method == "direct" else "table")
    if drawn.method == "table":
        assert drawn.accepted == pytest.approx(likely, rel=1e-5)  # float32 logits
    else:
        assert drawn.accepted is not None
        assert drawn.accepted >= likely * (1 - 1e-5)
    check_distribution(drawn.draw(7, 0, DRAWN), expected)


@pytest.mark.parametrize("which", ["suffix", "avoid", "together", "match"])
@pytest.mark.parametrize("kind", ["wavenet", "gpt", "odd", "mixture"])
def test_every_kind_of_model(kind: str, which: str) -> None:
    model, constraints = MODELS[kind](), CONSTRAINTS[which]
    for method in ("direct", "auto"):
        assert kind != "mixture" or sampler(model, constraints, method=method).native is not None  # type: ignore[arg-type]
        names = sampler(model, constraints, method=method).draw(11, 0, DRAWN)  # type: ignore[arg-type]
        check_distribution(names, exact(model, constraints)[0])


@pytest.mark.parametrize("which", ["suffix", "match", "avoid"])
@pytest.mark.parametrize("shaping", [{"temperature": 0.6}, {"top_k": 2}, {"temperature": 1.7, "top_k": 3}])
@pytest.mark.parametrize("method", ["table", "direct"])
def test_with_a_temperature_and_the_likeliest_symbols(
    which: str, shaping: dict[str, Any], method: Any
) -> None:
    model, constraints = mlp(), CONSTRAINTS[which]
    expected, _ = exact(model, constraints, shaping=Shaping(**shaping))
    check_distribution(sampler(model, constraints, method=method, **shaping).draw(5, 0, DRAWN), expected)


@pytest.mark.parametrize("prefix", ["a", "cb", "abc"])
@pytest.mark.parametrize("method", ["table", "direct", "auto"])
@pytest.mark.parametrize("backend", ["native", "python"])
def test_behind_a_prefix(prefix: str, method: Any, backend: Any) -> None:
    model, constraints = mlp(3), Constraints(match=".*(c|b.)", avoid=["aa"])
    expected, _ = exact(model, constraints, prefix)
    drawn = sampler(model, constraints, prefix=prefix, method=method, backend=backend)
    check_distribution(drawn.draw(2, 0, DRAWN), expected)


def test_the_prefix_may_be_the_whole_name() -> None:
    for method in ("table", "direct", "auto"):
        for backend in ("native", "python"):
            drawn = sampler(mlp(), Constraints(match="ab"), prefix="ab", method=method, backend=backend)  # type: ignore[arg-type]
            assert drawn.draw(1, 0, 3) == ["ab"] * 3


@pytest.mark.parametrize("which", CONSTRAINTS)
@pytest.mark.parametrize("method", ["table", "direct", "auto"])
@pytest.mark.parametrize("kind", ["mlp", "wavenet"])
def test_native_names_are_those_of_python(kind: str, which: str, method: Any) -> None:
    if kind == "wavenet" and method == "table":
        with pytest.raises(ValueError, match="method must be 'auto' or 'direct' here"):
            sampler(wavenet(), Constraints(suffix="a"), method=method, max_length=1000)
        return
    native, python = (
        sampler(MODELS[kind](), CONSTRAINTS[which], method=method, backend=backend).draw(
            2**40, 2**33 - 100, 300
        )  # type: ignore[arg-type]
        for backend in ("native", "python")
    )
    # The logits differ by about 1e-6, which is a letter in 100,000: see test_native.py.
    assert sum(map(str.__ne__, native, python)) <= 1


@pytest.fixture
def few_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let messages be held for hardly any context, so that names are drawn by rejection."""
    monkeypatch.setattr("namegen_ext.sampling.steered.most_message_contexts", lambda states, vocab_size: 3)


@pytest.mark.parametrize("most", [1, 7, 40, 5000])
@pytest.mark.parametrize("which", ["suffix", "avoid", "together", "match"])
def test_rejection_behind_the_likeliest_beginnings(
    which: str, most: int, few_contexts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("namegen_ext.sampling.steered.followed_beginnings", lambda vocab_size: most)
    model, constraints = wavenet(), CONSTRAINTS[which]
    expected, likely = exact(model, constraints)
    native, python = (sampler(model, constraints, backend=backend) for backend in ("native", "python"))  # type: ignore[arg-type]
    assert native.method == python.method == "direct"
    assert native.accepted == pytest.approx(python.accepted, rel=1e-5)
    assert native.accepted is not None
    # With all beginnings nothing is rejected: there are fewer than 5,000 names of five letters or less.
    if most == 5000:
        assert native.accepted == pytest.approx(likely, rel=1e-5)
    assert native.accepted >= likely * (1 - 1e-5)
    names = native.draw(9, 0, DRAWN)
    check_distribution(names, expected)
    assert sum(map(str.__ne__, names[:600], python.draw(9, 0, 600))) <= 1


def test_the_bounds_of_beginnings_fall_as_more_are_followed() -> None:
    model = ModelDistribution(wavenet(), V, 8, Shaping())
    demand = demand_of(CONSTRAINTS["contains"], VOCABULARY, max_length=LONGEST)
    bounds = [
        follow_beginnings(model, demand.automaton, [], demand.letters, most).bound
        for most in (1, 5, 25, 125, 1000)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == pytest.approx(exact(wavenet(), CONSTRAINTS["contains"])[1])


@pytest.mark.parametrize("estimator", ["witten-bell", "kneser-ney", "add-k"])
@pytest.mark.parametrize("which", ["suffix", "together", "avoid"])
def test_a_sparse_counting_model_has_few_contexts(estimator: str, which: str) -> None:
    """Of contexts of nine symbols, 4^9, only those that occurred differ."""
    model = CountModel(V, 9, estimator=estimator, smoothing=0.1)
    words = ["abacab", "cabba", "bacca", "abc", "aabbcc", "cab", "acb", "bb"]
    model.count(*build_windows(words, VOCABULARY, 9))
    expected, likely = exact(model, CONSTRAINTS[which])
    drawn = sampler(model, CONSTRAINTS[which])
    assert drawn.method == "table"
    assert most_message_contexts(1, V) <= 4**9
    assert drawn.accepted == pytest.approx(likely, rel=1e-5)
    check_distribution(drawn.draw(1, 0, DRAWN), expected)


@pytest.mark.parametrize("method", ["table", "direct"])
@pytest.mark.parametrize("backend", ["native", "python"])
def test_names_depend_on_the_seed_and_their_place_alone(method: Any, backend: Any) -> None:
    constraints, n = CONSTRAINTS["suffix"], 5000
    options: dict[str, Any] = {"constraints": constraints, "method": method, "backend": backend, "seed": 4}
    whole = sample_names(mlp(), VOCABULARY, n, **options)
    for more in ({"batch_size": 700}, {"threads": 3}, {"threads": 2, "batch_size": 4100}):
        assert sample_names(mlp(), VOCABULARY, n, **options, **more) == whole
    assert sample_names(mlp(), VOCABULARY, 77, **options) == whole[:77]
    options.pop("seed")
    drawn = NameSampler(
        mlp(), VOCABULARY, n, **{name: options[name] for name in ("constraints", "method", "backend")}
    )
    assert drawn.draw(4, 1234, 100) == whole[1234:1334]


def test_novel_and_unique_names_that_meet_constraints() -> None:
    """There are 14 such names; without the one that is known, 13."""
    constraints = Constraints(match="[ab]{1,3}c")
    options: dict[str, Any] = {
        "constraints": constraints,
        "training_names": ["AC"],
        "novel": True,
        "unique": True,
    }
    names = sample_names(mlp(), VOCABULARY, 13, seed=1, **options)
    assert {*names, "ac"} == set(exact(mlp(), constraints)[0])
    with pytest.raises(SamplingError, match="found only 13 of 14 novel and unique names"):
        sample_names(mlp(), VOCABULARY, 14, seed=1, patience=3000, **options)


@pytest.mark.parametrize("backend", ["native", "python"])
@pytest.mark.parametrize("threads", [1, 3])
def test_too_few_names_are_accepted(backend: Any, threads: int) -> None:
    """The names before the one that is not found are given, and then an error tells how many tries fitted."""
    options: dict[str, Any] = {
        "constraints": Constraints(contains="ccb"),
        "method": "direct",
        "backend": backend,
    }
    drawn = iter_names(mlp(), VOCABULARY, 6000, seed=3, patience=25, threads=threads, **options)
    names: list[str] = []
    message = r"^the constraints fit too few of .*: [\d,]+ of [\d,]+ tries gave one, and the last 25 none"
    with pytest.raises(SamplingError, match=message):
        names.extend(drawn)
    all_names = sample_names(mlp(), VOCABULARY, 6000, seed=3, **options)
    assert 0 < len(names) < 6000
    assert names == all_names[: len(names)]
    assert drawn.counts.names == drawn.counts.drawn == len(names)


@pytest.mark.parametrize("backend", ["native", "python"])
@pytest.mark.parametrize("method", ["table", "direct"])
def test_a_model_that_gives_no_such_name(backend: Any, method: Any) -> None:
    """The likeliest letter each time gives one name alone."""
    (name,) = set(sample_names(mlp(), VOCABULARY, 3, top_k=1, max_length=LONGEST))
    other = "ab" if not name.startswith("a") else "ba"
    with pytest.raises(
        SamplingError, match=f"^the model gives no name with match '{other}': its probability is 0"
    ):
        sampler(mlp(), Constraints(match=other), top_k=1, method=method, backend=backend)


def test_what_no_name_can_be() -> None:
    with pytest.raises(
        ValueError, match=r"^no name of at most 5 letters can have suffix 'a' and without 'a'"
    ):
        sampler(mlp(), Constraints(suffix="a", without="a"))


def test_a_native_sampler_where_there_is_none() -> None:
    with pytest.raises(
        ValueError, match=r"^backend must be 'auto' or 'python' for this model, but got 'native'"
    ):
        sampler(Odd(), Constraints(suffix="a"), backend="native")


def test_names_without_constraints_are_as_before() -> None:
    whole = sample_names(mlp(), VOCABULARY, 50, seed=1)
    assert sample_names(mlp(), VOCABULARY, 50, seed=1, constraints=Constraints()) == whole


def test_no_name_is_cut() -> None:
    """Names that do not end by themselves are no names: as many letters as are allowed, and then the end."""
    names = sampler(mlp(), Constraints(max_length=2)).draw(1, 0, DRAWN)
    check_distribution(names, exact(mlp(), Constraints(max_length=2))[0])


@pytest.mark.parametrize("method", ["table", "direct"])
def test_letters_of_several_bytes(method: Any) -> None:
    vocabulary = Vocabulary("a\u00e9\u540d")
    model = sharpened(MLP(4, 2, embedding_dim=3, hidden_size=8))
    names = sample_names(
        model,
        vocabulary,
        500,
        seed=1,
        method=method,
        constraints=Constraints(suffix="\u00e9\u540d", min_length=3),
    )
    assert all(name.endswith("\u00e9\u540d") and len(name) >= 3 for name in names)
    assert len(set(names)) > 10


def test_a_vocabulary_wider_than_a_row() -> None:
    """Rows have a place for the rejection behind the symbols: 17 and 33 symbols are where they become wider."""
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 40)))
    for size in (16, 17, 32, 33):
        vocabulary = Vocabulary(letters[:size])
        model = sharpened(MLP(size + 1, 1, embedding_dim=3, hidden_size=8))
        constraints = Constraints(match=f".*[{letters[size // 2 : size]}]", max_length=4)
        for method in ("table", "direct"):
            native, python = (
                sample_names(
                    model, vocabulary, 200, seed=1, constraints=constraints, method=method, backend=backend
                )  # type: ignore[arg-type]
                for backend in ("native", "python")
            )
            assert sum(map(str.__ne__, native, python)) <= 1
            assert all(name[-1] in letters[size // 2 :] and len(name) <= 4 for name in native)


def test_rows_that_are_forgotten_come_back_as_they_were() -> None:
    """64 MiB of rows are kept, which are 524,288 of 27 symbols; untrained, the model comes to more of them."""
    vocabulary = Vocabulary("abcdefghijklmnopqrstuvwxyz")
    model = MLP(27, 3, embedding_dim=2, hidden_size=4)
    drawn = NameSampler(model, vocabulary, 100_000, constraints=Constraints(suffix="a"))
    assert drawn.method == "table"
    names = drawn.draw(1, 0, 60_000)
    cells = {
        (name[max(0, end - 3) : end], end, name[:end][-1:] == "a")
        for name in names
        for end in range(len(name))
    }
    assert len(cells) > 524_288
    fresh = NameSampler(model, vocabulary, 100_000, constraints=Constraints(suffix="a"))
    assert fresh.draw(1, 59_000, 1000) == names[-1000:] == drawn.draw(1, 59_000, 1000)
