from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from namegen_ext.fit_names import fit
from namegen_ext.generator import Generator
from namegen_ext.sample import main

COMMAND = [sys.executable, "-m", "namegen_ext.sample"]

NAMES = [a + b + c for a in "bdklmn" for b in ("a", "eo", "o") for c in ("na", "ris", "l", "tta")]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing from a second thread, which on a busy machine costs dearly."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "run"
    fit(NAMES, steps=150, hidden_size=24, embedding_dim=4, block_size=2, seed=1).save(path)
    return path


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


def test_the_command(run_dir: Path) -> None:
    done = run(run_dir, "--seed", 3)
    assert done.returncode == 0, done.stderr
    names = done.stdout.splitlines()
    generator = Generator.from_run(run_dir)
    assert names == generator.sample(20, seed=3)
    new = sum(name not in NAMES for name in names)
    expected = f"20 names, {new} new (not among the {len(NAMES)} names of its list)\n"
    assert done.stderr == expected


def test_the_reader_of_a_pipe_may_leave(run_dir: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, str(run_dir), "-n", "1000000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert all(process.stdout.readline().strip() for _ in range(3))
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_a_million_names_take_no_more_memory_than_a_few(run_dir: Path, tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from namegen_ext.sample import main\n"
        "status = main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(status)\n"
    )

    def peak(n: int) -> tuple[int, int]:
        """Return the peak memory of the process in KiB, and the number of bytes that it wrote."""
        path = tmp_path / "names.txt"
        with path.open("wb") as file:
            done = subprocess.run(
                [sys.executable, "-c", script, str(run_dir), "-n", str(n), "--seed", "1"],
                stdout=file,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert path.read_bytes().count(b"\n") == n
        return int(done.stderr.split()[-1]), path.stat().st_size

    few, _ = peak(10_000)
    many, written = peak(3_000_000)
    assert written > 10_000_000
    # To hold the whole text once would take more than this. Two equal runs differ by about 100 KiB.
    assert 1024 * (many - few) < written / 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
def test_a_full_disk_is_told_in_one_line(run_dir: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, str(run_dir)],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert re.fullmatch(
        r"python -m namegen_ext\.sample: error: standard output cannot be written: .*\n", done.stderr
    )


def test_letters_that_the_output_cannot_hold(tmp_path: Path) -> None:
    fit(["zoë", "noë", "chloë"] * 5, steps=2, hidden_size=8).save(tmp_path / "run")
    arguments = (tmp_path / "run", "--prefix", "zoë", "--seed", 1)
    done = run(*arguments, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 1
    assert re.fullmatch(
        r".*: error: standard output cannot hold .* in ascii; set PYTHONIOENCODING=utf-8\n", done.stderr
    )
    done = run(*arguments, PYTHONIOENCODING="utf-8")
    assert done.returncode == 0
    assert all(name.startswith("zoë") for name in done.stdout.splitlines())


def test_a_wrong_argument_ends_the_process_with_status_2(run_dir: Path) -> None:
    done = run(run_dir, "--temperature", "-1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def names_of(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err


def test_every_flag(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = "-n 30 --temperature 1.5 --top-k 9 --prefix ba --seed 7 --novel --unique"
    assert main([str(run_dir), *flags.split()]) == 0
    names, message = names_of(capsys)
    generator = Generator.from_run(run_dir)
    options = {"temperature": 1.5, "top_k": 9, "prefix": "ba", "seed": 7, "novel": True, "unique": True}
    stream = generator.stream(30, **options)
    assert names == list(stream)
    counts, num_names = stream.counts, generator.num_names
    assert message == (
        f"30 names, 30 new (not among the {num_names} names of its list); drawn {counts.drawn}, "
        f"of them {counts.drawn_new} new and {counts.drawn_distinct} distinct\n"
    )


def test_novel_alone(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir), "--novel", "--seed", "1", "-n", "200"]) == 0
    names, message = names_of(capsys)
    assert not set(names) & set(Generator.from_run(run_dir).splits.train)
    assert re.search(r"^200 names, 200 new .*; drawn [\d,]+, of them 200 new$", message)


def test_one_name(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir), "-n", "1", "--seed", "1"]) == 0
    names, message = names_of(capsys)
    assert len(names) == 1
    assert message.startswith("1 name, ")


def test_without_a_seed_the_one_taken_is_told(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir)]) == 0
    first, message = names_of(capsys)
    found = re.search(r"; seed (\d+)$", message)
    assert found
    assert main([str(run_dir)]) == 0
    assert names_of(capsys)[0] != first
    assert main([str(run_dir), "--seed", found.group(1)]) == 0
    assert names_of(capsys)[0] == first


def test_names_that_cannot_be_found(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir), "--unique", "--top-k", "1", "--seed", "1"]) == 1
    names, message = names_of(capsys)
    assert len(names) == 1  # what was found is written
    assert re.fullmatch(
        r"python -m namegen_ext\.sample: error: found only 1 of 20 unique names: .*\n", message
    )


def test_a_diverged_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = fit(NAMES, steps=2, hidden_size=8)
    with torch.no_grad():
        next(generator.model.parameters()).fill_(float("nan"))
    generator.save(tmp_path / "run")
    assert main([str(tmp_path / "run")]) == 1
    names, message = names_of(capsys)
    assert names == []
    assert "not all finite" in message
    assert message.count("\n") == 1


def test_help_shows_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    flags = ("-n N", "--temperature X", "--top-k K", "--prefix S", "--seed N", "--novel", "--unique")
    for flag, following in zip(flags, [*flags[1:], None], strict=True):
        options = text[text.index("options:") :]
        start = options.index(flag)
        end = options.index(following) if following else len(options)
        assert "(default: " in options[start:end], flag
    assert "(default: 20)" in text
    assert "(default: 1.0)" in text


def test_help_does_not_wait_for_the_sampler() -> None:
    # The package itself may import torch; the command must not load the rest of the package before it has
    # parsed.
    script = (
        "import sys, namegen_ext.sample as command\n"
        "try: command.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'namegen_ext.sampling' not in sys.modules\n"
        "assert 'namegen_ext.training' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
