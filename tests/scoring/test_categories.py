"""One model of several categories: what it draws and how likely names are, against the model asked symbol by symbol."""

from __future__ import annotations

import copy
import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from namegen_ext import Generator, fit, load
from namegen_ext.data import DataError
from namegen_ext.data.categories import mark_of
from namegen_ext.sampling import SamplingError

KINDS: dict[str, dict[str, Any]] = {
    "mlp": {"model": "mlp", "steps": 600, "hidden_size": 24, "embedding_dim": 6, "block_size": 3, "fused": True},
    "wavenet": {"model": "wavenet", "steps": 60, "hidden_size": 12, "embedding_dim": 6, "block_size": 3},
    "counts": {"model": "ngram", "init": "counts", "steps": 0, "estimator": "witten-bell", "block_size": 3},
    "kneser-ney": {"model": "ngram", "init": "counts", "steps": 0, "estimator": "kneser-ney", "block_size": 4},
    "bigram counts": {"model": "bigram", "init": "counts", "steps": 0, "block_size": 1},
    "bigram": {"model": "bigram", "steps": 40, "block_size": 1, "learning_rate": 1.0},
    "mixture": {"budget": 2.0},
    "table": {"model": "ngram", "init": "counts", "steps": 1, "block_size": 1, "learning_rate": 1e-3},
    "gpt": {"model": "gpt", "steps": 60, "embedding_dim": 8, "num_layers": 1, "num_heads": 2, "block_size": 6,
            "optimizer": "adamw", "learning_rate": 5e-3},
}  # fmt: skip


def made_up() -> dict[str, list[str]]:
    """Three kinds of names that have letters in common."""
    draw = random.Random(1)
    letters = {"elf": "aeilnr", "dwarf": "aoubdgr", "orc": "ugzkéa"}
    return {
        kind: ["".join(draw.choices(own, k=draw.randint(2, 7))) for _ in range(80)]
        for kind, own in letters.items()
    }


LISTS = made_up()


@pytest.fixture(scope="module")
def made() -> Callable[[str], Generator]:
    found: dict[str, Generator] = {}

    def make(kind: str) -> Generator:
        if kind not in found:
            found[kind] = fit(LISTS, **KINDS[kind])
        return found[kind]

    return make


