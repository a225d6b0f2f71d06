"""A corpus: one text, where its songs are, where it came from, and how it is split."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Self, cast, overload

import numpy as np
import numpy.typing as npt

from engine.config import CorpusConfig, Newline, SplitBy
from engine.corpus import decoding, duplicates, formats, script
from engine.corpus.cleaning import Cleaner, Report, is_label
from engine.corpus.decoding import without_mark
from engine.corpus.interruption import Stopped, never, until
from engine.corpus.passage import Passage
from engine.corpus.paths import errors_as_sentences, shown
from engine.corpus.readers import plain
from engine.corpus.text import Numbers, Text, TextWriter, line_ends, looked_up
from engine.corpus.vocabulary import Ids, Vocabulary
from engine.errors import ConfigError, CorpusError

_AS_IT_IS = CorpusConfig()
_NOT_BLANK = re.compile(r"\S")
_BLANK_LINES = re.compile(r"\n\s*\n")
_BLOCK = 2**20  # characters that are cleaned and searched for songs at once, at least
_LONGEST_SONG = 2**26  # characters; a longer one counts as several
_TITLE_LENGTH = 40
_DRAWN_AT_ONCE = 2**16
MOST_HELD_OUT = 2**20  # characters; their mean loss is known to a few thousandths of a nat
_SMALLEST = 2  # one character to read and one to predict

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Song:
    """A song is `corpus.text[start:end]`: its lines without the blank ones around them. `facts`
    are what its file says of it beside its words."""

    title: str
    start: int
    end: int
    facts: Mapping[str, str] = field(default_factory=dict, compare=False)


class Songs(Sequence[Song]):
    """The songs of a text. Only their places are held: a gigabyte has millions."""

    def __init__(
        self,
        text: Text,
        starts: Places,
        ends: Places,
        digests: Places,
        given: Mapping[int, tuple[str, Mapping[str, str]]],
    ) -> None:
        self._text, self._given = text, given
        self.starts, self.ends, self.digests = starts, ends, digests

    def __len__(self) -> int:
        return int(self.starts.size)

    @overload
    def __getitem__(self, index: int) -> Song: ...
    @overload
    def __getitem__(self, index: slice) -> list[Song]: ...
    def __getitem__(self, index: int | slice) -> Song | list[Song]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        start, end = int(self.starts[index]), int(self.ends[index])
        title, facts = self._given.get(index % len(self), ("", {}))
        return Song(
            title or first_line(self._text[start : min(end, start + 1000)]), start, end, facts
        )

    def text(self, index: int) -> str:
        """The words of one song."""
        return self._text[int(self.starts[index]) : int(self.ends[index])]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a corpus was read from; `sha256` and `bytes` are of the file on disk (of the
    part that was read, under a limit)."""

    path: Path
    encoding: str
    confidence: float
    sha256: str
    bytes: int


class Excerpt:
    """Pieces of a text in their order, with `between` after all but the last."""

    def __init__(self, text: Text, starts: Places, ends: Places, between: str = "") -> None:
        self._text, self._between = text, between
        if between and starts.size:
            # Neighbours that are so far apart already are one piece: songs are never nearer than a
            # blank line, and what is two characters long and holds a blank line is no more.
            breaks = np.flatnonzero(starts[1:] - ends[:-1] != len(between))
            starts = np.concatenate([starts[:1], starts[breaks + 1]])
            ends = np.concatenate([ends[breaks], ends[-1:]])
        self._starts, self._ends = starts, ends

    def __len__(self) -> int:
        pieces = int((self._ends - self._starts).sum())
        return pieces + len(self._between) * max(0, self._starts.size - 1)

    def __str__(self) -> str:
        return "".join(map(self._text.decoded, self._numbers()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Excerpt) and str(self) == str(other)

    __hash__ = None  # type: ignore[assignment]

    def ids(self, vocabulary: Vocabulary) -> Iterator[Ids]:
        """The ids of the characters, in arrays of bounded length."""
        table = vocabulary.ids_of(self._text.alphabet)
        for numbers in self._numbers():
            yield looked_up(table, numbers).astype(vocabulary.id_type, copy=False)

    def places(self, positions: Places) -> Places:
        """Where characters of the text stand in the excerpt, by their positions in the text; -1
        where it lacks them."""
        piece = np.searchsorted(self._starts, positions, "right") - 1
        lengths = self._ends - self._starts + len(self._between)
        before = np.cumsum(lengths) - lengths
        inside = (piece >= 0) & (positions < self._ends[piece])
        found: Places = np.where(inside, positions - self._starts[piece] + before[piece], -1)
        return found

    def _numbers(self) -> Iterator[Numbers]:
        codes = np.frombuffer(self._between.encode("utf-32-le"), "<u4")
        places = [np.flatnonzero(self._text.alphabet == code)[0] for code in codes]
        between = np.array(places, self._text.numbers(0, 0).dtype)
        ready: list[Numbers] = []
        size = 0
        held, first = np.empty(0, np.uint16), 0  # a part of the text, and where it starts
        for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True):
            for here in range(start, end, _BLOCK):
                there = min(end, here + _BLOCK)
                if there > first + held.size:
                    held, first = (
                        self._text.numbers(here, min(here + _BLOCK, len(self._text))),
                        here,
                    )
                ready += [held[here - first : there - first]]
                size += there - here
                if size >= _BLOCK:
                    yield np.concatenate(ready)
                    ready, size = [], 0
            if end != self._ends[-1]:
                ready.append(between)
        if ready:
            yield np.concatenate(ready)


