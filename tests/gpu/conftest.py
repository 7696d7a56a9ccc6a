"""The tests that need a CUDA device: each is marked gpu, and skipped, with the reason, where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from namegen_ext import ops

# The cases, strategies and error bounds of the CPU's tests.
OPS_TESTS = Path(__file__).resolve().parents[1] / "ops"
sys.path[:0] = [str(OPS_TESTS), str(Path(__file__).parent)]


def why_no_gpu() -> str | None:
    """Return why nothing here can run; None where it can."""
    if not torch.cuda.is_available():
        built = f"with CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        return f"needs a CUDA device, and torch {torch.__version__}, built {built}, finds none"
    return ops.why_not_supported("batch_norm", torch.device("cuda"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = None
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.gpu)
        reason = reason or why_no_gpu() or ""
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="module")
def _full_precision() -> Iterator[None]:
    # The plain products in float32, not in TF32: the bounds are those of float32.
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32 = before
