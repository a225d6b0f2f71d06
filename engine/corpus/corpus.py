"""A corpus: one text, where its songs are, where it came from, and how it is split."""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from engine.config import CorpusConfig, Newline, SplitBy
from engine.corpus import formats
from engine.corpus.decoding import with_plain_line_ends, without_mark
from engine.errors import ConfigError, CorpusError

_AS_IT_IS = CorpusConfig()
_NOT_BLANK = re.compile(r"\S")
_BLANK_LINES = re.compile(r"\n\s*\n")
_TITLE_LENGTH = 40
_SMALLEST = 2  # one character to read and one to predict


@dataclass(frozen=True, slots=True)
class Song:
    """A song is `corpus.text[start:end]`: its lines without the blank ones around them."""

    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a corpus was read from; `sha256` and `bytes` are of the file on disk."""

    path: Path
    encoding: str
    confidence: float
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Split:
    """The two sides of a corpus; `warnings` are sentences for a person."""

    training: str = field(repr=False)
    held_out: str = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """A text to learn from, exactly as its files hold it but for byte order marks, line ends
    (`\\n` here) and the options of its `CorpusConfig`. Files are a blank line apart."""

    text: str = field(repr=False)
    songs: tuple[Song, ...] = field(repr=False)
    sources: tuple[Source, ...]
    name: str
    newline: Newline = "keep"

    @classmethod
    def load(cls, path: str | os.PathLike[str], config: CorpusConfig = _AS_IT_IS) -> Self:
        """Reads a file, or every text file of a folder. Raises CorpusError."""
        files = formats.read(path)
        sources = tuple(
            Source(
                file.path,
                file.decoded.encoding,
                file.decoded.confidence,
                file.sha256,
                file.bytes,
            )
            for file in files
        )
        name = formats.shown(Path(os.path.abspath(path)).name or path)
        text = _joined(file.decoded.text for file in files)
        return cls._prepared(text, name, sources, config)

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
        return cls._prepared(with_plain_line_ends(without_mark(text)), name, (), config)

    @classmethod
    def _prepared(
        cls, text: str, name: str, sources: tuple[Source, ...], config: CorpusConfig
    ) -> Self:
        kept, remedy = name, "add more text"
        if 0 < config.limit < len(text):
            text = text[: config.limit]
            kept, remedy = f"{name} under limit = {config.limit}", "raise the limit"
        songs = _songs_of(text)
        if not songs:
            raise CorpusError(f"{kept} is empty or holds only blank lines: {remedy}.")
        if len(text) < _SMALLEST:
            raise CorpusError(
                f"{kept} holds a single character, too few to learn from (at least one to read "
                f"and one to predict): {remedy}."
            )
        if config.newline == "space":
            text = text.replace("\n", " ")
        return cls(text, songs, sources, name, config.newline)

    @property
    def characters(self) -> int:
        """How many characters the text has, line ends and blank lines included."""
        return len(self.text)

    @property
    def lines(self) -> int:
        """How many lines the text has, blank ones included (1 under newline = space)."""
        return self.text.count("\n") + (not self.text.endswith("\n"))

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def split(self, held_out: float = 0.1, by: SplitBy = "song", seed: int = 0) -> Split:
        """Keeps the share `held_out` (0 ≤ share < 1) of the characters back from training.

        By "song", whole songs are drawn with `seed`, and songs of the same words stay together,
        so that nothing held out was seen in training. By "tail", the last share of the
        characters is held out, as public figures are. Raises ConfigError for another share.
        """
        if not 0 <= held_out < 1:
            raise ConfigError(
                f"held_out = {held_out} is no share of a text: give at least 0 and less than 1."
            )
        if held_out == 0:
            return Split(self.text, "")
        by_song = by == "song"
        split = self._split_songs(held_out, seed) if by_song else self._split_tail(held_out)
        if min(len(split.training), len(split.held_out)) < _SMALLEST:
            warning = (
                f"{self.name} is too small to hold {held_out:.0%} of it out, so nothing is held "
                "out: add songs to measure how well the network does on text that it never saw."
            )
            return Split(self.text, "", (warning,))
        return split

    def _split_tail(self, held_out: float) -> Split:
        cut = int(len(self.text) * (1 - held_out))
        return Split(self.text[:cut], self.text[cut:])

    def _split_songs(self, held_out: float, seed: int) -> Split:
        songs = [self.text[song.start : song.end] for song in self.songs]
        copies: dict[str, list[int]] = {}
        for index, song in enumerate(songs):
            copies.setdefault(song, []).append(index)
        if len(copies) == 1:
            tail = self._split_tail(held_out)
            warning = (
                f"{self.name} holds only one song, so its last {held_out:.0%} is held out "
                "instead of whole songs: separate songs by a blank line."
            )
            return Split(tail.training, tail.held_out, (warning,))

        groups = list(copies.values())
        sizes = [len(songs[group[0]]) * len(group) for group in groups]
        chosen = {index for group in _drawn(sizes, held_out, seed) for index in groups[group]}
        share = sum(len(songs[index]) for index in chosen) / sum(sizes)
        warnings: tuple[str, ...] = ()
        if not held_out / 2 <= share <= held_out * 2:
            warnings = (
                f"{self.name} holds out {share:.1%} of its characters instead of "
                f"{held_out:.1%}, because only whole songs are held out: add songs, or split by "
                "tail.",
            )
        between = "\n\n" if self.newline == "keep" else "  "
        return Split(
            between.join(song for index, song in enumerate(songs) if index not in chosen),
            between.join(song for index, song in enumerate(songs) if index in chosen),
            warnings,
        )


def _drawn(sizes: list[int], share: float, seed: int) -> set[int]:
    """Draws items that together come close to `share` of all; never none, never all of them.

    In a shuffled order, each item is taken that brings the sum nearer to its aim.
    """
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    aim = share * sum(sizes)
    drawn: set[int] = set()
    total = 0
    for item in order:
        if abs(total + sizes[item] - aim) < abs(total - aim):
            drawn.add(item)
            total += sizes[item]
    if len(drawn) == len(sizes):
        drawn.remove(min(order, key=sizes.__getitem__))
    if total < _SMALLEST:
        enough = [item for item in order if sizes[item] >= _SMALLEST]
        drawn = {min(enough or order, key=sizes.__getitem__)}
    return drawn


def _joined(texts: Iterable[str]) -> str:
    """The texts that are not blank, each as it is, with a blank line after all but the last."""
    parts: list[str] = []
    for text in texts:
        if not _NOT_BLANK.search(text):
            continue
        if parts and not parts[-1].endswith("\n\n"):
            parts.append("\n" if parts[-1].endswith("\n") else "\n\n")
        parts.append(text)
    return "".join(parts)


def _songs_of(text: str) -> tuple[Song, ...]:
    """The runs of lines between blank lines, in time linear in the text."""
    first = _NOT_BLANK.search(text)
    if first is None:
        return ()
    start = text.rfind("\n", 0, first.start()) + 1
    last_line_end = text.find("\n", len(text.rstrip()))
    end = len(text) if last_line_end < 0 else last_line_end
    songs: list[Song] = []
    for blank in _BLANK_LINES.finditer(text, start, end):
        songs.append(_song(text, start, blank.start()))
        start = blank.end()
    songs.append(_song(text, start, end))
    return tuple(songs)


def _song(text: str, start: int, end: int) -> Song:
    line_end = text.find("\n", start, end)
    line = text[start : end if line_end < 0 else line_end]
    return Song(_title(line), start, end)


def _title(line: str) -> str:
    """A line as a title: its white space made single, cut between words if it is long."""
    words = " ".join(line.split())
    if len(words) <= _TITLE_LENGTH:
        return words
    cut = words[:_TITLE_LENGTH]
    if not words[_TITLE_LENGTH].isspace() and " " in cut[_TITLE_LENGTH // 2 :]:
        cut = cut[: cut.rindex(" ")]
    return cut.rstrip() + "…"
