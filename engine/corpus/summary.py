"""What a corpus holds, in figures for people."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np

from engine.corpus.corpus import Corpus
from engine.corpus.vocabulary import Vocabulary, code_points

_MOST_COMMON = 20


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """The figures of a corpus.

    `lines` counts blank lines too; `longest_line` and `mean_line_length` are in characters, the
    mean over lines that are not empty. `vocabulary_size` counts `<unk>`. `han`, `latin` and
    `other` are shares (0 to 1) of the characters that are not white space.
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
    han: float
    latin: float
    other: float


def summary(corpus: Corpus) -> CorpusSummary:
    """The figures of a corpus, in time linear in its text.

    Several encodings are named together, and the confidence is that of the least sure file.
    """
    vocabulary = Vocabulary.build(corpus.text)
    characters, counts = vocabulary.characters[1:], vocabulary.counts[1:]
    lengths = _line_lengths(corpus.text)
    full = lengths[lengths > 0]
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
        han=by_script["han"] / visible,
        latin=by_script["latin"] / visible,
        other=by_script["other"] / visible,
    )


def _line_lengths(text: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The length of every line; what follows the last line end counts as one, if only of 0."""
    ends = [np.array([-1])]
    start = 0
    for codes in code_points(text):
        ends.append(np.flatnonzero(codes == ord("\n")) + start)
        start += codes.size
    ends.append(np.array([len(text)]))
    return np.diff(np.concatenate(ends)) - 1


def _script(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH")):
        return "han"
    return "latin" if name.startswith(("LATIN", "FULLWIDTH LATIN")) else "other"
