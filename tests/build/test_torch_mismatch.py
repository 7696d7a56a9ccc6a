"""A torch that changed after the build takes the operators away, in one sentence, and nothing else."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import namegen_ext
from namegen_ext._native import core, note, operators


def write_note(folder: Path, built: str | None, modules: list[str]) -> Path:
    path = folder / "_build.json"
    path.write_text(json.dumps({"torch": built, "modules": modules, "python": "any"}), encoding="utf-8")
    return path


@pytest.mark.parametrize("built", ["2.12.1", "2.12.1+cu130", "1.0"])
def test_another_torch(built: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note, "NOTE", write_note(tmp_path, built, ["_core", "_C"]))
    with pytest.raises(ImportError) as raised:
        operators._load()
    message = str(raised.value)
    assert f"compiled against torch {built}" in message
    assert f"torch {torch.__version__} is installed" in message
    assert "pip install" in message
    assert "\n" not in message


ALWAYS = "pip install --no-cache-dir --force-reinstall --no-deps"


@pytest.mark.parametrize(
    ("facts", "there", "command"),
    [
        (
            {"url": "file://{}/a%20checkout", "dir_info": {"editable": True}},
            "a checkout",
            "-e '{}/a checkout'",
        ),
        ({"url": "file://{}/checkout", "dir_info": {}}, "checkout", "{}/checkout"),
        ({"url": "file://{}/a.tar.gz", "archive_info": {}}, "a.tar.gz", "{}/a.tar.gz"),
        # What is no longer there, a wheel, and what came from an index cannot be built from again.
        ({"url": "file://{}/gone", "dir_info": {}}, None, ". (in a checkout"),
        ({"url": "file://{}/a.whl", "archive_info": {}}, "a.whl", ". (in a checkout"),
        ({"url": "https://example.org/a.tar.gz", "archive_info": {}}, None, ". (in a checkout"),
        ({"url": 3}, None, ". (in a checkout"),
        ([], None, ". (in a checkout"),
        (None, None, ". (in a checkout"),
    ],
)
def test_the_remedy_is_a_command_that_builds_again(
    facts: object, there: str | None, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the file direct_url.json, which pip and uv write: where the package came from."""
    text = None if facts is None else json.dumps(facts).replace("{}", str(tmp_path), 1)
    if there is not None:
        (tmp_path / there).mkdir()

    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return text

    class OfACheckout:
        def read_text(self, name: str) -> None:
            return None

    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [OfACheckout(), Distribution()])
    assert note.rebuild_command().startswith(f"{ALWAYS} {command.replace('{}', str(tmp_path))}")


def test_without_a_distribution_the_remedy_is_for_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [])
    assert note.rebuild_command().startswith(f"{ALWAYS} . (in a checkout of its sources")


def test_the_local_part_of_the_version_may_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = torch.__version__.partition("+")[0] + "+other"
    monkeypatch.setattr(note, "NOTE", write_note(tmp_path, built, ["_core", "_C"]))
    assert operators._load() is operators._C


