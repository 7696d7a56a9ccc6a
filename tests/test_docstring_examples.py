"""The examples in the docstrings: each public function and class has one, and it runs. Errors need none."""

from __future__ import annotations

import doctest
import inspect
import re
from typing import Any

import pytest

import namegen_ext
from namegen_ext import data, engine, fusion, models, nn, ops, sampling, scoring, steering, training


def is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception)


# A constant has no docstring of its own; that of its class has the example.
PUBLIC = [
    (f"{room.__name__}.{name}", getattr(room, name))
    for room in (namegen_ext, ops, nn, fusion, data, models, engine, steering, sampling, scoring, training)
    for name in room.__all__
    if callable(getattr(room, name)) and not is_error(getattr(room, name))
]


@pytest.mark.parametrize(("name", "thing"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_the_example_of_a_public_name_runs(name: str, thing: Any) -> None:
    text = inspect.getdoc(thing) or ""
    module = inspect.getmodule(thing)
    # An example uses what is defined in its own module without an import.
    names = {} if module is None else dict(vars(module))
    found = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    assert found.examples, f"{name} has no example"
    told: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(found, out=told.append)
    assert result.failed == 0, "".join(told)


@pytest.mark.parametrize("name", [name for name in ops.__all__ if not name.startswith("why")])
def test_an_operator_tells_shapes_dtypes_errors_and_source(name: str) -> None:
    text = inspect.getdoc(getattr(ops, name)) or ""
    if name.endswith("_reference"):
        assert f"are those of :func:`{name.removesuffix('_reference')}`" in text
        return
    assert re.search(r"^Args:", text, re.MULTILINE)
    assert re.search(r"\n    x|\n    tokens", text)
    assert "(..., " in text
    assert "float32" in text
    assert re.search(r"^Raises:", text, re.MULTILINE)
    assert re.search(r"^Sources?:", text, re.MULTILINE)


@pytest.mark.parametrize("name", nn.__all__)
def test_a_module_tells_shapes_errors_and_source(name: str) -> None:
    text = inspect.getdoc(getattr(nn, name)) or ""
    for heading in ("Args:", "Shape:", "Raises:"):
        assert re.search(rf"^{heading}", text, re.MULTILINE), heading
    assert re.search(r"^Sources?:", text, re.MULTILINE)
