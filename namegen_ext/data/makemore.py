"""The names.txt of the makemore project. It is downloaded once, checked, and kept in a cache directory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from namegen_ext.data.data_errors import DataError, shorten

# 32,033 first names, 29,494 of them distinct, of the US Social Security Administration's list for 2018.
URL = "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
SHA256 = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
NUM_BYTES = 228_145
TIMEOUT_SECONDS = 20.0

_WAY_OUT = "with a copy of the file at hand, use --data PATH"


def cache_directory() -> Path:
    """Return the directory for downloads.

    It is ``$NAMEGEN_CACHE`` where that is set, else namegen_ext in ``$XDG_CACHE_HOME``, else in ``~/.cache``.
    """
    own = os.environ.get("NAMEGEN_CACHE")
    if own:
        return Path(own)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification says that a relative path is ignored.
    return (shared if shared.is_absolute() else Path("~/.cache").expanduser()) / "namegen_ext"


def read_or_download(url: str | None = None, timeout: float = TIMEOUT_SECONDS) -> bytes:
    """Return the file's bytes: from the cache, or downloaded and then kept there.

    A file in the cache that is damaged is downloaded anew.

    Args:
        url: where it is downloaded from; None for `URL`.
        timeout: seconds without an answer after which the download is given up.

    Raises:
        DataError: it cannot be downloaded or kept, or what came is another file.

    """
    path = cache_directory() / "makemore-names.txt"
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if not _is_right(content):  # not there, or damaged
        content = _download(URL if url is None else url, timeout)
        _keep(content, path)
    return content


def _is_right(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def _download(url: str, timeout: float) -> bytes:
    # Imported here because they take as long as everything else that a command's --help loads.
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            content: bytes = response.read(
                NUM_BYTES + 1
            )  # one byte more, which shows a file that is too long
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataError(f"makemore: {url} cannot be downloaded ({_reason(error)}); {_WAY_OUT}") from None
    if not _is_right(content):
        raise DataError(f"makemore: {url} is not the expected file (its SHA-256 is not {SHA256}); {_WAY_OUT}")
    return content


def _reason(error: Exception) -> str:
    import http.client
    import urllib.error

    if isinstance(error, urllib.error.HTTPError):
        error.close()  # else the body of the answer stays open
        return str(error)
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, http.client.HTTPException):  # its text may quote what the server sent
        return f"{type(error).__name__}: {shorten(str(error))}"
    return str(error) or type(error).__name__


def _keep(content: bytes, path: Path) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"makemore: {path} cannot be written ({error.strerror or error}); "
            f"set NAMEGEN_CACHE to another directory, or {_WAY_OUT}"
        ) from None