@dataclass(frozen=True, slots=True)
class Split:
    """The two sides of a corpus; `warnings` are sentences for a person."""

    training: Excerpt = field(repr=False)
    held_out: Excerpt = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """A text to learn from: what its files hold, cleaned as its `CorpusConfig` says, with `\\n`
    line ends. `report` tells what cleaning found. Files are a blank line apart."""

    body: Text = field(repr=False)
    songs: Songs = field(repr=False)
    sources: tuple[Source, ...]
    name: str
    newline: Newline = "keep"
    report: Report = field(default_factory=Report)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        config: CorpusConfig = _AS_IT_IS,
        stopped: Stopped = never,
    ) -> Self:
        """Reads a file, the members of an archive, or every text file of a folder. Raises
        CorpusError, and Interrupted soon after `stopped()`."""
        files = formats.found(path)
        name = shown(Path(os.path.abspath(path)).name or path)
        builder = _Builder(config, stopped)
        sources = []
        for file in until(stopped, files):
            sources.append(_read(file, builder, config.encoding, stopped))
            if builder.full:
                break
        return cls._built(builder, tuple(sources), name, config)

    @classmethod
    def from_text(cls, text: str, name: str = "the text", config: CorpusConfig = _AS_IT_IS) -> Self:
        """A corpus of a text that is in memory; `name` is what people see. Raises CorpusError."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"{name} holds half a surrogate pair at character {error.start:,}, which is no "
                "character: decode the text again from its bytes."
            ) from None
        builder = _Builder(config)
        for passage in plain.read(iter([builder.cleaner.line_ends(without_mark(text))]), name):
            builder.add(passage)
        builder.end_file()
        return cls._built(builder, (), name, config)

    @classmethod
    def _built(
        cls, builder: _Builder, sources: tuple[Source, ...], name: str, config: CorpusConfig
    ) -> Self:
        body, songs = builder.close()
        kept, remedy = name, "add more text"
        if builder.full:
            kept, remedy = f"{name} under limit = {config.limit}", "raise the limit"
        if not songs:
            raise CorpusError(f"{kept} is empty or holds only blank lines: {remedy}.")
        if len(body) < _SMALLEST:
            raise CorpusError(
                f"{kept} holds a single character, too few to learn from (at least one to read "
                f"and one to predict): {remedy}."
            )
        return cls(body, songs, sources, name, config.newline, builder.cleaner.report)

    @property
    def text(self) -> str:
        """The whole text as a str, which takes one to four bytes a character."""
        return self.body.whole

    @property
    def characters(self) -> int:
        """How many characters the text has, line ends and blank lines included."""
        return len(self.body)

    @property
    def lines(self) -> int:
        """How many lines the text has, blank ones included (1 under newline = space)."""
        return self.count("\n") + (self.body[self.characters - 1 :] != "\n")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text in UTF-8."""
        return self.body.sha256

    def count(self, character: str) -> int:
        """How often a character is in the text."""
        return int(self.body.counts[self.body.alphabet == ord(character)].sum())

    def vocabulary(self, min_count: int = 1) -> Vocabulary:
        """The vocabulary of the text. Raises CorpusError where nothing is frequent enough."""
        return Vocabulary.of_counts(self.body.alphabet, self.body.counts, min_count)

    def copies(self, stopped: Stopped = never) -> duplicates.Copies:
        """Which songs are copies or near-copies of others."""
        return duplicates.copies(self.songs, stopped)

    def split(self, held_out: float = 0.1, by: SplitBy = "song", seed: int = 0) -> Split:
        """Keeps the share `held_out` (0 ≤ share < 1) of the characters back from training, at
        most 2**20 of them.

        By "song", whole songs are drawn with `seed`, and a song and its copies and near-copies
        stay together, so that nothing held out was seen in training. By "tail", the last share of
        the characters is held out, as public figures are. Raises ConfigError for another share.
        """
        if not 0 <= held_out < 1:
            raise ConfigError(
                f"held_out = {held_out} is no share of a text: give at least 0 and less than 1."
            )
        if held_out == 0:
            return Split(self._part(0, self.characters), self._part(0, 0))
        warnings: tuple[str, ...] = ()
        if held_out * self.characters > MOST_HELD_OUT:
            warnings = (
                f"{self.name} is so long that {MOST_HELD_OUT:,} characters are held out instead "
                f"of {held_out:.0%}: more would measure no better, and take longer.",
            )
            held_out = MOST_HELD_OUT / self.characters
        by_song = by == "song"
        split = self._split_songs(held_out, seed) if by_song else self._split_tail(held_out)
        split = replace(split, warnings=warnings + split.warnings)
        if min(len(split.training), len(split.held_out)) < _SMALLEST:
            warning = (
                f"{self.name} is too small to hold {held_out:.0%} of it out, so nothing is held "
                "out: add songs to measure how well the network does on text that it never saw."
            )
            return Split(self._part(0, self.characters), self._part(0, 0), (warning,))
        return split

    def _part(self, start: int, end: int) -> Excerpt:
        return Excerpt(self.body, np.array([start]), np.array([end]))

    def _split_tail(self, held_out: float) -> Split:
        cut = int(self.characters * (1 - held_out))
        return Split(self._part(0, cut), self._part(cut, self.characters))

    def _split_songs(self, held_out: float, seed: int) -> Split:
        group = self.copies().group  # (songs,): the first song of the same words
        if not group.any():
            tail = self._split_tail(held_out)
            warning = (
                f"{self.name} holds only one song, so its last {held_out:.0%} is held out "
                "instead of whole songs: separate songs by a blank line."
            )
            return Split(tail.training, tail.held_out, (warning,))
        lengths = self.songs.ends - self.songs.starts
        sizes = np.bincount(group, lengths, group.size).astype(np.int64)
        drawn = _drawn(sizes, held_out, seed)
        chosen = drawn[group]
        share = float(lengths[chosen].sum() / lengths.sum())
        warnings: tuple[str, ...] = ()
        if not held_out / 2 <= share <= held_out * 2:
            warnings = (
                f"{self.name} holds out {share:.1%} of its characters instead of "
                f"{held_out:.1%}, because only whole songs are held out: add songs, or split by "
                "tail.",
            )
        between = "\n\n" if self.newline == "keep" else "  "
        training, held_out_songs = (
            Excerpt(self.body, self.songs.starts[side], self.songs.ends[side], between)
            for side in (~chosen, chosen)
        )
        return Split(training, held_out_songs, warnings)


