"""The exported module in Node."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namegen_ext.exporting.web_bundle import LIBRARY, types_path, web_text
from namegen_ext.fit_names import fit
from namegen_ext.generator import Generator

from .conftest import KINDS, run_node

WEB_TESTS = Path(__file__).parent / "web"


def test_the_parts_pass_their_own_tests(node: str) -> None:
    files = sorted(WEB_TESTS.glob("*.test.mjs"))
    assert files
    assert "# fail 0" in run_node(node, "--test", "--test-reporter=tap", *files)


def test_the_bundle_holds_every_file_of_the_library() -> None:
    imported = {
        line.split('"')[1]
        for name in LIBRARY
        for line in web_text(name).splitlines()
        if line.startswith("import")
    }
    assert imported <= {f"./{name}" for name in LIBRARY}


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_python(
    kind: str, generator_of: Callable[[str], Generator], run_module: Callable[[Generator, str], Any]
) -> None:
    generator = generator_of(kind)
    words = ["bada", "kilomoda", "tatatatatatata", "b"]
    found = run_module(generator, f"result = {words}.map((name) => g.score(name));")
    for word, score in zip(words, found, strict=True):
        expected = generator.nll([word])
        assert score["nllPerCharacter"] == pytest.approx(expected, rel=1e-5)
        assert [letter["letter"] for letter in score["letters"]] == [*word, ""]
        assert score["nll"] == pytest.approx(sum(letter["nll"] for letter in score["letters"]))
    assert found[0]["novel"] is (
        "bada" not in generator.splits.train + generator.splits.dev + generator.splits.test
    )


def test_an_unknown_letter_is_infinitely_unlikely(
    generator_of: Callable[[str], Generator], run_module: Callable[[Generator, str], Any]
) -> None:
    script = (
        "const s = g.score('baq'); result = [s.nll === Infinity, s.letters.map(l => Number.isFinite(l.nll))];"
    )
    assert run_module(generator_of("mlp"), script) == [True, [True, True, False, False]]


def test_what_would_follow_sums_to_one(
    generator_of: Callable[[str], Generator], run_module: Callable[[Generator, str], Any]
) -> None:
    for kind in ("gpt", "mixture"):
        found = run_module(generator_of(kind), "result = g.next('ba', {temperature: 0.7});")
        probabilities = [entry["probability"] for entry in found]
        assert math.isclose(sum(probabilities), 1.0)
        assert probabilities == sorted(probabilities, reverse=True)
        assert len(found) == len(generator_of(kind).vocabulary)


def test_names_are_as_asked_for_or_said_not_to_be_found(
    generator_of: Callable[[str], Generator], run_module: Callable[[Generator, str], Any]
) -> None:
    script = """
    result = {};
    result.short = g.sample(50, {seed: 1, maxLength: 4, minLength: 3});
    result.ending = g.sample(20, {seed: 1, suffix: "da", without: "mk"});
    result.drawn = g.sample(20000, {seed: 1});
    try { g.sample(5, {seed: 1, suffix: "zzz", patience: 1000}); } catch (error) { result.error = String(error); }
    try { g.sample(9999, {seed: 1, unique: true, topK: 1}); } catch (error) {
      result.found = [error instanceof NamesNotFoundError, error.names.length];
    }
    """
    generator = generator_of("mlp")
    with pytest.raises(AssertionError, match="suffix must be of letters that the model knows"):
        run_module(generator, "result = g.sample(1, {suffix: 'zzz'});")
    found = run_module(generator, script.replace("zzz", "bbb"))
    assert found["short"] == [name for name in found["drawn"] if 3 <= len(name) <= 4][:50]
    wanted = [name for name in found["drawn"] if name.endswith("da") and not set(name) & set("mk")]
    assert found["ending"] == wanted[:20]
    assert "gave up: the last 1000 names drawn" in found["error"]
    assert found["found"] == [True, 1]


def test_the_iterator_gives_the_names_of_the_list(
    generator_of: Callable[[str], Generator], run_module: Callable[[Generator, str], Any]
) -> None:
    script = """
    const some = [];
    for (const name of g.names({seed: 4})) if (some.push(name) === 30) break;
    const [any] = g;
    result = [some, g.sample(30, {seed: 4}), typeof any, g.sample(0)];
    """
    some, all_, kind, none = run_module(generator_of("mlp"), script)
    assert (some, kind, none) == (all_, "string", [])


def test_hostile_letters_stay_letters(run_module: Callable[[Generator, str], Any]) -> None:
    hostile = [
        "</script><script>x",
        "'\"`${x}\\",
        "a\u202eb\u2066c",
        "<!--<script>",
        "\u00a0\U0001f600z",
        "--></b>",
    ]
    generator = fit(hostile, model="ngram", block_size=6, estimator="witten-bell")
    assert run_module(generator, "result = g.sample(100, {seed: 2});") == generator.sample(100, seed=2)


def test_where_the_types_stand(tmp_path: Path, generator_of: Callable[[str], Generator]) -> None:
    assert types_path(Path("a/names.mjs")) == Path("a/names.d.mts")
    assert types_path(Path("a/names.js")) == Path("a/names.d.ts")
    written = generator_of("mlp").export(tmp_path / "n.mjs")
    assert [path.name for path in written] == ["n.mjs", "n.d.mts"]
    assert "export class Generator" in written[1].read_text(encoding="utf-8")


def test_a_file_without_names_says_that_it_cannot_tell_new_ones(
    node: str, generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    generator_of("mlp").export(tmp_path / "names.mjs", with_names=False)
    (tmp_path / "script.mjs").write_text(
        'import { Generator } from "./names.mjs"; const g = await Generator.load();\n'
        "try { g.sample(1, {novel: true}); } catch (error) { console.log(error.message, g.score('b').novel); }\n",
        encoding="utf-8",
    )
    assert "novel must be false: the names of the list were left out of this file null" in run_node(
        node, tmp_path / "script.mjs"
    )
