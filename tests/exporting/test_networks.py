"""ONNX and torch.export's archive: the logits of the stock model, without the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import namegen_ext
from namegen_ext.exporting.export_errors import ExportError
from namegen_ext.generator import Generator

NETWORKS = ("bigram", "mlp", "mlp-batch-norm", "mlp-deep", "wavenet", "wavenet-wide", "gpt", "gpt-tied")


def contexts(generator: Generator, count: int) -> torch.Tensor:
    """Contexts as they occur: zeros, then the symbols of a name, of every length."""
    block, vocab = generator.model.block_size, len(generator.vocabulary)
    drawn = torch.randint(1, vocab, (count, block), generator=torch.Generator().manual_seed(5))
    return drawn * (torch.arange(block) >= torch.arange(count)[:, None] % (block + 1))


def expected(generator: Generator, tokens: torch.Tensor) -> np.ndarray:
    model = generator.model.eval()
    with torch.no_grad():
        output = getattr(model, "next_logits", model)(tokens)
    return (output[0] if isinstance(output, tuple) else output).numpy()


@pytest.mark.parametrize("kind", NETWORKS)
def test_onnx_gives_the_logits_of_the_model(
    kind: str, generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    generator = generator_of(kind)
    generator.export(tmp_path / "names.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "names.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 2, 70):
        tokens = contexts(generator, count)
        (found,) = session.run(["logits"], {"tokens": tokens.numpy()})
        np.testing.assert_allclose(found, expected(generator, tokens), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["mlp-batch-norm", "gpt"])
def test_fused_models_are_exported_as_stock_ones(
    kind: str, generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    generator = generator_of(kind)
    report = namegen_ext.fuse(generator.model)
    try:
        generator.export(tmp_path / "names.onnx")
        assert b"namegen_ext" not in (tmp_path / "names.onnx").read_bytes()
        assert "Fused" in repr(generator.model), report  # it stays as it was
    finally:
        namegen_ext.unfuse(generator.model)


@pytest.mark.parametrize("kind", ["mlp-batch-norm", "wavenet", "gpt"])
def test_the_archive_runs_without_the_package(
    kind: str, generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    generator = generator_of(kind)
    generator.export(tmp_path / "names.pt2")
    tokens = contexts(generator, 33)
    torch.save(tokens, tmp_path / "tokens.pt")
    script = (
        "import sys, torch\n"
        "program = torch.export.load('names.pt2').module()\n"
        "logits = program(torch.load('tokens.pt'))\n"
        "assert not any(name.split('.')[0] == 'namegen_ext' for name in sys.modules)\n"
        "torch.save(logits.detach(), 'logits.pt')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "logits.pt").numpy()
    np.testing.assert_allclose(found, expected(generator, tokens), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["witten-bell", "mixture"])
@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_what_is_no_network_is_refused(
    kind: str, to: str, generator_of: Callable[[str], Generator], tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="the model must be a network"):
        generator_of(kind).export(tmp_path / f"names.{to}")
    assert list(tmp_path.iterdir()) == []
