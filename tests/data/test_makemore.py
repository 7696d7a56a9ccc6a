from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from namegen_ext.data import DataError, load_words, makemore

CONTENT = b"emma\nolivia\nava\nemma"


class Server:
    """A web server on this machine that answers every request alike, and counts them."""

    def __init__(self) -> None:
        self.body = CONTENT
        self.status = 200
        self.length: int | None = None  # what the header says, where it does not tell the truth
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                self.send_response(server.status)
                self.send_header("Content-Length", str(server.length or len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/names.txt"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "some" / "cache"
    monkeypatch.setenv("NAMEGEN_CACHE", str(path))
    monkeypatch.setenv("no_proxy", "*")
    return path


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves a short file in place of the right one."""
    server = Server()
    monkeypatch.setattr(makemore, "URL", server.url)
    monkeypatch.setattr(makemore, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(makemore, "NUM_BYTES", len(CONTENT))
    yield server
    server.stop()


def files_in(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()} if directory.exists() else {}


def refusing_url() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/names.txt"


def test_downloaded_once(server: Server, cache: Path) -> None:
    for _ in range(3):
        word_list = load_words("makemore")
        assert word_list.words == ["emma", "olivia", "ava", "emma"]
    assert word_list.name == "makemore"
    assert word_list.source == server.url
    assert word_list.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert server.requests == 1
    assert files_in(cache) == {"makemore-names.txt": CONTENT}


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT + b"\n", CONTENT.replace(b"ava", b"eva")])
def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, cache: Path, damaged: bytes) -> None:
    cache.mkdir(parents=True)
    (cache / "makemore-names.txt").write_bytes(damaged)
    assert makemore.read_or_download() == CONTENT
    assert server.requests == 1
    assert files_in(cache) == {"makemore-names.txt": CONTENT}


@pytest.mark.parametrize("body", [b"", CONTENT[:-1], CONTENT + b"\n", b"<html>Log in first</html>"])
def test_another_file_is_refused_and_not_kept(server: Server, cache: Path, body: bytes) -> None:
    server.body = body
    with pytest.raises(DataError) as raised:
        load_words("makemore")
    assert str(raised.value) == (
        f"makemore: {server.url} is not the expected file (its SHA-256 is not {makemore.SHA256}); "
        "with a copy of the file at hand, use --data PATH"
    )
    assert files_in(cache) == {}


def test_a_body_cut_off_is_refused(server: Server, cache: Path) -> None:
    server.body, server.length = CONTENT[:7], len(CONTENT)
    with pytest.raises(DataError, match=r"use --data PATH$"):
        load_words("makemore")
    assert files_in(cache) == {}


def test_an_error_of_the_server(server: Server, cache: Path) -> None:
    server.status = 404
    with pytest.raises(DataError) as raised:
        load_words("makemore")
    assert str(raised.value) == (
        f"makemore: {server.url} cannot be downloaded (HTTP Error 404: Not Found); "
        "with a copy of the file at hand, use --data PATH"
    )
    assert files_in(cache) == {}


def test_offline(cache: Path) -> None:
    url = refusing_url()
    with pytest.raises(DataError) as raised:
        makemore.read_or_download(url)
    message = str(raised.value)
    assert message.startswith(f"makemore: {url} cannot be downloaded (")
    assert "refused" in message
    assert message.endswith("; with a copy of the file at hand, use --data PATH")
    assert "\n" not in message
    assert not cache.exists()


def test_offline_with_the_file_in_the_cache(server: Server, cache: Path) -> None:
    makemore.read_or_download()
    assert makemore.read_or_download(refusing_url()) == CONTENT


def test_a_server_that_does_not_answer(cache: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # connections are taken up, and that is all
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/names.txt"
        with pytest.raises(DataError, match=r"cannot be downloaded \(timed out\); .*--data PATH$"):
            makemore.read_or_download(url, timeout=0.1)


def test_a_server_that_does_not_speak_http(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x00\x01\x02\r\n\r\n")

        thread = Thread(target=answer)
        thread.start()
        with pytest.raises(DataError, match=r"cannot be downloaded \(BadStatusLine: .*--data PATH$"):
            makemore.read_or_download(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        thread.join()


@pytest.mark.parametrize("url", ["names.txt", "nonsense://127.0.0.1/names.txt", "file:///nowhere/names.txt"])
def test_addresses_that_cannot_be(cache: Path, url: str) -> None:
    with pytest.raises(DataError, match=r"cannot be downloaded \(.+\); .*--data PATH$"):
        makemore.read_or_download(url)


def test_a_cache_that_cannot_be_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    monkeypatch.setenv("NAMEGEN_CACHE", str(blocked))
    with pytest.raises(DataError) as raised:
        load_words("makemore")
    message = str(raised.value)
    assert message.startswith(f"makemore: {blocked / 'makemore-names.txt'} cannot be written (")
    assert message.endswith(
        "set NAMEGEN_CACHE to another directory, or with a copy of the file at hand, use --data PATH"
    )


def test_a_write_that_fails_leaves_nothing_behind(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir(parents=True)
    (cache / "makemore-names.txt").write_bytes(b"damaged")

    def fail(*_: object) -> None:
        assert CONTENT in files_in(cache).values()  # written beside
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="No space left on device"):
        load_words("makemore")
    assert files_in(cache) == {"makemore-names.txt": b"damaged"}


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("NAMEGEN_CACHE", str(tmp_path / "own"))
    assert makemore.cache_directory() == tmp_path / "own"
    monkeypatch.setenv("NAMEGEN_CACHE", "")
    assert makemore.cache_directory() == tmp_path / "xdg" / "namegen_ext"
    monkeypatch.delenv("NAMEGEN_CACHE")
    assert makemore.cache_directory() == tmp_path / "xdg" / "namegen_ext"
    for value in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert makemore.cache_directory() == tmp_path / "home" / ".cache" / "namegen_ext"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert makemore.cache_directory() == tmp_path / "home" / ".cache" / "namegen_ext"


def test_the_real_file_is_the_one_expected(names_file: Path, cache: Path) -> None:
    assert makemore.read_or_download(names_file.resolve().as_uri()) == names_file.read_bytes()
    word_list = load_words("makemore")  # from the cache
    assert len(word_list.words) == 32_033
    assert word_list.sha256 == "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
