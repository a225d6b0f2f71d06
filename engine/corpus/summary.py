"""What a corpus holds, in figures for people."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np

from engine.config import CorpusConfig
from engine.corpus import library
from engine.corpus.corpus import Corpus
from engine.corpus.interruption import Stopped, never, until
from engine.corpus.text import CHUNK, Text

_MOST_COMMON = 20
_LENGTHS = 40  # characters; longer lines are counted together


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """The figures of a corpus.

    `lines` counts blank lines too; `longest_line` and `mean_line_length` are in characters, the
    mean over lines that are not empty, and `line_lengths[n]` counts the lines of n characters, the
    last entry those of as many or more. `vocabulary_size` counts `<unk>`. `han`, `latin` and
    `other` are shares (0 to 1) of the characters that are not white space. `copies` and
    `near_copies` count the songs that repeat an earlier one (None: too many songs to look).
    `cleaning` says how often each step of cleaning found something, `changed` which of them were
    carried out, and `examples` show a line of each.
    """

    name: str
    encoding: str
    confidence: float
    songs: int
    lines: int
    characters: int
    distinct_characters: int
    vocabulary_size: int
    sha256: str
    most_common: tuple[tuple[str, int], ...]
    longest_line: int
    mean_line_length: float
    line_lengths: tuple[int, ...]
    han: float
    latin: float
    other: float
    copies: int
    near_copies: int | None
    cleaning: dict[str, int]
    changed: tuple[str, ...]
    examples: dict[str, str]


def survey(name_or_path: str, config: CorpusConfig, stopped: Stopped) -> CorpusSummary:
    """The figures of a text that is not read yet. Raises CorpusError, and Interrupted soon after
    `stopped()`."""
    return summary(Corpus.load(library.resolve(name_or_path), config, stopped), stopped)


def summary(corpus: Corpus, stopped: Stopped = never) -> CorpusSummary:
    """The figures of a corpus, in time linear in its text.

    Several encodings are named together, and the confidence is that of the least sure file.
    """
    vocabulary = corpus.vocabulary()
    characters, counts = vocabulary.characters[1:], vocabulary.counts[1:]
    lengths = _line_lengths(corpus.body, stopped)
    full = lengths[lengths > 0]
    copies = corpus.copies(stopped)
    by_script = {"han": 0, "latin": 0, "other": 0}
    for character, count in zip(characters, counts, strict=True):
        if not character.isspace():
            by_script[_script(character)] += count
    visible = sum(by_script.values())
    encodings = dict.fromkeys(source.encoding for source in corpus.sources)
    return CorpusSummary(
        name=corpus.name,
        encoding=", ".join(encodings) or "unicode",
        confidence=min((source.confidence for source in corpus.sources), default=1.0),
        songs=len(corpus.songs),
        lines=corpus.lines,
        characters=corpus.characters,
        distinct_characters=len(characters),
        vocabulary_size=vocabulary.size,
        sha256=corpus.sha256,
        most_common=tuple(zip(characters, counts, strict=True))[:_MOST_COMMON],
        longest_line=int(full.max()),
        mean_line_length=float(full.mean()),
        line_lengths=tuple(
            np.bincount(np.minimum(full, _LENGTHS), minlength=_LENGTHS + 1).tolist()
        ),
        han=by_script["han"] / visible,
        latin=by_script["latin"] / visible,
        other=by_script["other"] / visible,
        copies=copies.exact,
        near_copies=copies.near,
        cleaning=dict(corpus.report.counts),
        changed=corpus.report.changed,
        examples=dict(corpus.report.examples),
    )


def _line_lengths(text: Text, stopped: Stopped) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The length of every line; what follows the last line end counts as one, if only of 0."""
    ends = [np.array([-1])]
    for start in until(stopped, range(0, len(text), CHUNK)):
        codes = text.alphabet[text.numbers(start, min(start + CHUNK, len(text)))]
        ends.append(np.flatnonzero(codes == ord("\n")) + start)
    ends.append(np.array([len(text)]))
    return np.diff(np.concatenate(ends)) - 1


def _script(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH")):
        return "han"
    return "latin" if name.startswith(("LATIN", "FULLWIDTH LATIN")) else "other"
