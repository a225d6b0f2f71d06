"""Plain text and Markdown: songs a blank line apart, or each under a header of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from engine.corpus.passage import Passage
from engine.errors import CorpusError

_FENCE = "---\n"
_HEADER = re.compile(r"^---\n((?:[^\n:]{1,40}:[^\n]{0,1000}\n){1,40})---\n", re.MULTILINE)
_LONGEST_HEADER = 2**16  # characters
_LONGEST_SONG = 2**24


def read(pieces: Iterator[str], name: str) -> Iterator[Passage]:
    """The text as it is, unless it begins with a header:

        ---
        title: The Lamp
        language: en
        ---

    Then every header begins a song, which goes on to the next one, blank lines and all; what a
    header says is no text. Raises CorpusError for a song of more than 16 Mi characters."""
    first = ""
    while _FENCE.startswith(first[:4]) and len(first) < _LONGEST_HEADER:
        if not (more := next(pieces, "")):
            break
        first += more
    if not _HEADER.match(first):
        yield Passage(first)
        yield from map(Passage, pieces)
        return
    *whole, rest = _cut(first)
    yield from map(_song, whole)
    for piece in pieces:
        *whole, rest = _cut(rest + piece)
        yield from map(_song, whole)
        if len(rest) > _LONGEST_SONG:
            raise CorpusError(
                f"{name} has headers, but one of its songs is longer than "
                f"{_LONGEST_SONG:,} characters: begin each song with a header, or take them out."
            )
    yield from map(_song, _cut(rest))


def _cut(text: str) -> list[str]:
    """A text that begins with a header in parts that do, one header each."""
    edges = [*(match.start() for match in _HEADER.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def _song(part: str) -> Passage:
    header = _HEADER.match(part)
    assert header is not None  # parts begin with one
    facts = {}
    for line in header[1].splitlines():
        key, _, value = line.partition(":")
        facts[key.strip().lower()] = value.strip().strip("\"'")
    return Passage(part[header.end() :], facts.pop("title", ""), facts)
