"""The same song twice: by its words, or nearly by them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.corpus.interruption import Stopped, never, until

MOST_SONGS = 100_000  # near-copies are looked for in corpora of up to so many songs
MOST_CHARACTERS = 2**25  # and characters
SHARED = 0.7  # of the lines of the shorter song make it a near-copy of the other
FEWEST_LINES = 3  # that two songs must share
_COMMON = 50  # songs; a line that more of them have says nothing of any two

_NOISE = re.compile(r"[\W_]+")

Places = npt.NDArray[np.int64]


class Songs(Protocol):
    """Songs by number; `digests` (songs,) are equal where the words are."""

    starts: Places
    ends: Places
    digests: Places

    def __len__(self) -> int: ...
    def text(self, index: int) -> str: ...


@dataclass(frozen=True, slots=True)
class Copies:
    """`group` (songs,) names for each song the first one that it is a copy of (itself where it is
    none). `exact` and `near` count the songs that are copies of an earlier one; `near` is None
    where the corpus was too large to look for near-copies."""

    group: Places
    exact: int
    near: int | None


def copies(songs: Songs, stopped: Stopped = never) -> Copies:
    """Finds copies. Two songs are near-copies if they have 70 % of the shorter one's lines, and
    three at least, in common, or all their words; case, punctuation and space do not count.
    Raises Interrupted soon after `stopped()`."""
    if not len(songs):
        return Copies(np.empty(0, np.int64), 0, 0)
    _, first, inverse = np.unique(songs.digests, return_index=True, return_inverse=True)
    group = first[inverse].astype(np.int64)
    firsts = np.flatnonzero(group == np.arange(group.size))
    exact = int(group.size - firsts.size)
    length = int((songs.ends - songs.starts).sum())
    if len(songs) > MOST_SONGS or length > MOST_CHARACTERS:
        return Copies(group, exact, None)
    root = _near(songs, firsts.tolist(), stopped)
    group = np.array([root[song] for song in group.tolist()], dtype=np.int64)
    distinct = int((group == np.arange(group.size)).sum())
    return Copies(group, exact, int(firsts.size) - distinct)


def _near(songs: Songs, distinct: list[int], stopped: Stopped) -> dict[int, int]:
    """For each of these songs, the first one that it is a near-copy of, directly or by way of
    others."""
    root = {song: song for song in distinct}

    def find(song: int) -> int:
        while root[song] != song:
            root[song] = song = root[root[song]]
        return song

    by_line: defaultdict[str, list[int]] = defaultdict(list)
    by_words: dict[str, int] = {}
    lines_of: dict[int, int] = {}
    for song in until(stopped, distinct):
        sung = [_NOISE.sub("", line).casefold() for line in songs.text(song).split("\n")]
        lines = set(sung) - {""}
        lines_of[song] = len(lines)
        shared = Counter[int]()
        for line in lines:
            holders = by_line[line]
            if len(holders) < _COMMON:
                shared.update(holders)
                holders.append(song)
        near = [
            other
            for other, count in shared.items()
            if count >= max(FEWEST_LINES, SHARED * min(len(lines), lines_of[other]))
        ]
        if words := "".join(sung):
            near.append(by_words.setdefault(words, song))
        for other in near:
            one, two = sorted((find(song), find(other)))
            root[two] = one
    return {song: find(song) for song in distinct}
