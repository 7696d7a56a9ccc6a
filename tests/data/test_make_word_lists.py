from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "python" / "make_word_lists.py"

ORIGINALS = {
    "dist.female.first": b"MARY   2.629  2.629   1\nLESLIE  0.1  2.7  2\nANN 0.0 2.7 3\n",
    "dist.male.first": b"LESLIE         3.318  3.318      1\nJOHN           3.271  6.589      2\n",
    "dist.all.last": b"SMITH          1.006  1.006      1\nO              0.810  1.816      2\n",
}


def write_sdist(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"README.rst": b"names\n", **files}.items():
            member = tarfile.TarInfo(f"names-0.3.0/names/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def run(sdist: Path, output: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(sdist), "--output", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_lists_from_a_small_sdist(tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path / "names.tar.gz", ORIGINALS)
    result = run(sdist, tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "census.txt").read_bytes() == b"mary\nleslie\nann\njohn\n"
    assert (tmp_path / "surnames.txt").read_bytes() == b"smith\no\n"
    provenance = (tmp_path / "PROVENANCE.md").read_text(encoding="utf-8")

    def row(name: str, count: str, content: bytes) -> str:
        return f"| {name} | {count} | {hashlib.sha256(content).hexdigest()} |"

    assert row("names.tar.gz", "", sdist.read_bytes()) in provenance
    assert row("dist.female.first", "3", ORIGINALS["dist.female.first"]) in provenance
    assert row("dist.male.first", "2", ORIGINALS["dist.male.first"]) in provenance
    assert row("dist.all.last", "2", ORIGINALS["dist.all.last"]) in provenance
    assert row("census.txt", "4", b"mary\nleslie\nann\njohn\n") in provenance
    assert row("surnames.txt", "2", b"smith\no\n") in provenance
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "PROVENANCE.md",
        "census.txt",
        "names.tar.gz",
        "surnames.txt",
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"dist.male.first": None}, "lacks dist.male.first"),
        ({"dist.all.last": b"SMITH 1.0 1.0 1\nO'NEIL 1.0 1.0 2\n"}, "dist.all.last: line 2: expected NAME"),
        ({"dist.all.last": b"SMITH 1.0 1.0\n"}, "dist.all.last: line 1: expected NAME"),
        ({"dist.all.last": b"SMITH 1.0 1.0 1\n\n"}, "dist.all.last: line 2: expected NAME"),
        ({"dist.all.last": b"J\xd6RG 1.0 1.0 1\n"}, "ascii"),
    ],
)
def test_sdists_that_are_not_as_expected(
    tmp_path: Path, files: dict[str, bytes | None], message: str
) -> None:
    merged = {name: content for name, content in {**ORIGINALS, **files}.items() if content is not None}
    sdist = write_sdist(tmp_path / "names.tar.gz", merged)
    result = run(sdist, tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["names.tar.gz"]


@pytest.mark.parametrize("content", [None, b"not a tar file", b"\x1f\x8b\x08\x00"])
def test_no_sdist(tmp_path: Path, content: bytes | None) -> None:
    sdist = tmp_path / "names.tar.gz"
    if content is not None:
        sdist.write_bytes(content)
    result = run(sdist, tmp_path)
    assert result.returncode == 2
    assert "names.tar.gz" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_the_lists_of_the_package_come_from_the_real_sdist(tmp_path: Path) -> None:
    sdist = os.environ.get("NAMEGEN_NAMES_SDIST")
    if not sdist:
        pytest.skip("give the path of names-0.3.0.tar.gz in NAMEGEN_NAMES_SDIST to make the lists again")
    result = run(Path(sdist), tmp_path)
    assert result.returncode == 0, result.stderr
    for name in ("census.txt", "surnames.txt", "PROVENANCE.md"):
        assert (tmp_path / name).read_bytes() == (ROOT / "namegen_ext/data/files" / name).read_bytes(), name
