"""Which operator has a kernel for which device: builds and devices that this machine need not have."""

from __future__ import annotations

import sys

import pytest
import torch

from namegen_ext import fuse, ops
from namegen_ext._native import operators as _operators
from namegen_ext.nn import FusedBatchNorm1d, FusedEmbeddingConcatLinear
from namegen_ext.ops import support

CUDA = torch.device("cuda")
OPERATORS = ("embedding_concat_linear", "batch_norm")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "_known_reasons", {})


def build(monkeypatch: pytest.MonkeyPatch, note: str, architectures: str = "") -> None:
    """Let the extension look as if it had been compiled like this."""
    monkeypatch.setattr(_operators, "CUDA_NOTE", note)
    monkeypatch.setattr(_operators, "HAS_CUDA", note == "")
    monkeypatch.setattr(_operators._C, "CUDA_ARCHITECTURES", architectures)


@pytest.mark.parametrize("operator", OPERATORS)
def test_cpu_and_meta_always(operator: str) -> None:
    assert ops.why_not_supported(operator, torch.device("cpu")) is None
    assert ops.why_not_supported(operator, torch.device("meta")) is None
    assert "xpu" in str(ops.why_not_supported(operator, torch.device("xpu")))


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_build_without_cuda_kernels_says_why(operator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build(monkeypatch, "no nvcc was found")
    assert ops.why_not_supported(operator, CUDA) == "this build has no CUDA kernels: no nvcc was found"


def test_a_device_that_the_kernels_were_not_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    build(monkeypatch, "", "90-real")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    capabilities = {0: (9, 0), 1: (8, 0)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capabilities[index])
    assert ops.why_not_supported("batch_norm", torch.device("cuda", 0)) is None
    for device in (CUDA, torch.device("cuda", 1)):
        reason = ops.why_not_supported("batch_norm", device)
        assert reason is not None
        assert "compiled for 9.0" in reason
        assert "8.0" in reason


@pytest.mark.parametrize(
    ("capability", "compiled", "runs"),
    [
        ((9, 0), ["9.0"], True),
        ((8, 6), ["8.0", "9.0"], True),
        ((8, 0), ["8.6", "9.0"], False),
        ((10, 0), ["9.0"], False),
        ((10, 0), ["8.0", "9.0+PTX"], True),
        ((8, 9), ["9.0+PTX"], False),
        ((9, 0), ["9.0a"], True),
        ((10, 3), ["10.0a"], False),
        ((12, 1), ["12.0+PTX"], True),
        ((9, 0), [], False),
    ],
)
def test_what_runs_where(capability: tuple[int, int], compiled: list[str], runs: bool) -> None:
    assert (support.why_not_capability(capability, compiled) is None) == runs


def test_architectures_are_told_as_torch_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    build(monkeypatch, "", "80-real,86-real,90a-real,120-real,120-virtual")
    assert _operators.cuda_architectures() == ["8.0", "8.6", "9.0a", "12.0+PTX"]
    build(monkeypatch, "none", "")
    assert _operators.cuda_architectures() == []


def test_modules_and_fuse_take_the_stock_path_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    # Tensors on the meta device, told to be unsupported as those of a CUDA device would be.
    reason = "this build has no CUDA kernels: no nvcc was found"

    def only_cpu(operator: str, device: torch.device) -> str | None:
        return None if device.type == "cpu" else reason

    monkeypatch.setattr("namegen_ext.nn.conditions.why_not_supported", only_cpu)
    monkeypatch.setattr("namegen_ext.fusion.patterns.why_not_supported", only_cpu)
    model = torch.nn.Sequential(
        torch.nn.Embedding(27, 10, device="meta"),
        torch.nn.Flatten(-2),
        torch.nn.Linear(30, 20, device="meta"),
        torch.nn.BatchNorm1d(20, device="meta"),
        torch.nn.Tanh(),
    )
    report = fuse(model)
    assert [site.fused for site in report] == [False]
    assert all(site.reason == reason for site in report)

    called: list[str] = []
    for name in ("embedding_concat_linear", "batch_norm"):
        module = sys.modules[f"namegen_ext.ops.{name}"]  # the package has a function of this name
        for operator in (f"_{name}", f"_fast_{name}"):
            monkeypatch.setattr(module, operator, _noting(name, getattr(module, operator), called))
    tokens = torch.zeros(4, 3, dtype=torch.int64, device="meta")
    assert model(tokens).shape == (4, 20)
    assert FusedEmbeddingConcatLinear(27, 10, 3, 20, device="meta")(tokens).shape == (4, 20)
    assert FusedBatchNorm1d(20, device="meta")(torch.zeros(4, 20, device="meta")).shape == (4, 20)
    assert called == []
    FusedBatchNorm1d(20)(torch.zeros(4, 20))
    assert called == ["batch_norm"], "the operator is not watched"


def _noting(name: str, operator, called: list[str]):
    def call(*arguments):
        called.append(name)
        return operator(*arguments)

    return call


@pytest.mark.skipif(not _operators.HAS_CUDA, reason="this build has no CUDA kernels")
@pytest.mark.parametrize(
    "operator",
    [
        "embedding_concat_linear",
        "embedding_concat_linear_backward",
        "batch_norm",
        "batch_norm_forward",
        "batch_norm_backward",
    ],
)
def test_a_build_with_cuda_kernels_has_registered_them(operator: str) -> None:
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    for key in ("CPU", "CUDA", "Meta"):
        assert has_kernel(f"namegen_ext::{operator}", key)
