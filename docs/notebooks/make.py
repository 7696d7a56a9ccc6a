"""Makes a notebook of each lesson: ``python docs/notebooks/make.py``. A test holds that they are up to date.

The cells come from python/lessons, the same source that ``lessons NAME`` shows, and jupytext writes them. Needs the
package installed with its extra ``notebooks``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jupytext

from namegen_ext.cli.find_lessons import find_lessons
from namegen_ext.cli.lesson_code import LessonCode, read_lesson

HERE = Path(__file__).resolve().parent
LESSONS = HERE.parents[1] / "python" / "lessons"
HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""


def notebook(lesson: LessonCode) -> str:
    """Return a lesson as the text of a notebook, without outputs."""
    document = jupytext.reads(HEADER + "\n" + "\n".join(_cells(lesson)), fmt="py:percent")
    for number, cell in enumerate(document.cells):
        cell["id"] = f"{lesson.path.stem}-{number}"  # else random
    document.metadata.pop("jupytext", None)  # it holds jupytext's version
    return str(jupytext.writes(document, fmt="ipynb")) + "\n"


def _cells(lesson: LessonCode) -> Iterator[str]:
    yield _markdown(
        f"# {lesson.title}\n\nMade from `python/lessons/{lesson.path.name}` by `docs/notebooks/make.py`. It needs "
        "namegen_ext installed."
    )
    yield _code(lesson.start.replace("from __future__ import annotations\n", "").strip())
    for step in lesson.steps:
        if step.definitions:
            yield _code(step.definitions)
        yield _code(step.code)
    questions = "\n".join(f"{number}. {question}" for number, (question, _) in enumerate(lesson.exercises, 1))
    answers = "\n".join(f"{number}. {answer}" for number, (_, answer) in enumerate(lesson.exercises, 1))
    yield _markdown(f"## Exercises\n\n{questions}")
    yield _markdown(f"<details><summary>Answers</summary>\n\n{answers}\n\n</details>")


def _markdown(text: str) -> str:
    return "# %% [markdown]\n" + "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def _code(text: str) -> str:
    return f"# %%\n{text}\n"


def main() -> int:
    """Write the notebooks; return how many there are."""
    names = list(find_lessons().LESSONS)
    for name in names:
        text = notebook(read_lesson(LESSONS / f"{name}.py"))
        (HERE / f"{name}.ipynb").write_text(text, encoding="utf-8")
    return len(names)


if __name__ == "__main__":
    print(f"{main()} notebooks written", file=sys.stderr)
