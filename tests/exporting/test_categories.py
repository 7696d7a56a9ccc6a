"""Models of lists with categories: the names of one category, or of all, are those of Python everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namegen_ext.generator import Generator
from namegen_reference.exported import Exported

from .conftest import CATEGORY_KINDS, drawn


@pytest.mark.parametrize("kind", CATEGORY_KINDS)
def test_the_module_draws_the_names_of_each_category_and_of_all(
    kind: str,
    categories_of: Callable[[str], Generator],
    run_module: Callable[[Generator, str], Any],
) -> None:
    generator = categories_of(kind)
    count = 200 if kind.startswith("gpt") else 2500  # more than two blocks of 1,024 are shared out
    asked: list[Any] = [None, "elf", {"dwarf": 0.25, "orc": 0.75}]
    options = [{} if category is None else {"category": category} for category in asked]
    found = run_module(
        generator,
        f"result = {json.dumps(options)}.map((one) => g.sample({count}, {{seed: {2**40 + 9}, ...one}}));",
    )
    for one, names in zip(options, found, strict=True):
        assert names == generator.sample(count, seed=2**40 + 9, **one)


@pytest.mark.parametrize("kind", CATEGORY_KINDS)
def test_the_module_scores_names_by_category(
    kind: str,
    categories_of: Callable[[str], Generator],
    run_module: Callable[[Generator, str], Any],
) -> None:
    generator = categories_of(kind)
    words = ["bada", "kilomoda", "tatatatatatata", "b"]
    for category in (None, "orc", {"elf": 0.5, "orc": 0.5}):
        script = f"result = {words}.map((name) => g.score(name, {{category: {json.dumps(category)} ?? undefined}}));"
        expected = generator.likelihood(None if category is None else generator._weights_of(category))
        found = [score["nll"] for score in run_module(generator, script)]
        assert found == pytest.approx(expected.nll(words)[0].tolist(), rel=1e-5)


@pytest.mark.parametrize("kind", CATEGORY_KINDS)
def test_the_reader_draws_the_names_of_each_category(
    kind: str, categories_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    generator = categories_of(kind)
    generator.export(tmp_path / "names.json")
    reader = Exported(json.loads((tmp_path / "names.json").read_text(encoding="utf-8")))
    count = 5 if kind.startswith("gpt") else 20
    for category in ("elf", "dwarf", "orc"):
        found = drawn(count, lambda place, own=category: reader.draw(7, place, category=own))
        assert found == generator.sample(count, seed=7, category=category)


def test_what_is_no_category_is_said(
    categories_of: Callable[[str], Generator],
    generator_of: Callable[[str], Generator],
    run_module: Callable[[Generator, str], Any],
) -> None:
    script = "try { g.sample(1, {category: %s}); } catch (error) { result = error.message; }"
    generator = categories_of("mlp")
    assert run_module(generator, script % "'ent'") == 'category must be one of dwarf, elf, orc, but got "ent"'
    assert "shares from 0 to 1 that sum to 1" in run_module(generator, script % "{elf: 0.7}")
    assert "category must be left out" in run_module(generator_of("mlp"), script % "'elf'")
