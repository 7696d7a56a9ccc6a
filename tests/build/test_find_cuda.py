"""find_cuda: whether CUDA kernels are compiled, and for what, by the torch, the nvcc and the environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import find_cuda
import find_torch
import pytest

KNOWN = ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0")
FakeNvcc = Callable[..., Path]


def torch_with(cuda: str | None) -> find_torch.Torch:
    return find_torch.Torch(Path("/nowhere/torch"), "2.13.0", 20, cuda)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_cuda, "visible_architectures", lambda: ())


@pytest.fixture
def fake_nvcc(tmp_path: Path) -> FakeNvcc:
    """Make a program that says what an nvcc says of itself."""

    def make(release: str = "13.0", architectures: tuple[str, ...] = KNOWN) -> Path:
        path = tmp_path / "cuda" / "bin" / "nvcc"
        path.parent.mkdir(parents=True)
        listed = "\n".join("compute_" + name.replace(".", "") for name in architectures)
        path.write_text(
            f"#!/bin/sh\ncase $1 in\n--version) echo 'Cuda compilation tools, release {release}, V{release}.88';;\n"
            f"--list-gpu-arch) cat <<'END'\n{listed}\nEND\n;;\nesac\n",
            encoding="utf-8",
        )
        path.chmod(0o755)
        return path

    return make


def home(nvcc: Path) -> dict[str, str]:
    return {"CUDA_HOME": str(nvcc.parents[1]), "PATH": "/nowhere"}


# ---- whether CUDA kernels are compiled ---------------------------------------------------------------------


@pytest.mark.parametrize("cuda", ["13.0", "13.2"])
def test_a_minor_version_apart_is_fine(cuda: str, fake_nvcc: FakeNvcc) -> None:
    nvcc = fake_nvcc("13.0")
    chosen = find_cuda.choose_cuda(torch_with(cuda), home(nvcc))
    assert chosen.nvcc == nvcc
    assert chosen.note == ""
    assert chosen.architectures == ("8.0", "8.6", "8.9", "9.0", "10.0", "12.0+PTX")
    assert chosen.cmake_architectures == "80-real;86-real;89-real;90-real;100-real;120-real;120-virtual"


@pytest.mark.parametrize("setting", [{}, {"NAMEGEN_CUDA": ""}, {"NAMEGEN_CUDA": "auto"}])
def test_a_major_version_apart_builds_the_cpu_part(setting: dict[str, str], fake_nvcc: FakeNvcc) -> None:
    chosen = find_cuda.choose_cuda(torch_with("12.8"), home(fake_nvcc("13.0")) | setting)
    assert chosen.nvcc is None
    assert chosen.cmake_architectures == ""
    assert "nvcc is of CUDA 13.0" in chosen.note
    assert "12.8" in chosen.note


def test_without_nvcc_or_without_cuda_in_torch(fake_nvcc: FakeNvcc, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "without CUDA" in find_cuda.choose_cuda(torch_with(None), home(fake_nvcc())).note
    monkeypatch.setattr(find_cuda, "find_nvcc", lambda environment: None)
    assert "no nvcc was found" in find_cuda.choose_cuda(torch_with("13.0"), {}).note


@pytest.mark.parametrize("setting", [{"NAMEGEN_CUDA": "1"}, {"FORCE_CUDA": "1"}])
@pytest.mark.parametrize("cuda", [None, "12.8"])
def test_asked_for_what_cannot_be_had(cuda: str | None, setting: dict[str, str], fake_nvcc: FakeNvcc) -> None:
    with pytest.raises(find_cuda.CudaError, match=f"^{next(iter(setting))}=1 asks for CUDA kernels, but "):
        find_cuda.choose_cuda(torch_with(cuda), home(fake_nvcc()) | setting)


def test_zero_asks_for_none(fake_nvcc: FakeNvcc) -> None:
    settings = home(fake_nvcc()) | {"NAMEGEN_CUDA": "0", "FORCE_CUDA": "1"}
    chosen = find_cuda.choose_cuda(torch_with("13.0"), settings)
    assert chosen.nvcc is None
    assert "NAMEGEN_CUDA=0" in chosen.note


def test_another_value_is_refused() -> None:
    with pytest.raises(find_cuda.CudaError, match="NAMEGEN_CUDA is 'yes', expected auto, 0 or 1"):
        find_cuda.choose_cuda(torch_with("13.0"), {"NAMEGEN_CUDA": "yes"})


def test_where_nvcc_is_looked_for(fake_nvcc: FakeNvcc) -> None:
    nvcc = fake_nvcc()
    assert find_cuda.find_nvcc({"CUDA_HOME": str(nvcc.parents[1]), "PATH": ""}) == nvcc
    assert find_cuda.find_nvcc({"CUDA_PATH": str(nvcc.parents[1]), "PATH": ""}) == nvcc
    assert find_cuda.find_nvcc({"CUDA_HOME": "/nowhere", "PATH": str(nvcc.parent)}) == nvcc


def test_an_nvcc_that_does_not_tell_its_version(tmp_path: Path) -> None:
    with pytest.raises(find_cuda.CudaError, match="does not tell its version"):
        find_cuda.nvcc_version(tmp_path / "nvcc")


# ---- for which architectures they are compiled -------------------------------------------------------------


def test_only_what_the_nvcc_knows() -> None:
    assert find_cuda.choose_architectures(("7.5", "8.0", "8.6", "9.0"), {}) == ("8.0", "8.6", "9.0+PTX")
    with pytest.raises(find_cuda.CudaError, match="none of"):
        find_cuda.choose_architectures(("7.5",), {})


@pytest.mark.parametrize("text", ["8.0;9.0+PTX", "8.0 9.0+PTX", "8.0, 9.0+PTX", "8.0;8.0;9.0+PTX;"])
def test_the_list_of_torch_is_obeyed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_cuda, "visible_architectures", lambda: ("8.6",))
    chosen = find_cuda.choose_architectures(KNOWN, {"TORCH_CUDA_ARCH_LIST": text})
    assert chosen == ("8.0", "9.0+PTX")
    assert find_cuda.Cuda(Path("nvcc"), chosen, "").cmake_architectures == "80-real;90-real;90-virtual"


@pytest.mark.parametrize("entry", ["Hopper", "9", "sm_90", "7.5", "9.5", "90"])
def test_wrong_entries_are_named(entry: str) -> None:
    with pytest.raises(find_cuda.CudaError, match="TORCH_CUDA_ARCH_LIST") as raised:
        find_cuda.choose_architectures(KNOWN, {"TORCH_CUDA_ARCH_LIST": f"8.0;{entry}"})
    assert entry in str(raised.value)


def test_visible_gpus_come_before_the_usual_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_cuda, "visible_architectures", lambda: ("7.5", "9.0"))
    assert find_cuda.choose_architectures(KNOWN, {}) == ("9.0",)
    # A GPU that the nvcc does not know runs the PTX of the last architecture that it knows.
    monkeypatch.setattr(find_cuda, "visible_architectures", lambda: ("13.0",))
    assert find_cuda.choose_architectures(KNOWN, {})[-1] == "12.0+PTX"


def test_what_the_driver_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # what the fixture has replaced
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '9.0\\n10.0\\n9.0\\n'\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_cuda.visible_architectures() == ("9.0", "10.0")
    tool.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n", encoding="utf-8")
    assert find_cuda.visible_architectures() == ()
