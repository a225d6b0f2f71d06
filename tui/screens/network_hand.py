"""What the network is told of a line that it is to write."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from engine.writing.draft import Draft
from tui.desk import indexes

READ = 1000  # characters above a line that the network reads


@dataclass(frozen=True, slots=True)
class Around:
    """The place of a line: which line of a form it is, the text above it, the song's other lines
    by their index, and how it begins."""

    line: int
    index: int
    before: str
    others: Mapping[int, str]
    beginning: str


def around(song: Draft, line_id: int, kept: int, without: Collection[int] = ()) -> Around:
    """The place of a line of which the first `kept` characters stay; lines `without` are no
    rhymes for it."""
    which = indexes(song.lines)
    line = song.line(line_id)
    others: dict[int, str] = {}
    below = False
    for other in song.lines:
        if other.id == line_id:
            below = True
        elif other.text.strip() and other.id not in without:
            others[which[other.id] + (below and not line.text.strip())] = other.text
    above: list[str] = []
    for section in song.sections:
        if above and section.lines:
            above.append("")
        for one in section.lines:
            if one.id == line_id:
                before = "".join(text + "\n" for text in above).lstrip("\n")[-READ:]
                return Around(line_id, which[line_id], before, others, line.text[:kept])
            above.append(one.text)
    raise AssertionError("song.line() found it")
