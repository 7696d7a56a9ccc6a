"""Where a command's text goes: to standard output, or to a file that is written beside its place and renamed."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from namegen_ext.cli.command import CommandError
from namegen_ext.runs.files import remove, sync, sync_directory


def write_texts(texts: Iterable[str | bytes], path: Path | None) -> None:
    """Write texts, in UTF-8 where they go to a file.

    A file is there once it is whole: where the command fails or is stopped, what stood in its place stays.

    Args:
        texts: bytes are UTF-8.
        path: of the file; None for standard output.

    Raises:
        CommandError: the file cannot be written, or standard output cannot hold a character.

    """
    if path is None:
        _to_standard_output(texts)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            file = beside.open("wb")
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None
        with file:
            for text in texts:
                try:
                    file.write(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
                except OSError as error:
                    raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None
            file.flush()
            sync(file.fileno())
        os.replace(beside, path)
        sync_directory(path.absolute().parent)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        remove(beside)


def _to_standard_output(texts: Iterable[str | bytes]) -> None:
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    try:
        for text in texts:
            if isinstance(text, bytes) and is_utf8:
                sys.stdout.buffer.write(text)
            else:
                sys.stdout.write(text.decode() if isinstance(text, bytes) else text)
    except UnicodeEncodeError as error:
        before, behind = error.object[: error.start], error.object[error.start :]
        line = before[before.rfind("\n") + 1 :] + behind.split("\n", 1)[0]
        needed = f"cannot hold {line!r} in {error.encoding}; set PYTHONIOENCODING=utf-8"
        raise CommandError(f"standard output {needed}") from None
    finally:
        sys.stdout.flush()
