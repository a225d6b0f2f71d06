"""Tables, comma- or tab-separated: one song a row, under a header that names the columns."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.corpus.passage import Passage
from engine.corpus.readers.lines import lines
from engine.errors import CorpusError

LONGEST_ROW = 2**24  # characters
_LONGEST_FACT = 200  # characters; what is longer is no title and no fact
_LONGEST_NAME, _MOST_NAMES = 40, 20  # characters and columns that a sentence has room for

# What columns are called, whatever their case: the first of these that a table has.
# fmt: off
_WORDS = (
    "lyrics", "lyric", "text", "content", "paragraphs", "words",
    "歌词", "歌詞", "內容", "内容", "正文", "詞", "词",
)
_TITLES = (
    "title", "name", "song", "track",
    "歌名", "标题", "標題", "題目", "题目", "rhythmic",
)
_FACTS = frozenset((
    "artist", "author", "singer", "composer", "lyricist", "album", "year", "date", "genre",
    "language", "lang", "tag", "tags", "form", "dynasty", "rhythmic", "source", "licence",
    "license", "歌手", "作者", "作词", "作詞", "作曲", "专辑", "專輯", "年份", "语言", "語言",
    "流派", "朝代", "词牌", "詞牌",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a row the words, the title and each fact are."""

    words: int
    title: int | None
    facts: tuple[tuple[str, int], ...]
    number: int


def read_csv(pieces: Iterator[str], name: str) -> Iterator[Passage]:
    """A song for every row with words, from a table with commas or, where its header has more of
    them, semicolons.

    Raises CorpusError where no column is called as words are, no row has any, a row has more
    fields than the header, quotes are unclosed, or a row is longer than `LONGEST_ROW`.
    """
    return _read(pieces, name, ",;")


def read_tsv(pieces: Iterator[str], name: str) -> Iterator[Passage]:
    """Like `read_csv`, with tabs."""
    return _read(pieces, name, "\t")


def _read(pieces: Iterator[str], name: str, delimiters: str) -> Iterator[Passage]:
    rows = _rows(pieces, name, delimiters)
    columns = _columns(next(rows, (1, []))[1], name)
    found = False
    for line, row in rows:
        if any(row[columns.number :]):
            raise CorpusError(
                f"{name} has {len(row):,} fields in the row that ends in line {line:,} but "
                f"{columns.number:,} columns: put fields that hold a delimiter in quotes."
            )
        words = _field(row, columns.words)
        if "\n" not in words:
            words = words.replace("\\r\\n", "\n").replace("\\n", "\n")
        if words.strip():
            found = True
            facts = {key: _short(row, place) for key, place in columns.facts}
            title = "" if columns.title is None else _short(row, columns.title)
            yield Passage(words, title, {key: fact for key, fact in facts.items() if fact})
    if not found:
        raise CorpusError(
            f"{name} has no words in any row under its column for them: name another file."
        )


class _Fed:
    """The lines that a CSV reader takes for one row. An unclosed quote would have it take the
    whole file, so there is an end to it."""

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self._lines, self._name = iter(lines), name
        self.taken = 0  # characters since the last row
        self.number = 0  # of the last line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.taken += len(line)
        if self.taken > LONGEST_ROW:
            raise CorpusError(
                f"{self._name} has a row of more than {LONGEST_ROW:,} characters, as where a "
                "quote is never closed: close it, or double the quotes inside a field."
            )
        return line


def _rows(pieces: Iterator[str], name: str, delimiters: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, the header first, each with the number of its last line."""
    csv.field_size_limit(LONGEST_ROW)  # its own is 131,072, for the whole process
    fed = _Fed(lines(pieces, name, LONGEST_ROW), name)
    header = next((line for line in fed if not line.isspace()), "")
    delimiter = max(delimiters, key=header.count)
    try:
        for row in csv.reader(itertools.chain([header], fed), delimiter=delimiter, strict=True):
            fed.taken = 0
            if row:
                yield fed.number, row
    except csv.Error as error:
        raise CorpusError(
            f"{name} cannot be read as a table (line {fed.number:,}: {error}): close every quote, "
            "and double the quotes inside a field."
        ) from None


def _columns(header: list[str], name: str) -> _Columns:
    places: dict[str, int] = {}
    for place, column in enumerate(header):
        places.setdefault(column.strip().casefold(), place)
    words = _first(places, _WORDS)
    if words is None:
        shown = ", ".join(repr(column[:_LONGEST_NAME]) for column in header[:_MOST_NAMES])
        raise CorpusError(
            f"{name} has no column of words among its columns ({shown or 'none'}): call it "
            f"{_WORDS[0]} or {_WORDS[2]} in the first line."
        )
    facts = tuple((column, place) for column, place in places.items() if column in _FACTS)
    return _Columns(words, _first(places, _TITLES), facts, len(header))


def _first(places: dict[str, int], names: tuple[str, ...]) -> int | None:
    return next((places[name] for name in names if name in places), None)


def _field(row: list[str], place: int) -> str:
    """A field of a row, which may be shorter than the header."""
    return row[place] if place < len(row) else ""


def _short(row: list[str], place: int) -> str:
    """A field with its white space made single, empty where it is too long for a fact."""
    field = _field(row, place)
    return " ".join(field.split()) if len(field) <= _LONGEST_FACT else ""