@torch.no_grad()
def slow_nll(generator: Generator, name: str, category: str) -> float:
    """-log P(name | category) by the module, one symbol after another: the marks' own probability is taken out."""
    model: Any = generator.model
    vocabulary = generator.config.vocabulary
    mark = vocabulary.encode(mark_of(generator.categories.index(category)))[0]
    letters = len(vocabulary) - len(generator.categories)
    symbols = vocabulary.encode(name)
    block_size = int(model.block_size)
    total = 0.0
    for place, target in enumerate([*symbols, 0]):
        if hasattr(model, "next_logits"):
            sequence = [0, mark, *symbols[:place]]
            if len(sequence) > block_size:
                sequence = [mark, *symbols[:place][-(block_size - 1) :]]
            window = [0] * (block_size - len(sequence)) + sequence
            logits = model.next_logits(torch.tensor([window]))[0]
        else:
            padded = [0] * (block_size - 1) + symbols[:place]
            logits = model(torch.tensor([[mark, *padded[place:]]]))[0][0]
        total -= float(logits[:letters].double().log_softmax(0)[target])
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_likelihoods(kind: str, made: Callable[[str], Generator]) -> None:
    generator = made(kind)
    names = [*LISTS["elf"][:4], *LISTS["orc"][:3], "", "aaabbbdddggg"]
    for category in ("elf", "orc"):
        found = generator.score(names, category=category, nearest=False).nll
        expected = [slow_nll(generator, name, category) for name in names]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)  # logits in float32
    mixed = generator.score(names, category={"elf": 0.25, "orc": 0.75}, nearest=False).nll
    by_hand = [
        -math.log(
            0.25 * math.exp(-slow_nll(generator, n, "elf")) + 0.75 * math.exp(-slow_nll(generator, n, "orc"))
        )
        for n in names
    ]
    np.testing.assert_allclose(mixed, by_hand, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_drawn_by_those_likelihoods(kind: str, made: Callable[[str], Generator]) -> None:
    generator = made(kind)
    drawn = Counter(generator.sample(4000, category="dwarf", seed=3))
    assert "" not in drawn
    common = [name for name, count in drawn.most_common(40) if count >= 5]
    scores = generator.score([*common, ""], category="dwarf", nearest=False).nll
    probabilities = np.exp(-scores[:-1]) / (1 - math.exp(-scores[-1]))  # no name is empty
    for name, probability in zip(common, probabilities, strict=True):
        expected = 4000 * probability
        assert abs(drawn[name] - expected) < 5 * math.sqrt(expected) + 1, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_directory(kind: str, made: Callable[[str], Generator], tmp_path: Path) -> None:
    generator = made(kind)
    generator.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert loaded.categories == ("dwarf", "elf", "orc")
    assert (tmp_path / "run" / "words.txt").read_text().split() == loaded.words
    assert set((tmp_path / "run" / "categories.txt").read_text().split()) == {"dwarf", "elf", "orc"}
    for asked in ("elf", "elf:0.5,orc:0.5", None):
        assert loaded.sample(30, category=asked, seed=2) == generator.sample(30, category=asked, seed=2)
    names = LISTS["elf"][:5]
    assert loaded.score(names, classify=True)[:] == generator.score(names, classify=True)[:]
    assert loaded.splits.train == generator.splits.train
    assert all(word.isalpha() for word in loaded.splits.dev)


def test_the_posterior_and_the_report(made: Callable[[str], Generator]) -> None:
    generator = made("mlp")
    scores = generator.score([*LISTS["elf"][:10], "xyz"], classify=True)
    for row in scores:
        assert sum(row["posterior"].values()) == pytest.approx(1)
        assert row["category"] == max(row["posterior"], key=row["posterior"].__getitem__)
    prior = generator._prior
    assert scores[10]["posterior"] == pytest.approx(prior), "nothing is known of a name with unknown letters"
    name = LISTS["orc"][0]
    joint = {c: p * math.exp(-generator.score([name], category=c)[0]["nll"]) for c, p in prior.items()}
    expected = {c: p / sum(joint.values()) for c, p in joint.items()}
    assert generator.score([name], classify=True)[0]["posterior"] == pytest.approx(expected)
    report = generator.category_report()
    assert report["held_out"] == 48
    assert report["accuracy"] > 0.75 > report["most_frequent"]
    assert set(report["losses"]) == {"dwarf", "elf", "orc"}
    assert all(0 < loss < math.log(15) for losses in report["losses"].values() for loss in losses.values())


def test_mixtures_are_drawn_by_their_weights(made: Callable[[str], Generator]) -> None:
    generator = made("counts")
    names = generator.sample(3000, category="elf:0.8,orc:0.2", seed=5)
    assert names[:700] == list(
        generator.stream(700, category={"elf": 0.8, "orc": 0.2}, seed=5, batch_size=97)
    )
    categories = Counter(generator.score(names, classify=True, nearest=False).extra["category"])  # type: ignore[index]
    assert 0.7 < categories["elf"] / 3000 < 0.9
    near = generator.sample(200, category="orc", like=LISTS["orc"][3], within=1, seed=1)
    assert len(set(near)) > 1
    assert (
        len(generator.sample(20, category="orc", max_similarity=0.8, novel=True, unique=True, prefix="z"))
        == 20
    )


def test_what_cannot_be(made: Callable[[str], Generator]) -> None:
    generator = made("mlp")
    with pytest.raises(ValueError, match="category must be one of 'dwarf, elf, orc', but got 'hobbit'"):
        generator.sample(1, category="hobbit")
    plain = fit(LISTS["elf"], steps=1, model="mlp")
    with pytest.raises(ValueError, match="classify is for a list with categories"):
        plain.score(["a"], classify=True)
    with pytest.raises(ValueError, match="this run's list has none"):
        plain.category_report()
    for options, told in (
        ({"model": "wavenet", "block_size": 4, "factors": "2x2"}, "got --factors 2x2, expected auto"),
    ):
        with pytest.raises(DataError, match=told):
            fit(LISTS, **options)  # type: ignore[arg-type]


def test_a_mix_of_generators(made: Callable[[str], Generator], tmp_path: Path) -> None:
    first = fit(LISTS["elf"], model="ngram", init="counts", steps=0, estimator="witten-bell", block_size=3)
    second = fit(LISTS["orc"], model="mlp", steps=100, hidden_size=8)
    mixed = Generator.mix([(first, 0.3), (second, 0.7)])
    names = mixed.sample(2000, seed=1)
    assert names[:50] == mixed.sample(50, seed=1)
    only_orc = sum(not set(name) <= set(first.vocabulary.symbols) for name in names)
    assert 0.5 < only_orc / 2000 < 0.75
    found = mixed.score(LISTS["elf"][:5]).nll
    expected = -np.logaddexp(
        math.log(0.3) - first.score(LISTS["elf"][:5]).nll, math.log(0.7) - second.score(LISTS["elf"][:5]).nll
    )
    np.testing.assert_allclose(found, expected)
    assert mixed.score(["!"])[0]["unknown"] == "!"
    assert mixed.score([LISTS["orc"][0]])[0]["novel"] is False
    assert mixed.nearest(LISTS["elf"][0] + "é") == (LISTS["elf"][0], 1)
    assert np.mean(mixed.rank(first.splits.train + second.splits.train)) == pytest.approx(50)
    assert len(mixed.sample(20, seed=1, novel=True, unique=True, max_similarity=0.8)) == 20
    assert mixed.sample(5, like=LISTS["elf"][0], within=1, seed=1)
    of_categories = Generator.mix([(made("mlp"), 0.5), (first, 0.5)])
    assert len(of_categories.sample(10, seed=1)) == 10
    for parts, told in (
        ([], "must hold a generator"),
        ([(first, 0.5)], "sum to 1, but got 0.5"),
        ([(first, 0.0), (second, 1.0)], "weights above 0"),
        ([(first, 0.5), (fit(LISTS["orc"], steps=1, model="mlp", case="title"), 0.5)], "in one case"),
    ):
        with pytest.raises(ValueError, match=told):
            Generator.mix(parts)


def test_a_mixture_leaves_out_the_names_of_each_category(made: Callable[[str], Generator]) -> None:
    base = copy.deepcopy(made("mixture"))
    model: Any = base.model
    model.leave_out(torch.zeros(1, 1, dtype=torch.int64), 1.0)  # none yet
    words = [
        f"{mark_of(base.categories.index(kind))}{name}" for kind in ("elf", "orc") for name in LISTS[kind]
    ]
    symbols = torch.zeros(len(words), 12, dtype=torch.int64)
    for row, word in enumerate(words):
        symbols[row, : len(word)] = torch.tensor(base.config.vocabulary.encode(word))
    factor, asked = 0.1, {"elf": "elf", "orc": "orc", "dwarf": "elf"}
    before = {kind: base.score(LISTS[own], category=kind, nearest=False).nll for kind, own in asked.items()}
    model.leave_out(symbols, factor)
    assert len(model.known_keys) > 100
    for kind, own in asked.items():
        after = base.score(LISTS[own], category=kind, nearest=False).nll
        distinct = dict(zip(LISTS[own], before[kind], strict=True))
        # The dwarves have no names in the tree: those of elves keep their probability among dwarves.
        mass = sum(math.exp(-nll) for nll in distinct.values()) if kind != "dwarf" else 0.0
        times = factor / (1 - (1 - factor) * mass) if kind != "dwarf" else 1.0
        np.testing.assert_allclose(after, before[kind] - math.log(times), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def shares(generator: Generator, weights: dict[str, float], keep: Callable[[str], bool]) -> dict[str, float]:
    """P(name | kept) of a mixture of categories, every name of up to four letters spelt out."""
    letters = generator.vocabulary.symbols
    names = ["".join(letters_) for n in (1, 2, 3, 4) for letters_ in product(letters, repeat=n)]
    names = [name for name in names if keep(name)]
    found = np.zeros(len(names))
    for category, weight in weights.items():
        scores = generator.score([*names, ""], category=category, nearest=False).nll
        found += weight * np.exp(-scores[:-1]) / (1 - math.exp(-scores[-1]))  # no name is empty
    return dict(zip(names, (found / found.sum()).tolist(), strict=True))


@pytest.mark.parametrize("backend", ["auto", "python"])
@pytest.mark.parametrize("method", ["auto", "direct"])
@pytest.mark.parametrize("kind", ["counts", "kneser-ney", "mixture", "gpt", "bigram"])
def test_constraints_hold_for_the_mixture(
    kind: str, method: str, backend: str, made: Callable[[str], Generator]
) -> None:
    """Chi-squared against every name: a category counts by its weight and by how likely its names are accepted."""
    generator, weights = made(kind), {"elf": 0.7, "orc": 0.3}
    options: dict[str, Any] = {"match": "[aeug]..?a", "max_length": 4}
    expected = shares(
        generator, weights, lambda name: len(name) in (3, 4) and name[0] in "aeug" and name[-1] == "a"
    )
    n = 1500 if backend == "python" else 6000
    drawn = Counter(generator.sample(n, category=weights, seed=5, method=method, backend=backend, **options))
    assert set(drawn) <= set(expected)
    common = [name for name, p in expected.items() if n * p >= 5]
    counts = np.array([drawn[name] for name in common] + [n - sum(drawn[name] for name in common)])
    wanted = np.array([n * expected[name] for name in common])
    wanted = np.append(wanted, n - wanted.sum())
    chi_squared = float(((counts - wanted) ** 2 / np.maximum(wanted, 1e-9)).sum())
    freedom = len(common)
    assert chi_squared < freedom + 5 * math.sqrt(2 * freedom), (chi_squared, freedom)
    elf = generator.score(common, category="elf", nearest=False).nll
    orc = generator.score(common, category="orc", nearest=False).nll
    posterior = 0.7 / (0.7 + 0.3 * np.exp(elf - orc))  # of the elves, for each name
    share = float((posterior * wanted[:-1]).sum() / wanted[:-1].sum())
    assert abs(share - 0.7) > 0.02, "to choose the category before the constraint would give other names"


def test_a_prefix_holds_for_the_mixture(made: Callable[[str], Generator]) -> None:
    generator, weights = made("counts"), {"elf": 0.7, "orc": 0.3}
    expected = shares(generator, weights, lambda name: name[0] == "u" and len(name) <= 4)
    for backend in ("auto", "python"):
        n = 4000 if backend == "auto" else 1500
        drawn = Counter(
            generator.sample(n, category=weights, seed=6, prefix="u", max_length=4, backend=backend)
        )
        for name, p in expected.items():
            if n * p >= 20:
                assert abs(drawn[name] - n * p) < 5 * math.sqrt(n * p), (name, backend)


def test_a_mix_leaves_out_who_has_no_such_names() -> None:
    first = fit(LISTS["elf"], model="ngram", init="counts", steps=0, block_size=2)
    second = fit(LISTS["orc"], model="ngram", init="counts", steps=0, block_size=2)
    mixed = Generator.mix([(first, 0.9), (second, 0.1)])
    asked: list[dict[str, Any]] = [
        {"prefix": "z"},
        {"contains": "z"},
        {"suffix": "z", "min_length": 3},
        {"match": ".*z.*"},
    ]
    for options in asked:
        names = mixed.sample(30, seed=1, **options)
        assert all("z" in name for name in names)
        assert names == mixed.sample(40, seed=1, **options)[:30]
    with pytest.raises(ValueError, match="no name of at most 64 letters can have suffix 'a' and match 'b'"):
        mixed.sample(1, suffix="a", match="b")
    with pytest.raises(ValueError, match="prefix must be made of letters"):
        mixed.sample(1, prefix="!")
    with pytest.raises(ValueError, match="contains must be made of letters"):
        mixed.sample(1, contains="!")


def test_a_rare_demand_of_a_mixture_ends_in_one_line(made: Callable[[str], Generator]) -> None:
    generator = made("gpt")
    with pytest.raises(SamplingError, match="the constraints fit too few of the model's names"):
        generator.sample(
            5, category="elf:0.5,orc:0.5", seed=1, patience=2000, match="(zig?ku){7,8}", method="direct"
        )
