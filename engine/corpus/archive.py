"""Archives: the members of a .zip, read one after another and never extracted.

What an archive says of itself is not believed: its names, its sizes and its kinds are checked
before anything is decompressed, and what comes out is held to them.
"""

from __future__ import annotations

import functools
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.corpus.paths import errors_as_sentences, shown
from engine.errors import CorpusError

if TYPE_CHECKING:  # typing_extensions is not there at run time, collections.abc has it from 3.12 on
    from typing_extensions import Buffer

LARGEST = 4 * 2**30  # bytes that all members come to
MOST = 100_000  # members, wanted or not
_LARGEST_LIST = 2**25  # bytes of the list of members
_LARGEST_RATIO = 200  # songs come to about 3
_SMALL = 2**20  # bytes; what is not more may have any ratio
_PIECE = 2**16  # bytes that are read or unpacked at once
_TRUSTED = "unpack what you trust of the archive and name the folder"

_UTF8_NAME, _ENCRYPTED = 0x800, 0x2041  # bits of a member's flags
_HEADER = struct.Struct("<4s22xHH")  # before a member's bytes: magic, lengths of name and extra
_MAGIC = b"PK\3\4"
_LISTED = b"PK\1\2"  # before each entry in the list of members
_DRIVE = re.compile(r"[A-Za-z]:")
# What zipfile, struct and zlib raise for archives that are damaged, or made to look it.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its path there, and the number of bytes that it comes to. `open`
    begins anew each time; reading from that raises CorpusError where the archive is damaged."""

    name: str
    bytes: int
    open: Callable[[], BinaryIO] = field(repr=False)


def members(path: Path, wanted: Callable[[str], bool]) -> list[Member]:
    """The members of a .zip whose names are `wanted`, in the order of their paths.

    Folders, hidden members and `__MACOSX` are passed over. Raises CorpusError for what is no
    archive, and for a wanted member that cannot be read or that none made in good faith has: a
    path that leads elsewhere, a link, more bytes than `LARGEST` or than text can be packed into,
    alone or all together.
    """
    found: list[tuple[list[str], Member]] = []
    for info in _listed(path):
        name = _name(info)
        parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
        if name.endswith(("/", "\\")) or not wanted("/".join(parts)):
            continue
        if problem := _problem_of_name(name, parts):
            raise _refused(f"{path}/{name}", problem, "take that member out of the archive")
        if any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if problem := _problem_of_content(info):
            raise _refused(f"{path}/{name}", problem, _TRUSTED)
        begin = functools.partial(_open, path, "/".join(parts), info)
        found.append((parts, Member("/".join(parts), info.file_size, begin)))
    found.sort(key=lambda each: each[0])
    total = sum(member.bytes for _, member in found)
    if total > LARGEST:
        problem = (
            f"unpacks to {total / 2**30:,.1f} GiB, more than the {LARGEST / 2**30:,.0f} GiB that "
            "are read at most"
        )
        raise _refused(str(path), problem, "make an archive of a part of it")
    with errors_as_sentences(path):
        packed = path.stat().st_size  # of the whole: members may lie over one another
    if problem := _problem_of_ratio(total, packed):
        raise _refused(str(path), problem, _TRUSTED)
    return [member for _, member in found]


class _ListedFile(io.FileIO):
    """A file that zipfile reads the list of members of. It does so at once and whatever the size,
    so this is where a list that is too long is refused."""

    def read(self, size: int | None = -1, /) -> bytes:
        long = (size or 0) > _LARGEST_LIST
        data = b"" if long else super().read(size) or b""
        if long or data.count(_LISTED) > MOST:
            problem = f"lists more than the {MOST:,} members that an archive is read with at most"
            raise _refused(os.fsdecode(self.name), problem, "unpack it and name the folder")
        return data


def _listed(path: Path) -> list[zipfile.ZipInfo]:
    with (
        _told(path, str(path), "is no zip archive, or a damaged one"),
        _ListedFile(path) as file,
        zipfile.ZipFile(file) as archive,
    ):
        return archive.infolist()


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a member. One without the mark of UTF-8 should be in cp437, but is mostly in
    what the system that made it spoke: UTF-8, or GBK."""
    if info.flag_bits & _UTF8_NAME:
        return info.orig_filename
    name = info.orig_filename.encode("cp437")
    for encoding in ("utf-8", "gb18030"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.orig_filename


def _problem_of_name(name: str, parts: list[str]) -> str | None:
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "has an absolute path, which leads out of its archive"
    if ".." in parts:
        return "has a path with “..”, which leads out of its archive"
    if "\0" in name:
        return "has a NUL in its name, which hides what follows"
    return None


def _problem_of_content(info: zipfile.ZipInfo) -> str | None:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device, not a file"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}, which is not read (deflate is)"
    return _problem_of_ratio(info.file_size, info.compress_size)


def _problem_of_ratio(unpacked: int, packed: int) -> str | None:
    if unpacked > max(_SMALL, _LARGEST_RATIO * packed):
        return (
            f"unpacks to more than {_LARGEST_RATIO} times its size ({unpacked:,} bytes from "
            f"{packed:,}), which no text does"
        )
    return None


def _open(path: Path, name: str, info: zipfile.ZipInfo) -> BinaryIO:
    with errors_as_sentences(path):
        file = path.open("rb")
    return io.BufferedReader(_Content(file, path, name, info), _PIECE)


class _Content(io.RawIOBase):
    """The bytes of a member as a file. Seeking back begins anew."""

    def __init__(self, file: BinaryIO, path: Path, name: str, info: zipfile.ZipInfo) -> None:
        self._file, self._path, self._name, self._info = file, path, name, info
        self._pieces = _unpacked(file, info)
        self._ready = b""  # unpacked and not read yet
        self._place = 0  # bytes that were read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        while not self._ready:
            with _told(self._path, f"{self._path}/{self._name}", "is damaged"):
                piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._ready = piece
        room = memoryview(buffer).cast("B")
        size = min(len(room), len(self._ready))
        room[:size], self._ready = self._ready[:size], self._ready[size:]
        self._place += size
        return size

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        target = offset + (0, self._place, self._info.file_size)[whence]
        if target < self._place:
            self._pieces = _unpacked(self._file, self._info)
            self._ready, self._place = b"", 0
        while self._place < target and self.read(min(_PIECE, target - self._place)):
            pass
        return self._place

    def close(self) -> None:
        self._file.close()
        super().close()


def _unpacked(file: BinaryIO, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member, piece by piece. Raises BadZipFile where they are not those that the
    archive lists, or another of `_DAMAGE`.

    zipfile could do it, but reads the list of members for every archive that it opens: with a
    member opened at a time, in time quadratic in their number.
    """
    file.seek(max(0, info.header_offset))  # negative where bytes are missing before the list
    magic, name_length, extra_length = _HEADER.unpack(file.read(_HEADER.size))
    if magic != _MAGIC:
        raise zipfile.BadZipFile("no member begins where it should")
    file.seek(name_length + extra_length, os.SEEK_CUR)
    size = checksum = 0
    unpack = _inflated if info.compress_type == zipfile.ZIP_DEFLATED else _packed
    for piece in unpack(file, info.compress_size):
        size += len(piece)
        checksum = zlib.crc32(piece, checksum)
        if size > info.file_size:
            raise zipfile.BadZipFile(f"it is larger than the {info.file_size:,} bytes it declares")
        yield piece
    if size < info.file_size:
        raise zipfile.BadZipFile(f"it ends after {size:,} of {info.file_size:,} bytes")
    if checksum != info.CRC:
        raise zipfile.BadZipFile("its checksum is another")


def _packed(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The next `size` bytes of a file, or what is left of it."""
    while size and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _inflated(file: BinaryIO, size: int) -> Iterator[bytes]:
    """What `size` bytes of a file inflate to, however much, in pieces of at most `_PIECE`."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # negative: without a header
    for packed in _packed(file, size):
        while packed and not inflate.eof:
            yield inflate.decompress(packed, _PIECE)
            packed = inflate.unconsumed_tail
    yield inflate.flush()  # the last of a match that did not fit into a full piece


@contextmanager
def _told(path: Path, what: str, problem: str) -> Iterator[None]:
    """Turns what zipfile, zlib and the system say about an archive into a CorpusError."""
    with errors_as_sentences(path):
        try:
            yield
        except _DAMAGE as error:
            remedy = "make it or download it again"
            raise _refused(what, f"{problem} ({error})", remedy) from None


def _refused(what: str, problem: str, remedy: str) -> CorpusError:
    return CorpusError(f"{shown(what)} {problem}: {remedy}.")
