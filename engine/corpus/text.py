"""A text as numbers: small ones in memory, large ones in a file, so that a gigabyte fits anywhere.

Every distinct character gets a number when it first appears. Numbers take one or two bytes where
UTF-32 takes four, are written once while the text is read, and turn into a vocabulary's ids by one
table.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

CODE_POINTS = 0x110000
CHUNK = 2**18  # characters worked on at once, which bounds the memory beside the result
IN_MEMORY = 2**25  # characters; a longer text goes to a file
_NOT_SEEN = 2**32 - 1

Numbers = npt.NDArray[np.unsignedinteger[Any]]
Codes = npt.NDArray[np.uint32]


def code_points(text: str) -> Iterator[Numbers]:
    """The code points of a text, in arrays of bounded length: of bytes where all is ASCII."""
    for start in range(0, len(text), CHUNK):
        chunk = text[start : start + CHUNK]
        if chunk.isascii():
            yield np.frombuffer(chunk.encode("ascii"), dtype=np.uint8)
        else:
            yield np.frombuffer(chunk.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def line_ends(text: str) -> npt.NDArray[np.int64]:
    """Where the `\\n` of a text stand."""
    found = [np.empty(0, np.int64)]
    start = 0
    for codes in code_points(text):
        found.append(np.flatnonzero(codes == ord("\n")) + start)
        start += codes.size
    return np.concatenate(found)


def looked_up(table: Numbers, numbers: Numbers) -> Numbers:
    """`table[numbers]`; bytes to bytes by the faster way that Python has for those."""
    if numbers.dtype == np.uint8:
        part = np.zeros(256, table.dtype)
        part[: min(256, table.size)] = table[:256]
        if part.max() < 256:
            return np.frombuffer(
                numbers.tobytes().translate(part.astype(np.uint8).tobytes()), np.uint8
            )
    return table[numbers.astype(np.intp)]


def counted(codes: Numbers) -> npt.NDArray[np.int64]:
    """How often each number is there, as `np.bincount`; bytes are counted in pairs."""
    if codes.dtype != np.uint8:
        return np.bincount(codes.astype(np.intp))
    pairs = np.bincount(codes[: codes.size // 2 * 2].view(np.uint16), minlength=2**16)
    square = pairs.reshape(256, 256)
    counts: npt.NDArray[np.int64] = square.sum(axis=0) + square.sum(axis=1)
    if codes.size % 2:
        counts[codes[-1]] += 1
    return counts


class Text:
    """A text that was read. `len(text)` counts characters; `text[a:b]` is a str; `counts` and
    `alphabet` belong together: how often each distinct character is there."""

    def __init__(
        self,
        numbers: Numbers | BinaryIO,
        length: int,
        alphabet: Codes,
        counts: npt.NDArray[np.int64],
        sha256: str,
    ) -> None:
        self._numbers, self._length = numbers, length
        self.alphabet, self.counts, self.sha256 = alphabet, counts, sha256

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> str:
        start, end, step = part.indices(self._length)
        if step != 1:
            raise ValueError("A text is cut into pieces of neighbours only.")
        return self.decoded(self.numbers(start, end))

    def numbers(self, start: int, end: int) -> Numbers:
        """The numbers of the characters in [start, end), shape (end - start,)."""
        if isinstance(self._numbers, np.ndarray):
            return self._numbers[start:end]
        dtype = _dtype(self.alphabet.size)
        size = max(0, end - start) * dtype.itemsize
        data = os.pread(self._numbers.fileno(), size, start * dtype.itemsize)
        while len(data) < size:  # one call reads two gigabytes at most
            more = os.pread(
                self._numbers.fileno(), size - len(data), start * dtype.itemsize + len(data)
            )
            if not more:
                raise OSError("the text's file became shorter")
            data += more
        return np.frombuffer(data, dtype=dtype)

    def decoded(self, numbers: Numbers) -> str:
        """The str of such numbers."""
        characters: bytes = self.alphabet[numbers].tobytes()
        return characters.decode("utf-32-le")

    @cached_property
    def whole(self) -> str:
        """All of it as one str."""
        return self[:]


class TextWriter:
    """Builds a `Text` from pieces. Its thread takes one in while the caller prepares the next."""

    def __init__(self) -> None:
        self.length = 0
        self._alphabet: list[Codes] = []
        self._size = 0
        self._number_of = np.full(CODE_POINTS, _NOT_SEEN, dtype=np.uint32)
        self._counts = np.zeros(0, dtype=np.int64)
        self._pieces: list[Numbers] = []
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1)
        self._taken: Future[None] | None = None

    def append(self, text: str) -> None:
        """Adds a piece. Characters that are halves of surrogate pairs must not be in it."""
        if self._taken is not None:
            self._taken.result()
        self.length += len(text)
        self._taken = self._thread.submit(self._take, text, self.length > IN_MEMORY)

    def close(self) -> Text:
        """The text. Nothing can be added afterwards."""
        if self._taken is not None:
            self._taken.result()
        self._thread.shutdown()
        alphabet = np.concatenate([*self._alphabet, np.empty(0, np.uint32)]).astype(np.uint32)
        held: Numbers | BinaryIO
        if self._file is not None:
            self._file.flush()
            held = self._file
        else:
            held = np.concatenate([*self._pieces, np.empty(0, _dtype(self._size))]).astype(
                _dtype(self._size), copy=False
            )
        return Text(held, self.length, alphabet, self._counts, self._sha256.hexdigest())

    def _take(self, text: str, to_file: bool) -> None:
        if to_file and self._file is None:
            self._spill()
        self._sha256.update(text.encode())
        for codes in code_points(text):
            counts = counted(codes)
            met = np.flatnonzero(counts)
            new = met[self._number_of[met] == _NOT_SEEN]
            if new.size:
                self._meet(new)
            self._counts[self._number_of[met]] += counts[met]
            self._write(looked_up(self._number_of, codes))

    def _meet(self, new: npt.NDArray[np.int64]) -> None:
        narrow = _dtype(self._size)
        self._number_of[new] = np.arange(self._size, self._size + new.size)
        self._alphabet.append(new.astype(np.uint32))
        self._size += new.size
        self._counts = np.concatenate([self._counts, np.zeros(new.size, np.int64)])
        if self._file is not None and _dtype(self._size) != narrow:
            self._widen(self._file, narrow)

    def _write(self, numbers: Numbers) -> None:
        numbers = numbers.astype(_dtype(self._size), copy=False)
        if self._file is None:
            self._pieces.append(numbers)
        else:
            self._file.write(numbers.data)

    def _spill(self) -> None:
        """Goes on in a file, which has no name and is gone with the process."""
        self._file = _nameless()
        for piece in self._pieces:
            self._file.write(piece.astype(_dtype(self._size), copy=False).data)
        self._pieces.clear()

    def _widen(self, narrow: BinaryIO, dtype: np.dtype[np.unsignedinteger[Any]]) -> None:
        """More distinct characters than the numbers so far can tell apart: copies what was
        written with wider ones."""
        narrow.flush()
        narrow.seek(0)
        self._file = _nameless()
        while data := narrow.read(CHUNK * dtype.itemsize):
            self._file.write(np.frombuffer(data, dtype).astype(_dtype(self._size)).data)
        narrow.close()


def _dtype(size: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The narrowest numbers that tell so many characters apart."""
    return np.dtype(np.uint8 if size <= 2**8 else np.uint16 if size <= 2**16 else np.uint32)


def _nameless() -> BinaryIO:
    # /tmp is memory on many systems, and a text of gigabytes is what shall not be there.
    roomy = "/var/tmp"
    folder = None if "TMPDIR" in os.environ or not os.access(roomy, os.W_OK) else roomy
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder))