def _read(file: formats.File, builder: _Builder, encoding: str | None, stopped: Stopped) -> Source:
    """Adds a file's songs."""
    name = shown(file.path)
    with errors_as_sentences(file.path), file.open() as whole:
        known = decoding.recognise(whole, name, encoding)
    with file.reading() as opened:
        pieces = decoding.chunks(
            cast(BinaryIO, opened), known.name, name, builder.cleaner.line_ends
        )
        for passage in until(stopped, file.reader(pieces, name)):
            builder.add(passage)
            if builder.full:
                break
        builder.end_file()
    return Source(file.path, known.name, known.confidence, opened.sha256, opened.bytes)


def encodings(path: str | os.PathLike[str]) -> tuple[decoding.Candidate, ...]:
    """What a person may choose from as `CorpusConfig.encoding`, shown by the first file of a path.
    Raises CorpusError."""
    file = formats.found(path)[0]
    with errors_as_sentences(file.path), file.open() as opened:
        return decoding.choices(opened, shown(file.path))


class _Builder:
    """Puts passages together to one clean text and finds its songs. Text that comes in pieces is
    cleaned in whole lines, and cut into blocks where a blank line ends a song."""

    def __init__(self, config: CorpusConfig, stopped: Stopped = never) -> None:
        self._config, self._stopped = config, stopped
        self.cleaner = Cleaner(config)
        self._convert = script.converter(config.script)
        self._writer = TextWriter()
        self._line: list[str] = []  # the pieces of a line that is not whole yet
        self._block = ""  # whole lines, clean, that may end in the middle of a song
        self._fresh = True  # what comes next begins a file or a song
        self._tail = ""  # the last two characters written
        self._places: list[Places] = []  # (3, songs) each: starts, ends, digests
        self._songs = 0
        self._given: dict[int, tuple[str, Mapping[str, str]]] = {}
        self.full = False  # the limit was reached

    def add(self, passage: Passage) -> None:
        """Adds a passage."""
        if passage.title is None:
            self._add_lines(passage.text)
            return
        self.end_file()
        text = self.cleaner.line_ends(passage.text) + "\n"
        text = self._convert(self.cleaner.lines(text)).strip("\n")
        if not _NOT_BLANK.search(text):
            return
        self._separate()
        start = self._writer.length
        text = self._append(self.cleaner.blanks(text))
        if _NOT_BLANK.search(text):
            self._given[self._songs] = (passage.title, passage.facts)
            self._note(text, np.array([0]), np.array([len(text)]), start)
        self._fresh = True

    def end_file(self) -> None:
        """What comes next is a blank line apart."""
        self._add_lines("", last=True)
        self._take(len(self._block))
        self._fresh = True

    def close(self) -> tuple[Text, Songs]:
        """The text and its songs."""
        none = np.empty((3, 0), np.int64)
        starts, ends, digests = np.concatenate([none, *self._places], axis=1)
        body = self._writer.close()
        songs = Songs(body, starts, ends, digests, self._given)
        if self._config.duplicates == "drop":
            return self._without_copies(body, songs)
        return body, songs

    def _add_lines(self, text: str, *, last: bool = False) -> None:
        head, end, tail = text.rpartition("\n")
        if end or last or sum(map(len, self._line)) > _LONGEST_SONG:
            whole = "".join([*self._line, head, end]) if end else "".join([*self._line, text])
            self._block += self._convert(self.cleaner.lines(whole))
            self._line = [tail] if end else []
        else:
            self._line.append(text)
        if len(self._block) >= _BLOCK:
            # A blank line that more may follow is no place to cut: they are counted together.
            cut = self._block.rfind("\n\n", 0, len(self._block.rstrip())) + 2
            if cut >= 2:
                self._take(cut)
            elif len(self._block) > _LONGEST_SONG:
                self._take(len(self._block))

    def _take(self, cut: int) -> None:
        """Writes the first so many characters of the block, which are whole songs."""
        text, self._block = self._block[:cut], self._block[cut:]
        ends = line_ends(text)
        if (ends[2:] - ends[:-2] == 2).any():  # two blank lines in a row
            text = self.cleaner.blanks(text)
            ends = line_ends(text)
        if self._fresh and not _NOT_BLANK.search(text):
            return  # a file of nothing
        self._separate()
        start = self._writer.length
        text = self._append(text)
        ends = ends[ends < len(text)]  # the limit may have cut it
        self._note(text, *song_places(text, ends if not self.cleaner.spaced else None), start)

    def _separate(self) -> None:
        if self._fresh and self._writer.length:
            self._append("\n" * (2 - len(self._tail) + len(self._tail.rstrip("\n"))))
        self._fresh = False

    def _append(self, text: str) -> str:
        """Writes as much of a text as the limit leaves, and returns it with its line ends."""
        limit = self._config.limit
        if limit and self._writer.length + len(text) > limit:
            text, self.full = text[: limit - self._writer.length], True
        if text:
            self._tail = (self._tail + text)[-2:]
            spaced = self._config.newline == "space"
            self._writer.append(text.replace("\n", " ") if spaced else text)
        return text

    def _note(self, text: str, starts: Places, ends: Places, offset: int) -> None:
        """Notes the songs of a piece of text that was written at `offset`."""
        places = zip(starts.tolist(), ends.tolist(), strict=True)
        digests = [hash(text[start:end]) for start, end in places]
        self._places.append(np.array([starts + offset, ends + offset, digests], np.int64))
        self._songs += len(digests)

    def _without_copies(self, body: Text, songs: Songs) -> tuple[Text, Songs]:
        """The text again without songs that are copies or near-copies of an earlier one."""
        copies = duplicates.copies(songs, self._stopped)
        kept = np.flatnonzero(copies.group == np.arange(len(songs)))
        self.cleaner.counts["duplicates"] += len(songs) - kept.size
        if kept.size == len(songs):
            return body, songs
        writer = TextWriter()
        starts: list[int] = []
        ends: list[int] = []
        between = "\n\n" if self._config.newline == "keep" else "  "
        for index in until(self._stopped, kept.tolist()):
            if starts:
                writer.append(between)
            starts.append(writer.length)
            writer.append(songs.text(index))
            ends.append(writer.length)
        rest = writer.close()
        given = {
            new: self._given[old] for new, old in enumerate(kept.tolist()) if old in self._given
        }
        places = np.array(starts, np.int64), np.array(ends, np.int64)
        return rest, Songs(rest, *places, songs.digests[kept], given)


