"""One name, one thing: a file's name tells it from all others, unless it is that of an operator or a model."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# An operator keeps its name in every layer: kernels, torch, Python, module, benchmark.
OPERATORS = {"batch_norm", "linear", "embedding_concat_linear", "embedding_concat_linear_batch_norm"}
# A model of the ladder has a lesson, and may have a reference, of its name.
MODELS = {"mlp", "wavenet", "gpt", "microgpt"}
# Lessons are named after what they are on.
LESSONS = {path.stem for path in (ROOT / "python" / "lessons").glob("*.py")}
PYTHONS_OWN = {"__init__", "__main__"}


def test_no_two_files_share_a_name() -> None:
    places = defaultdict(list)
    for room in ("namegen_ext", "python/namegen_bench", "python/namegen_reference", "csrc"):
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in {".py", ".h", ".cpp", ".cu", ".cuh"}:
                places[path.name].append(str(path.relative_to(ROOT)))
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    allowed = OPERATORS | MODELS | PYTHONS_OWN
    assert {name: paths for name, paths in shared.items() if Path(name).stem not in allowed} == {}


def test_a_lesson_shares_its_name_with_a_model_alone() -> None:
    others = {
        path.stem
        for room in ("namegen_ext", "python/namegen_reference")
        for path in (ROOT / room).rglob("*.py")
    }
    assert LESSONS & others <= MODELS | PYTHONS_OWN