def test_a_build_without_operators_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note, "NOTE", write_note(tmp_path, None, ["_core"]))
    with pytest.raises(ImportError, match=r"built without its operators \(NAMEGEN_TORCH=0\)"):
        operators._load()
    assert core._load() is core._core


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        "{}",
        "null",
        '"text"',
        '{"torch": "2.13.0"}',
        '{"torch": 2, "modules": []}',
        '{"torch": "1.0", "modules": 3}',
    ],
)
def test_a_damaged_note_is_no_reason_to_fail(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "_build.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(note, "NOTE", path)
    assert note.read_note() is None
    assert operators._load() is operators._C
    assert namegen_ext.build_info()["built_against_torch"] == operators._C.TORCH_VERSION


# ---- a package of its own, in processes of their own -------------------------------------------------------


def copied_package(folder: Path, built: str | None, *, core: bool = True, broken: bool = False) -> None:
    """The package with a note that says what it was built against, with its native part, and perhaps a broken _C."""
    package = folder / "namegen_ext"
    source = Path(namegen_ext.__file__).parent
    ignored = shutil.ignore_patterns("_C.*", "_build.json", "__pycache__", *([] if core else ["_core.*"]))
    shutil.copytree(source, package, ignore=ignored)
    if built is not None:
        write_note(package, built, ["_core", "_C"])
    if broken:
        error = "raise ImportError('undefined symbol: _ZN2at5emptyE')\n"
        (package / "_C.py").write_text(error, encoding="utf-8")


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    # An editable installation would lend its own modules to a package that has none.
    start = (
        "import sys; sys.path.insert(0, '.'); "
        "sys.meta_path = [f for f in sys.meta_path if 'Editable' not in getattr(f, '__name__', '')]\n"
    )
    return subprocess.run(
        [sys.executable, "-c", start + program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def last_line(folder: Path, program: str) -> str:
    done = run(folder, program)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


NEEDS_OPERATORS = (
    "import namegen_ext.ops",
    "import torch, namegen_ext, namegen_ext.ops",
    "import namegen_ext.fusion",
    "from namegen_ext import fuse",
    "from namegen_ext.nn import FusedBatchNorm1d",
)


@pytest.mark.parametrize("program", NEEDS_OPERATORS)
def test_what_needs_the_operators_says_why_there_are_none(program: str, tmp_path: Path) -> None:
    copied_package(tmp_path, "2.10.0")
    line = last_line(tmp_path, program)
    assert line.startswith(
        "ImportError: namegen_ext's operators were compiled against torch 2.10.0, but torch "
    )
    assert "pip install" in line


def test_an_extension_that_does_not_load(tmp_path: Path) -> None:
    copied_package(tmp_path, torch.__version__, broken=True)
    line = last_line(tmp_path, "import namegen_ext.ops")
    assert "do not load with torch" in line
    assert "undefined symbol" in line
    assert "rebuild them with pip install" in line


def test_a_package_that_was_not_built(tmp_path: Path) -> None:
    copied_package(tmp_path, None, core=False)
    line = last_line(tmp_path, "import namegen_ext.ops")
    assert (
        line == f"ImportError: namegen_ext's operators are missing: build them with {note.rebuild_command()}"
    )
    line = last_line(tmp_path, "import namegen_ext.engine")
    assert (
        line
        == f"ImportError: namegen_ext's compiled module _core is missing: build it with {note.rebuild_command()}"
    )


TRAIN_AND_DRAW = """
import torch
import namegen_ext
from namegen_ext.data import Vocabulary
from namegen_ext.engine import StepEngine
from namegen_ext.models import MLP
from namegen_ext.sampling import iter_names
from namegen_ext.sampling.sampler import NameSampler

model = MLP(27, batch_norm=True, generator=torch.Generator().manual_seed(0))
tokens = torch.randint(27, (300, 3), generator=torch.Generator().manual_seed(1))
engine = StepEngine(model, torch.optim.SGD(model.parameters(), 0.1))
indices = torch.arange(20 * 32).view(20, 32) % 300
losses = engine.run(tokens, tokens[:, 0], indices, [0.1] * 20)
assert losses[-5:].mean() < losses[:5].mean(), losses
letters = Vocabulary("abcdefghijklmnopqrstuvwxyz")
assert NameSampler(model, letters, 100, backend="native").native is not None
for method in ("table", "direct"):
    assert len(iter_names(model, letters, 50, seed=1, method=method).to_list()) == 50
info = namegen_ext.build_info()
assert not any(hasattr(torch.ops.namegen_ext, name) for name in ("linear", "batch_norm"))
print(info["torch"], info["built_against_torch"], info["cuda_note"], sep="|")
"""


@pytest.mark.parametrize("broken", [False, True], ids=["another torch", "broken"])
def test_training_and_drawing_go_on_without_the_operators(broken: bool, tmp_path: Path) -> None:
    built = torch.__version__ if broken else "2.10.0"
    copied_package(tmp_path, built, broken=broken)
    done = run(tmp_path, TRAIN_AND_DRAW)
    assert done.returncode == 0, done.stderr
    installed, against, why = done.stdout.strip().split("|")
    assert (installed, against) == (torch.__version__, built)
    assert why.startswith("there are no operators: namegen_ext's operators")


@pytest.mark.parametrize(
    ("fused", "backend", "told"),
    [
        ("step", "fused-step", ""),
        ("auto", "fused-step", ""),
        ("layers", None, "got 'layers', but namegen_ext's"),
    ],
)
def test_the_command_trains_with_what_there_is(
    fused: str, backend: str | None, told: str, tmp_path: Path
) -> None:
    copied_package(tmp_path, "2.10.0")
    program = (
        "from namegen_ext.cli.main import main\n"
        f"sys.exit(main(['train', '--data', 'census', '--steps', '20', '--fused={fused}', '--out', 'run']))"
    )
    done = run(tmp_path, program)
    if backend is None:
        assert done.returncode == 2, done.stderr
        assert told in done.stderr
        return
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["backend"] == backend
