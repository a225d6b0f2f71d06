"""Writing that survives a pulled plug: bytes are flushed to the disk, then the folder is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LEFTOVER = ".tmp"  # how the names end that a writer which was killed may leave behind


def write(path: Path, data: bytes) -> None:
    """Writes a new file and flushes it. A failed flush is never retried on the same descriptor:
    the caller removes the file and writes another one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """Flushes a folder's entries: the names of new, renamed and removed files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes) -> None:
    """Writes a file so that at any moment either the old content or the new one is there."""
    temporary = _beside(path)
    try:
        write(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece, which takes its name once it is whole and flushed."""
    temporary = _beside(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}{LEFTOVER}")
