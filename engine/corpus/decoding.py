"""Bytes → text: which encoding a file is in, told honestly or refused in a sentence."""

from __future__ import annotations

import codecs
import shlex
from dataclasses import dataclass, field

from engine.errors import CorpusError

# UTF-32's little-endian mark begins with UTF-16's, so the longer marks come first.
_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text with `\\n` line ends and no byte order mark, the encoding it was in, and how sure
    that is (0 to 1)."""

    text: str = field(repr=False)
    encoding: str
    confidence: float


def decode(data: bytes, name: str) -> Decoded:
    """The text in `data`; `name` is what errors call it. Raises CorpusError.

    The decisions are asked in order, the surest first; the first that knows the encoding wins.
    """
    _refuse_foreign_mark(data, name)
    _refuse_binary(data, name)
    return _utf8(data, name)


def with_plain_line_ends(text: str) -> str:
    """The text with every CRLF and CR turned into `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def without_mark(text: str) -> str:
    """The text without a byte order mark before its first character."""
    return text.removeprefix("\ufeff")


def _refuse_foreign_mark(data: bytes, name: str) -> None:
    for mark, encoding in _FOREIGN_MARKS:
        if data.startswith(mark):
            raise CorpusError(
                f"{name} is not UTF-8: its first bytes are the byte order mark of {encoding}, so "
                f"convert it, with `iconv -f {encoding} -t UTF-8 {shlex.quote(name)} > utf8.txt`."
            )


def _refuse_binary(data: bytes, name: str) -> None:
    position = data.find(b"\0")
    if position >= 0:
        raise CorpusError(
            f"{name} looks binary (byte {position:,} is NUL, which no text holds): name a text "
            "file instead, or save this one as UTF-8."
        )


def _utf8(data: bytes, name: str) -> Decoded:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{name} is not UTF-8: byte {error.start:,} (0x{data[error.start]:02x}, counted from "
            "0) is part of no character, so convert it, for example with "
            f"`iconv -f GB18030 -t UTF-8 {shlex.quote(name)} > utf8.txt` (GB18030 for older "
            "Chinese files, WINDOWS-1252 for Western ones)."
        ) from None
    return Decoded(with_plain_line_ends(without_mark(text)), "utf-8", 1.0)
