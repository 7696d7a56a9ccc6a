"""A file of tensors that is read while training replaces it: the old one or the new one, never a bit of each."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import torch

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
        steps = set()
        for _ in range(1_000):
            tensors, metadata = read_tensors(path)
            assert torch.equal(tensors["weight"], torch.full((3, 5), float(metadata["step"])))
            assert tensors["none"].shape == (0, 2)
            steps.add(metadata["step"])
    finally:
        stop.set()
        replacing.join()
    assert steps == {0, 1}
