"""The package as a whole: what it tells of its build, and what importing it costs."""

from __future__ import annotations

import ast
import importlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import namegen_ext

ROOT = Path(namegen_ext.__file__).parent
ON_ARM = platform.machine().lower() in ("aarch64", "arm64")
NARROWEST = "neon" if ON_ARM else "baseline"

KEYS = {
    "version": str,
    "torch": str,
    "built_against_torch": str,
    "compiler": str,
    "python": str,
    "cpu_isas_compiled": list,
    "cpu_isas_supported": list,
    "cpu_isa": str,
    "cuda_compiled": bool,
    "cuda_note": str,
    "cuda_architectures": list,
}


def run(*arguments: str, isa: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NAMEGEN_CPU_ISA"}
    if isa is not None:
        environment["NAMEGEN_CPU_ISA"] = isa
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_build_info() -> None:
    info = namegen_ext.build_info()
    assert list(info) == list(KEYS)
    assert all(isinstance(info[name], kind) for name, kind in KEYS.items()), info
    assert info["version"] == namegen_ext.__version__
    assert info["torch"] == torch.__version__
    assert info["built_against_torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert info["python"] == platform.python_version()
    assert info["compiler"]
    assert info["cpu_isas_compiled"][0] == info["cpu_isas_supported"][0] == NARROWEST
    assert set(info["cpu_isas_supported"]) <= set(info["cpu_isas_compiled"])
    assert info["cpu_isa"] in info["cpu_isas_supported"]
    assert info["cuda_compiled"] == (info["cuda_note"] == ""), (
        "without CUDA kernels there is a reason, and only then"
    )


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="instruction sets of x86-64 only"
)
def test_instruction_sets_of_x86() -> None:
    info = namegen_ext.build_info()
    assert info["cpu_isas_compiled"] == ["baseline", "avx2", "avx512"]
    capability = torch.backends.cpu.get_cpu_capability()  # torch's own look at the CPU
    if capability in ("AVX2", "AVX512"):
        assert "avx2" in info["cpu_isas_supported"]
    assert ("avx512" in info["cpu_isas_supported"]) == (capability == "AVX512")


@pytest.mark.skipif(not ON_ARM, reason="instruction sets of 64-bit Arm only")
def test_instruction_sets_of_arm() -> None:
    info = namegen_ext.build_info()
    assert info["cpu_isas_compiled"] == info["cpu_isas_supported"] == ["neon"]


def test_the_command_prints_one_fact_a_line() -> None:
    done = run("-m", "namegen_ext")
    assert done.returncode == 0, done.stderr
    printed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(printed) == list(KEYS)
    assert printed["torch"] == torch.__version__
    assert printed["cpu_isas_compiled"] == ", ".join(namegen_ext.build_info()["cpu_isas_compiled"])
    assert printed["cpu_isa"] == namegen_ext.build_info()["cpu_isas_supported"][-1]


BLOCKED = "import sys; sys.modules['torch'] = None  # its import fails from here on\n"


def test_without_torch_the_package_tells_what_it_is() -> None:
    program = BLOCKED + "import json, namegen_ext; print(json.dumps(namegen_ext.build_info()))"
    done = run("-c", program)
    assert done.returncode == 0, done.stderr
    info, expected = json.loads(done.stdout), namegen_ext.build_info()
    assert list(info) == list(KEYS)
    same = ("version", "built_against_torch", "python", "cpu_isas_compiled", "cpu_isas_supported", "cpu_isa")
    assert {name: info[name] for name in same} == {name: expected[name] for name in same}
    assert info["torch"] is None
    assert info["cuda_compiled"] is False
    assert info["cuda_note"] == "there are no operators: torch is not installed"

    done = run("-c", BLOCKED + "import runpy; runpy.run_module('namegen_ext', run_name='__main__')")
    assert done.returncode == 0, done.stderr
    printed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(printed) == list(KEYS)
    assert printed["torch"] == "-"


def test_the_override_is_obeyed() -> None:
    done = run("-m", "namegen_ext", isa=NARROWEST)
    assert done.returncode == 0, done.stderr
    assert dict(line.split(maxsplit=1) for line in done.stdout.splitlines())["cpu_isa"] == NARROWEST


def test_a_wrong_override_is_one_line_and_status_2() -> None:
    done = run("-m", "namegen_ext", isa="mmx")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("namegen_ext: NAMEGEN_CPU_ISA: ")
    assert "'mmx'" in line
    assert NARROWEST in line


def test_importing_adds_at_most_20_ms_to_torch() -> None:
    # Of the processor, measured inside the process, after torch: the median of five processes.
    program = (
        "import torch, time; start = time.process_time(); import namegen_ext; "
        "print(time.process_time() - start)"
    )
    seconds = []
    for _ in range(5):
        done = run("-c", program)
        assert done.returncode == 0, done.stderr
        seconds.append(float(done.stdout))
    assert statistics.median(seconds) <= 0.020, f"seconds: {seconds}"


TORCH_FREE = [
    "namegen_ext",
    "namegen_ext.cli.command",
    "namegen_ext.cli.parser",
    "namegen_ext.cli.train_flags",
    "namegen_ext.cli.train_plan",
    "namegen_ext.data",
    "namegen_ext.data.makemore",
    "namegen_ext.models",
    "namegen_ext.models.model_arguments",
    "namegen_ext.models.layouts",
    "namegen_ext.models.schemes",
    "namegen_ext.models.specs",
    "namegen_ext.nn.variances",
    "namegen_ext.options.effects",
    "namegen_ext.options.recipes",
    "namegen_ext.options.run_settings",
    "namegen_ext.options.train_options",
    "namegen_ext.reproduction",
    "namegen_ext.runs.config",
    "namegen_ext.runs.directory",
    "namegen_ext.runs.files",
    "namegen_ext.runs.lock",
    "namegen_ext.sampling",
    "namegen_ext.scoring",
    "namegen_ext.training",
    "namegen_ext.training.training_errors",
    "namegen_ext.training.interrupt",
    "namegen_ext.training.progress",
    "namegen_ext.training.sizes",
]


@pytest.mark.parametrize("module", TORCH_FREE)
def test_importing_brings_in_nothing_that_is_not_needed(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = run("-c", program)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "namegen_ext" in loaded
    assert not {"torch", "numpy", "rich", "safetensors", "matplotlib"} & loaded


@pytest.mark.parametrize(
    "module",
    [
        "namegen_ext.cli.run_sample",
        "namegen_ext.generator",
        "namegen_ext.runs.saved_model",
        "namegen_ext.sampling.api",
        "namegen_ext.sampling.saved_network",
    ],
)
def test_what_draws_names_needs_numpy_and_no_torch(module: str) -> None:
    done = run("-c", f"import sys, {module}; print('torch' in sys.modules, 'rich' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_with_torch_loaded_importing_registers_the_operators() -> None:
    program = "import torch, namegen_ext; print(torch.ops.namegen_ext.linear.default)"
    assert run("-c", program).stdout == "namegen_ext.linear.default\n"
    program = "import namegen_ext, torch, namegen_ext.ops; print(torch.ops.namegen_ext.linear.default)"
    assert run("-c", program).stdout == "namegen_ext.linear.default\n"


def test_lazy_names_resolve() -> None:
    for name in namegen_ext.__all__:
        assert getattr(namegen_ext, name) is not None
    assert set(namegen_ext.__all__) <= set(dir(namegen_ext))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = namegen_ext.no_such_name


def lazy_packages() -> list[str]:
    """The packages whose __init__ exports lazily."""
    inits = sorted(ROOT.glob("**/__init__.py"))
    assert inits
    return [
        ".".join(path.parent.relative_to(ROOT.parent).parts)
        for path in inits
        if "lazy_exports(" in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("package", lazy_packages())
def test_python_and_type_checkers_see_the_same_exports(package: str) -> None:
    path = ROOT.parent.joinpath(*package.split("."), "__init__.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (branch,) = (
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    checked = {
        name.name: statement.module
        for statement in branch.body
        if isinstance(statement, ast.ImportFrom)
        for name in statement.names
    }
    module = importlib.import_module(package)
    (call,) = (node for node in ast.walk(branch) if isinstance(node, ast.Call))
    exports: dict[str, list[str]] = ast.literal_eval(call.args[1])
    assert {name: origin for origin, names in exports.items() for name in names} == checked
    assert set(checked) <= set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None
    for name, origin in checked.items():
        assert getattr(module, name) is getattr(importlib.import_module(str(origin)), name)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'no_such_name'"):
        _ = module.no_such_name


def test_every_name_of_the_readme_is_there() -> None:
    """Each in a process of its own that has imported the package alone, as a reader does."""
    readme = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    # What follows "python -m" or a path is no attribute.
    names = set(re.findall(r"(?<!-m )(?<![/.\w])namegen_ext((?:\.[A-Za-z]\w*)+)", readme))
    assert {".fit", ".fuse", ".unfuse", ".load", ".engine.StepEngine"} <= names
    program = (
        "import operator, sys, namegen_ext\n"
        "for name in sys.argv[1:]: assert operator.attrgetter(name)(namegen_ext) is not None, name\n"
    )
    done = run("-c", program, *sorted(name.lstrip(".") for name in names))
    assert done.returncode == 0, done.stderr
    packages = [name for path in ROOT.glob("*/__init__.py") if not (name := path.parent.name).startswith("_")]
    for package in packages:
        assert run("-c", f"import namegen_ext; namegen_ext.{package}").returncode == 0


def test_the_citation_is_of_this_version() -> None:
    citation = (ROOT.parent / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {namegen_ext.__version__}\n" in citation
