"""The notebooks are those of the lessons as they stand, and run from top to bottom."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from namegen_ext.cli.find_lessons import find_lessons
from namegen_ext.cli.lesson_code import read_lesson

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
LESSONS = list(find_lessons().LESSONS)


@pytest.fixture(scope="module")
def make() -> ModuleType:
    pytest.importorskip("jupytext", reason="jupytext is not installed here: it is in the extra notebooks")
    spec = importlib.util.spec_from_file_location("make_notebooks", NOTEBOOKS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_one_for_each_lesson() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(LESSONS)


@pytest.mark.parametrize("name", LESSONS)
def test_it_is_up_to_date(name: str, make: ModuleType) -> None:
    expected = make.notebook(read_lesson(ROOT / "python" / "lessons" / f"{name}.py"))
    stands = (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    assert stands == expected, "run python docs/notebooks/make.py"


@pytest.mark.parametrize("name", LESSONS)
def test_it_runs_and_prints_what_the_lesson_prints(name: str, run_lesson) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed here: extra notebooks")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed here: extra notebooks")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed here: extra notebooks")
    document = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(document, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in document.cells for output in cell.get("outputs", [])]
    printed = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    lesson = run_lesson(name)
    headings = [line for line in printed.splitlines() if line[:1].isdigit()]
    assert len(headings) >= 3
    assert all(line in lesson for line in headings)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == ("figure: file:" in lesson)
