"""Fused models on a CUDA device: equal to stock layers, autocast, torch.compile, gradcheck, training, bad tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from namegen_ext import fuse, ops


def mlp(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(27, 10),
        nn.Flatten(-2),
        nn.Linear(30, 200, bias=False),
        nn.BatchNorm1d(200),
        nn.Tanh(),
        nn.Linear(200, 27),
    ).to("cuda", dtype)


def step(model: nn.Module, tokens: Tensor, targets: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss = nn.functional.cross_entropy(model(tokens).float(), targets)
    loss.backward()
    return [
        loss.detach(),
        *(p.grad.clone() for p in model.parameters()),
        *(b.clone() for b in model.buffers()),
    ]


def examples(batch: int = 256) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    shapes = (batch, 3), (batch,)
    return tuple(torch.randint(27, shape, generator=g).cuda() for shape in shapes)  # type: ignore[return-value]


def test_a_fused_model_equals_the_stock_one() -> None:
    stock, fused = mlp(torch.float64), mlp(torch.float64)
    report = fuse(fused)
    assert [site.kind for site in report.fused] == ["embedding_concat_linear", "batch_norm"]
    for found, expected in zip(step(fused, *examples()), step(stock, *examples()), strict=True):
        # Sums of at most some thousand terms near 1, in float64.
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_autocast_gives_the_dtypes_of_stock(low: torch.dtype) -> None:
    stock, fused = mlp(), mlp()
    fuse(fused)
    seen = []
    for model in (stock, fused):
        with torch.autocast("cuda", dtype=low):
            hidden = model[:5](examples()[0]) if model is stock else fused[:5](examples()[0])
        seen.append(hidden.dtype)
        with torch.autocast("cuda", dtype=low):
            step(model, *examples())
    assert seen[0] == seen[1]


def test_compiled_whole() -> None:
    torch._dynamo.reset()
    eager, compiled = mlp(), mlp()
    fuse(eager)
    fuse(compiled)
    call = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    tokens, targets = examples()
    nn.functional.cross_entropy(call(tokens), targets).backward()
    nn.functional.cross_entropy(eager(tokens), targets).backward()
    for found, expected in zip(compiled.parameters(), eager.parameters(), strict=True):
        assert torch.equal(found.grad, expected.grad)  # the same kernels on the same numbers


@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_gradcheck(activation: str) -> None:
    g = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64).cuda().requires_grad_()

    tokens = torch.tensor([[0, 1, 1], [2, 1, 0], [2, 2, 2], [0, 1, 1]], device="cuda")
    weights = leaf(5, 2), leaf(4, 6), leaf(4)
    assert torch.autograd.gradcheck(lambda *w: ops.embedding_concat_linear(tokens, *w, activation), weights)
    assert torch.autograd.gradgradcheck(
        lambda *w: ops.embedding_concat_linear(tokens, *w, activation), weights
    )

    def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return ops.batch_norm(x, None, None, weight, bias, True, 0.1, 1e-5, activation)

    assert torch.autograd.gradcheck(norm, (leaf(5, 2, 3), leaf(3), leaf(3)))
    assert torch.autograd.gradgradcheck(norm, (leaf(5, 2, 3), leaf(3), leaf(3)))


@pytest.mark.parametrize("vocab", [27, 30_000], ids=["table", "plain product"])
@pytest.mark.parametrize("token", [-1, "vocab", 2**32])
def test_a_token_out_of_range_is_an_error(token: int | str, vocab: int) -> None:
    # In a process of its own: after a device-side assertion the device is lost to the process.
    value = vocab if token == "vocab" else token
    program = (
        "import torch; from namegen_ext import ops\n"
        f"tokens = torch.zeros(64, 3, dtype=torch.int64, device='cuda'); tokens[5, 1] = {value}\n"
        f"y = ops.embedding_concat_linear(tokens, torch.ones({vocab}, 4, device='cuda'), "
        "torch.ones(8, 12, device='cuda'))\n"
        "torch.cuda.synchronize(); print('no error')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "no error" not in done.stdout
    assert "assert" in done.stderr.lower()


def test_training_runs_on_the_fused_layers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "namegen_ext.train", "--fused", "--device", "cuda", "--steps", "300"]
    command += ["--out", str(tmp_path / "run"), "--samples", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["backend"] == "fused-layers"
    assert summary["device"] == "cuda"
    assert summary["dev_loss"] < 3.0  # a uniform guess has ln 27 = 3.296
    stock = [
        *command[:3],
        *command[4:6],
        "--steps",
        "300",
        "--out",
        str(tmp_path / "stock"),
        "--samples",
        "5",
    ]
    assert subprocess.run(stock, capture_output=True, timeout=240, cwd=tmp_path).returncode == 0
    expected = json.loads((tmp_path / "stock" / "summary.json").read_text(encoding="utf-8"))
    assert expected["backend"] == "stock"
    # The same minibatches from the same weights; roundings grow over 300 steps, to less than this.
    assert summary["dev_loss"] == pytest.approx(expected["dev_loss"], abs=0.02)
