"""A text in pieces → its lines, for the formats that are read line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.errors import CorpusError

_LINE_OR_PART = re.compile(r"[^\n]*\n|[^\n]+")


def lines(pieces: Iterator[str], name: str, longest: int) -> Iterator[str]:
    """The lines of a text, each with its `\\n` (the last may have none). Raises CorpusError for
    one of more than `longest` characters."""
    held: list[str] = []
    length, number = 0, 1
    for piece in pieces:
        for part in _LINE_OR_PART.findall(piece):
            held.append(part)
            length += len(part)
            if length > longest:
                raise CorpusError(
                    f"{name} has a line of more than {longest:,} characters (line {number:,}), "
                    "too long for one song: break it up, or name another file."
                )
            if part.endswith("\n"):
                yield "".join(held)
                held, length, number = [], 0, number + 1
    if held:
        yield "".join(held)
