"""Paths → files: what of a folder or an archive is read, and by which reader."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.corpus import archive
from engine.corpus.passage import Reader
from engine.corpus.paths import errors_as_sentences, shown
from engine.corpus.readers import lrc, plain, poems, table
from engine.errors import CorpusError

# The files that a folder or an archive is searched for. A file that is named by itself is read
# whatever its suffix is, as plain text if it is not here.
READERS: Mapping[str, Reader] = {
    ".txt": plain.read,
    ".md": plain.read,
    ".lrc": lrc.read,
    ".json": poems.read_json,
    ".jsonl": poems.read_jsonl,
    ".csv": table.read_csv,
    ".tsv": table.read_tsv,
}
ARCHIVES = (".zip",)

# What is larger was named by mistake far more often than meant: a disk image, a log, a database.
LARGEST = 4 * 2**30


@dataclass(frozen=True, slots=True)
class File:
    """A file to read, which may be a member of an archive; `bytes` as the system or the archive
    has it, `open` begins anew each time."""

    path: Path
    bytes: int
    open: Callable[[], BinaryIO]

    @property
    def reader(self) -> Reader:
        return READERS.get(self.path.suffix.lower(), plain.read)

    @contextmanager
    def reading(self) -> Iterator[Counted]:
        """The file opened. A file that has not the bytes that it had when it was found is a
        CorpusError once it is read to its end."""
        with errors_as_sentences(self.path):
            opened = self.open()
        with opened, ThreadPoolExecutor(1) as thread:
            counted = Counted(opened, self.path, thread)
            yield counted
        if counted.ended and counted.bytes != self.bytes:
            raise CorpusError(
                f"{shown(self.path)} changed while it was read ({self.bytes:,} bytes before, "
                f"{counted.bytes:,} now): try again when it is written."
            )


class Counted:
    """A file that is read once, from start to end: counts its bytes, and digests them in a
    thread. What the system says against it is a CorpusError."""

    def __init__(self, file: BinaryIO, path: Path, thread: ThreadPoolExecutor) -> None:
        self._file, self._path, self._digest = file, path, hashlib.sha256()
        self._thread = thread
        self._digested: Future[None] | None = None
        self.bytes, self.ended = 0, False

    def read(self, size: int = -1) -> bytes:
        with errors_as_sentences(self._path):
            data = self._file.read(size)
        self._wait()
        self._digested = self._thread.submit(self._digest.update, data)
        self.bytes += len(data)
        self.ended = not data
        return data

    def seek(self, offset: int) -> int:
        """Back to the start, the one place to begin from."""
        assert offset == 0
        with errors_as_sentences(self._path):
            self._file.seek(0)
        self._wait()
        self._digest = hashlib.sha256()
        self.bytes, self.ended = 0, False
        return 0

    def _wait(self) -> None:
        if self._digested is not None:
            self._digested.result()

    @property
    def sha256(self) -> str:
        self._wait()
        return self._digest.hexdigest()


def found(path: str | os.PathLike[str]) -> tuple[File, ...]:
    """One file, every member of an archive, or every text file of a folder with all its folders
    and archives, in the order of their paths.

    In a folder, hidden files and folders, links to folders, and whatever is no regular file
    (pipes, devices) are passed over, and a file that several links lead to is read once. Raises
    CorpusError for what cannot be read; nothing but a regular file is ever opened.
    """
    if not os.fspath(path):
        raise CorpusError("No corpus was named: name a text file or a folder of them.")
    path = Path(path)
    mode = _status(path).st_mode
    if stat.S_ISDIR(mode):
        files = [file for below in _text_files_below(path) for file in _files_of(below)]
    elif stat.S_ISREG(mode):
        files = _files_of(path)
    else:
        raise CorpusError(
            f"{shown(path)} is {_kind(mode)}, not a file: name a text file or a folder of them."
        )
    if not files:
        raise _no_text(path)
    _refuse_too_large(path, sum(file.bytes for file in files))
    return tuple(files)


def _files_of(path: Path) -> list[File]:
    """The file itself, or the members of an archive."""
    if path.suffix.lower() not in ARCHIVES:
        return [File(path, _status(path).st_size, lambda: path.open("rb"))]
    with errors_as_sentences(path):
        members = archive.members(path, lambda name: Path(name).suffix.lower() in READERS)
    return [File(path / member.name, member.bytes, member.open) for member in members]


def _text_files_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    folders = [folder]
    while folders:  # a stack, not recursion: a folder may be deeper than Python's limit
        here = folders.pop()
        with errors_as_sentences(here), os.scandir(here) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif Path(entry.name).suffix.lower() in (*READERS, *ARCHIVES):
                    found.append(Path(entry.path))
    found.sort(key=lambda path: path.parts)
    regular = (path for path in found if stat.S_ISREG(_status(path).st_mode))
    once: dict[str, Path] = {}
    for path in regular:
        once.setdefault(os.path.realpath(path), path)
    return list(once.values())


def _no_text(path: Path) -> CorpusError:
    kinds = f"{', '.join(READERS)} or {ARCHIVES[0]}"
    return CorpusError(
        f"{shown(path)} holds no text files: put songs into it as {kinds}, or name a single file "
        "of another kind."
    )


def _status(path: Path) -> os.stat_result:
    with errors_as_sentences(path):
        return path.stat()


def _refuse_too_large(path: Path, size: int) -> None:
    if size > LARGEST:
        raise CorpusError(
            f"{shown(path)} holds {size / 2**30:,.1f} GiB, more than the "
            f"{LARGEST / 2**30:,.0f} GiB that are read at most: name a smaller part of it."
        )


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"
