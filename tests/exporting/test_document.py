from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from namegen_ext.exporting.export_errors import ExportError
from namegen_ext.exporting.export_model import target_of
from namegen_ext.exporting.json_arrays import array_of, float_tensor, number_tensor
from namegen_ext.generator import Generator

from .conftest import KINDS


def schema() -> dict[str, Any]:
    text = files("namegen_ext.exporting").joinpath("model.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def tensors(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict) and "dtype" in part:
        yield part
    elif isinstance(part, dict | list):
        for value in part.values() if isinstance(part, dict) else part:
            yield from tensors(value)


def exported(generator: Generator, folder: Path, **options: Any) -> dict[str, Any]:
    generator.export(folder / "names.json", **options)
    return json.loads((folder / "names.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_is_as_the_schema_says(
    kind: str, generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    document = exported(generator_of(kind), tmp_path)
    jsonschema.validate(document, schema())
    found = list(tensors(document["model"]))
    assert len(found) >= 1
    for tensor in found:
        assert array_of(tensor).shape == tuple(tensor["shape"])


def test_the_schema_refuses_what_a_reader_would_not_understand(
    generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    document = exported(generator_of("mlp"), tmp_path)
    for spoil in (
        lambda d: d.update(version=2),
        lambda d: d["model"].update(kind="other"),
        lambda d: d["model"]["embedding"].update(dtype="int8"),
        lambda d: d["model"].pop("levels"),
        lambda d: d.update(symbols=[]),
    ):
        copy = json.loads(json.dumps(document))
        spoil(copy)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(copy, schema())


def test_the_document_tells_how_the_model_was_trained(
    generator_of: Callable[[str], Generator], words: list[str], tmp_path: Path
) -> None:
    generator = generator_of("mlp")
    about = exported(generator, tmp_path)["about"]
    assert (about["model"], about["steps"], about["num_names"]) == ("mlp", 60, generator.num_names)
    assert about["losses"]["dev"] == pytest.approx(generator.nll(generator.splits.dev), rel=1e-5)


def test_a_run_directory_gives_the_document_of_its_generator(
    generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    for kind in ("mlp-batch-norm", "mixture", "gpt"):
        generator = generator_of(kind)
        generator.save(tmp_path / kind)
        own = exported(generator, tmp_path)
        loaded = exported(Generator.from_run(tmp_path / kind), tmp_path)
        assert loaded["model"] == own["model"]
        assert loaded["list"] == own["list"]
        # The summary of what a search tried is saved with its mixture; other models are saved without one.
        unknown = {"train": None, "dev": None, "test": None}
        assert loaded["about"]["losses"] == (own["about"]["losses"] if kind == "mixture" else unknown)


def test_the_names_can_be_left_out(generator_of: Callable[[str], Generator], tmp_path: Path) -> None:
    document = exported(generator_of("mlp"), tmp_path, with_names=False)
    jsonschema.validate(document, schema())
    assert document["list"]["names"] is None
    assert document["about"]["num_names"] == generator_of("mlp").num_names


@pytest.mark.parametrize("values", [[], [0, 255], [256, 3], [70000], [0.5, 2.0], [-1.0, 3.0]])
def test_numbers_come_back_as_they_were(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    assert array_of(number_tensor(array)).tolist() == array.tolist()
    assert array_of(float_tensor(array)).tolist() == array.astype(np.float32).tolist()


def test_weights_that_are_not_finite_are_refused(
    generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    import copy

    generator = copy.deepcopy(generator_of("mlp"))
    next(generator.model.parameters()).data[0, 0] = float("nan")
    with pytest.raises(ExportError, match=r"net\.0\.weight holds numbers that are not finite"):
        generator.export(tmp_path / "names.json")
    assert not (tmp_path / "names.json").exists()


def test_the_ending_says_what_is_written() -> None:
    assert [
        target_of(Path(f"a.{ending}"), None) for ending in ("html", "mjs", "js", "json", "onnx", "pt2")
    ] == [
        "html",
        "js",
        "js",
        "json",
        "onnx",
        "pt2",
    ]
    assert target_of(Path("a.txt"), "js") == "js"
    with pytest.raises(ExportError, match="to must be one of html, js, json, onnx, pt2, but got 'exe'"):
        target_of(Path("a.html"), "exe")
    with pytest.raises(ExportError, match=r"'a\.txt'"):
        target_of(Path("a.txt"), None)


def test_models_of_categories_are_described_but_no_files_of_modules_are_made(
    categories_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    generator = categories_of("mlp")
    document = exported(generator, tmp_path)
    jsonschema.validate(document, schema())
    assert [category["name"] for category in document["categories"]] == ["dwarf", "elf", "orc"]
    assert sum(category["share"] for category in document["categories"]) == pytest.approx(1)
    assert document["symbols"] == list(generator.vocabulary.symbols)
    with pytest.raises(ExportError, match="to must be html, js or json for a list with categories"):
        generator.export(tmp_path / "names.onnx")
    assert not (tmp_path / "names.onnx").exists()
