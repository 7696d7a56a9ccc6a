from __future__ import annotations

import gzip
import hashlib
import io
import re
import sys
from importlib import resources
from pathlib import Path

import pytest

from namegen_ext.data import WORD_LISTS, DataError, ListFormat, Vocabulary, load_words

FILES = resources.files("namegen_ext.data") / "files"


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        # The counts and the most frequent names of the 1990 census.
        ("census", 5_163, ["mary", "patricia", "linda", "barbara", "elizabeth"]),
        ("surnames", 88_799, ["smith", "johnson", "williams", "jones", "brown"]),
    ],
)
def test_embedded_lists(name: str, count: int, first: list[str]) -> None:
    word_list = load_words(name)
    assert word_list.name == name
    assert "US Census Bureau" in word_list.source
    assert len(word_list.words) == len(set(word_list.words)) == count
    assert word_list.words[:5] == first
    assert len(Vocabulary.from_words(word_list.words)) == 27
    assert all(re.fullmatch("[a-z]+", word) for word in word_list.words)
    assert word_list.sha256 == hashlib.sha256((FILES / f"{name}.txt").read_bytes()).hexdigest()


def test_provenance_has_the_counts_and_checksums_of_the_lists() -> None:
    provenance = (FILES / "PROVENANCE.md").read_text(encoding="utf-8")
    for name in ("census", "surnames"):
        word_list = load_words(name)
        assert f"| {name}.txt | {len(word_list.words):,} | {word_list.sha256} |" in provenance
    assert "public domain" in provenance


def test_every_file_is_accounted_for() -> None:
    names = {file.name for file in FILES.iterdir()}
    assert names == {"census.txt", "surnames.txt", "PROVENANCE.md"}
    assert WORD_LISTS == ("census", "surnames", "makemore")


def test_a_file_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "trees.txt"
    path.write_bytes(b"oak\r\nelm\r\n")
    for source in (path, str(path)):
        word_list = load_words(source)
        assert word_list.name == "trees.txt"
        assert word_list.source == str(path)
        assert word_list.words == ["oak", "elm"]
        assert (
            word_list.sha256 == hashlib.sha256(b"oak\r\nelm\r\n").hexdigest()
        )  # of the bytes, not the words


def test_a_name_goes_before_a_file_but_a_path_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("census", "makemore"):
        Path(name).write_text("oak\nelm\n")
        assert load_words(Path(name)).words == load_words(f"./{name}").words == ["oak", "elm"]
    assert len(load_words("census").words) == 5_163


def test_an_unknown_name_is_a_file_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as raised:
        load_words("cencus")
    expected = "cencus: there is no such file, and no word list of that name: census, surnames, makemore"
    assert str(raised.value) == expected


@pytest.fixture
def broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    return tmp_path


def test_an_installation_without_the_lists(broken_package: Path) -> None:
    with pytest.raises(DataError, match="the installed package lacks this file") as raised:
        load_words("surnames")
    assert str(raised.value).startswith(str(broken_package / "files" / "surnames.txt"))


def test_errors_name_the_path(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"anna\nb\x01a\n")
    with pytest.raises(DataError) as raised:
        load_words(str(path))
    assert str(raised.value).startswith(f"{path}: line 2: ")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        load_words(tmp_path / "nowhere.txt")
    assert str(raised.value) == f"{tmp_path / 'nowhere.txt'}: there is no such file"


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        load_words(tmp_path)
    assert str(raised.value) == f"{tmp_path}: is a directory, expected a text file with one word a line"


def test_a_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("anna\nberta\n")
    with pytest.raises(DataError, match=r"words\.txt/more: cannot be read: Not a directory$"):
        load_words(tmp_path / "words.txt" / "more")


@pytest.mark.skipif(
    sys.platform != "linux", reason="uses /proc/self/mem, a file of Linux that opens but cannot be read"
)
def test_an_unreadable_file() -> None:
    # Byte 0 of a process is never mapped; a file without permissions would be readable for root.
    with pytest.raises(DataError, match=r"^/proc/self/mem: cannot be read: "):
        load_words("/proc/self/mem")


def test_a_path_that_is_none() -> None:
    with pytest.raises(DataError, match=r"^'a\\x00b': is no path: "):
        load_words("a\x00b")


def test_tables_by_their_ending_and_what_gzip_packed(tmp_path: Path) -> None:
    lines = b"name,n\nAnna,3\nOtto,2\nanna,1\n"
    (tmp_path / "names.csv").write_bytes(lines)
    (tmp_path / "names.csv.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "names.tsv").write_bytes(lines.replace(b",", b"\t"))
    (tmp_path / "names.txt.gz").write_bytes(gzip.compress(b"Anna\nOtto\n"))
    (tmp_path / "names.dat").write_bytes(lines)
    for name in ("names.csv", "names.csv.gz", "names.tsv"):
        found = load_words(tmp_path / name)
        assert found.words == ["Anna", "Otto", "anna"]
        assert found.weights is None
        assert found.name == name
        counted = load_words(tmp_path / name, ListFormat(count_column="n", case="lower"))
        assert counted.words == ["anna", "otto"]
        assert counted.weights == [4, 2]
    assert load_words(tmp_path / "names.txt.gz").words == ["Anna", "Otto"]
    assert load_words(tmp_path / "names.dat").words == ["name,n", "Anna,3", "Otto,2", "anna,1"]
    assert load_words(tmp_path / "names.dat", ListFormat(column="name")).words == ["Anna", "Otto", "anna"]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_what_gzip_packed_and_was_damaged(tmp_path: Path, damage: str) -> None:
    packed = bytearray(gzip.compress(b"Anna\nOtto\n" * 100))
    if damage == "cut":
        packed = packed[:-9]
    else:
        packed[-5] ^= 1
    (tmp_path / "names.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"names\.gz: cannot be unpacked by gzip: ") as raised:
        load_words(tmp_path / "names.gz")
    assert "\n" not in str(raised.value)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Anna\nOtto\n")))
    found = load_words("-")
    assert (found.name, found.source, found.words) == ("standard-input", "standard input", ["Anna", "Otto"])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        load_words("-")


def test_several_lists_are_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Otto\n")  # one word is enough beside others
    (tmp_path / "b.csv").write_text("name,n\nAnna,3\nOtto,2\n")
    found = load_words([tmp_path / "a.txt", tmp_path / "b.csv", "census"])
    assert found.words[:3] == ["Otto", "Anna", "Otto"]
    assert len(found.words) == 3 + 5_163
    assert found.name == "a.txt+b.csv+census"
    (tmp_path / "c.csv").write_text("n,name\n5,Otto\n1,Mary\n")
    asked = ListFormat(column="name", count_column="n", case="lower")
    counted = load_words([tmp_path / "b.csv", tmp_path / "c.csv", "census"], asked)
    assert counted.weights is not None
    found_weights = dict(zip(counted.words, counted.weights, strict=True))
    # The census's names count once each beside them.
    assert [found_weights[name] for name in ("otto", "anna", "mary", "linda")] == [8, 4, 2, 1]
    with pytest.raises(
        DataError, match="the list census has no columns and no comments, but a column was asked"
    ):
        load_words("census", asked)
    with pytest.raises(DataError, match="got none"):
        load_words([])
