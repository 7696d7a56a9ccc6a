"""A file of tensors that is read while training replaces it: the old one or the new one, never a bit of each."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from namegen_ext.runs.run_errors import RunError
from namegen_ext.runs.tensor_bytes import read_tensor_file
from namegen_ext.runs.tensor_file import read_tensors, write_tensors


def test_a_file_that_is_replaced_while_it_is_read_is_one_of_the_two(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    sources = [tmp_path / "zeros", tmp_path / "ones"]
    for step, source in enumerate(sources):
        write_tensors(
            source, {"weight": torch.full((3, 5), float(step)), "none": torch.ones(0, 2)}, {"step": step}
        )
    os.link(sources[0], path)
    stop = threading.Event()

    def replace_on_and_on() -> None:
        for source in itertools.cycle(reversed(sources)):
            if stop.is_set():
                return
            os.link(source, tmp_path / "beside")
            os.replace(tmp_path / "beside", path)

    replacing = threading.Thread(target=replace_on_and_on)
    replacing.start()
    try:
        steps: set[int] = set()
        deadline = time.monotonic() + 60  # on a busy machine the other thread may not run for a while
        reads = 0
        while reads < 1_000 or (steps != {0, 1} and time.monotonic() < deadline):
            reads += 1
            tensors, metadata = read_tensors(path)
            assert torch.equal(tensors["weight"], torch.full((3, 5), float(metadata["step"])))
            assert tensors["none"].shape == (0, 2)
            steps.add(metadata["step"])
    finally:
        stop.set()
        replacing.join()
    assert steps == {0, 1}


DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.uint16,
    torch.int16,
    torch.uint32,
    torch.int32,
    torch.uint64,
    torch.int64,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_dtype_is_read_with_torch_and_without(
    dtype: torch.dtype, shape: tuple[int, ...], tmp_path: Path
) -> None:
    numbers = torch.arange(math.prod(shape)).reshape(shape) % 2
    tensor = numbers.to(dtype)
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"a": tensor, "b": tensor.clone()}, {"step": 3})
    tensors, metadata = read_tensors(path)
    assert metadata == {"step": 3}
    assert tensors["a"].dtype == dtype
    file = read_tensor_file(path)
    assert file.metadata == {"step": 3}
    assert str(file.tensors["a"]) == f"{str(dtype).removeprefix('torch.')} {shape}"
    if "bfloat16" in str(dtype) or "float8" in str(dtype):  # which numpy lacks
        with pytest.raises(TypeError):
            file.tensors["a"].array()
        return
    array = file.tensors["a"].array()
    assert array.shape == shape
    assert (array == np.asarray(numbers.numpy().astype(array.dtype))).all()


def test_a_file_that_another_program_wrote_is_refused_by_both(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"a": torch.ones(2)}, path)
    for read in (read_tensors, read_tensor_file):
        with pytest.raises(RunError, match="it has no SHA-256"):
            read(path)