def _drawn(sizes: Places, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Draws items that together come close to `share` of all; never none, never all of them.

    In a shuffled order, each item is taken that brings the sum nearer to its aim.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes))
    aim = share * float(sizes.sum())
    drawn = np.zeros(sizes.size, dtype=bool)
    total, here = 0, 0
    smallest = int(sizes[order].min())
    while here < order.size and 2 * (aim - total) > smallest:
        # All that fit whole, then the one that would go beyond: taken if that is nearer.
        sums = total + np.cumsum(sizes[order[here : here + _DRAWN_AT_ONCE]])
        fitting = int(np.searchsorted(sums, aim, side="right"))
        drawn[order[here : here + fitting]] = True
        total = int(sums[fitting - 1]) if fitting else total
        here += fitting
        if fitting < sums.size:
            beyond = int(sizes[order[here]])
            if total + beyond - aim < aim - total:
                drawn[order[here]] = True
                total += beyond
            here += 1
    if drawn[order].all():
        drawn[order[np.argmin(sizes[order])]] = False
    if total < _SMALLEST:
        enough = [item for item in order.tolist() if sizes[item] >= _SMALLEST]
        drawn[:] = False
        drawn[min(enough or order.tolist(), key=sizes.__getitem__)] = True
    return drawn


def song_places(text: str, ends: Places | None = None) -> tuple[Places, Places]:
    """Where the runs of lines between blank lines start and end, (songs,) both, in time linear in
    the text. Where no line end has space before it, giving their places `ends` is a faster way."""
    if ends is not None:
        ends = np.concatenate([ends, [len(text)]])
        starts = np.concatenate([[0], ends[:-1] + 1])
        blank = ends == starts
        blank[-1] = not text[starts[-1] :].strip()
        opens = ~blank & np.concatenate([[True], blank[:-1]])
        closes = ~blank & np.concatenate([blank[1:], [True]])
        return starts[opens], ends[closes]
    first = _NOT_BLANK.search(text)
    if first is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    start = text.rfind("\n", 0, first.start()) + 1
    last_line_end = text.find("\n", len(text.rstrip()))
    end = len(text) if last_line_end < 0 else last_line_end
    blanks = [blank.span() for blank in _BLANK_LINES.finditer(text, start, end)]
    edges = np.array([start, *itertools.chain.from_iterable(blanks), end], np.int64)
    return edges[::2], edges[1::2]


def first_line(song: str) -> str:
    """The first line that is no section label, its white space made single, cut between words if
    it is long."""
    lines = song.split("\n")
    line = next((line for line in lines if not is_label(line)), lines[0])
    words = " ".join(line.split())
    if len(words) <= _TITLE_LENGTH:
        return words
    cut = words[:_TITLE_LENGTH]
    if not words[_TITLE_LENGTH].isspace() and " " in cut[_TITLE_LENGTH // 2 :]:
        cut = cut[: cut.rindex(" ")]
    return cut.rstrip() + "…"
