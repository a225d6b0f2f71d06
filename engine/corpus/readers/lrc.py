"""LRC, the format of timed lyrics: a song as it is sung, without its times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from engine.corpus.passage import Passage
from engine.errors import CorpusError

LONGEST = 2**24  # characters of a song, as the file holds it and as it is sung
_LONGEST_FACT = 200  # characters

# What id tags are called as facts; a tag that is not here is called by its key.
_FACTS = {
    "ti": "title",
    "ar": "artist",
    "al": "album",
    "au": "author",
    "la": "language",
    "re": "editor",
    "ve": "version",
    "#": "comment",
}

# mm:ss, mm:ss.xx or mm:ss:xx; with hours hh:mm:ss.xx.
_STAMP = re.compile(r"\[([0-9]{1,4}):([0-9]{1,2})(?::([0-9]{1,3}))?(?:[.,]([0-9]{1,3}))?\]\s*")
_WORD_STAMP = re.compile(r"[<\[][0-9]{1,4}(?::[0-9]{1,3}){1,2}(?:[.,][0-9]{1,3})?[>\]]")
_KEY = r"\[\s*([^\W\d]\w{0,30}|#)\s*:"
_TAG = re.compile(rf"{_KEY}([^\[\]]*)\]\s*")
_TAG_WITH_BRACKETS = re.compile(rf"{_KEY}(.*)\]", re.DOTALL)


@dataclass(slots=True)
class _Sung:
    """A text that is sung at a time (milliseconds), and the lines without a time after it."""

    time: int
    text: str
    followers: list[str] = field(default_factory=list)


def read(pieces: Iterator[str], name: str) -> Iterator[Passage]:
    """One song; none where the file has no words. Its id tags are facts, `ti` is the title.

    Lines come in the order of their times, a line with several at each of them, and lines of one
    time (translations) as the file has them. A line without a time stays after the line before
    it, where that is sung first. An empty line ends a stanza. Raises CorpusError for a song of
    more than `LONGEST` characters.
    """
    facts: dict[str, str] = {}
    before = _Sung(-1, "")
    sung = [before]
    length = 0
    for line in _whole(pieces, name).rstrip("\n").split("\n"):
        times, text = _taken_apart(line.strip(), facts)
        if text is None:
            continue
        length += (len(text) + 1) * max(1, len(times))
        if length > LONGEST:  # a long line at many times is more than any memory holds
            raise _too_long(name)
        if times:
            at_each = [_Sung(time, text) for time in times]
            before = min(at_each, key=_time)
            sung += at_each
        else:
            before.followers.append(text)
    sung.sort(key=_time)
    words = _in_stanzas(line for each in sung for line in (each.text, *each.followers))
    if words:
        yield Passage(words, facts.pop("title", ""), facts)


def _whole(pieces: Iterator[str], name: str) -> str:
    held: list[str] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length > LONGEST:
            raise _too_long(name)
    return "".join(held)


def _taken_apart(line: str, facts: dict[str, str]) -> tuple[list[int], str | None]:
    """The times and the text of a line, None for one that is only id tags. Adds those to
    `facts`."""
    times: list[int] = []
    tags = place = 0
    while place < len(line):
        if stamp := _STAMP.match(line, place):
            times.append(_milliseconds(stamp))
            place = stamp.end()
        elif tag := _TAG.match(line, place) or _TAG_WITH_BRACKETS.fullmatch(line, place):
            _note(tag, facts)
            tags += 1
            place = tag.end()
        else:
            break
    text = _without_word_stamps(line[place:])
    return times, None if tags and not times and not text else text


def _milliseconds(stamp: re.Match[str]) -> int:
    first, second, third, fraction = stamp.groups()
    hours = "0"
    if third and fraction:
        hours, first, second = first, second, third
    else:
        fraction = fraction or third or ""
    whole = (int(hours) * 60 + int(first)) * 60 + int(second)
    return whole * 1000 + int(fraction.ljust(3, "0"))


def _note(tag: re.Match[str], facts: dict[str, str]) -> None:
    key = tag[1].lower()
    value = " ".join(tag[2].split())[:_LONGEST_FACT]
    if value and key != "offset":  # it moves the times, which are not kept
        facts.setdefault(_FACTS.get(key, key), value)


def _without_word_stamps(text: str) -> str:
    """The text with one space for every run of word stamps that has space in it or beside it,
    and with none where words follow each other closely, as in Chinese."""
    parts = _WORD_STAMP.split(text)
    if len(parts) == 1:
        return text
    words: list[str] = []
    apart = False
    for part in parts:
        word = part.strip()
        apart = apart or part[:1].isspace()
        if word:
            words += [" ", word] if apart and words else [word]
            apart = part[-1].isspace()
    return "".join(words)


def _in_stanzas(lines: Iterable[str]) -> str:
    """The lines with one blank line for all that are empty in a row, and none at the ends."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    if kept and not kept[-1]:
        kept.pop()
    return "\n".join(kept)


def _time(sung: _Sung) -> int:
    return sung.time


def _too_long(name: str) -> CorpusError:
    return CorpusError(
        f"{name} is longer than a song in LRC can be ({LONGEST:,} characters): save it as plain "
        "text (.txt) if it holds several songs."
    )
