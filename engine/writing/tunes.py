"""Tune patterns (词牌), as the songs of a corpus show them.

Words for one tune keep its line lengths and rhymes. The pattern of a tune is the one that most of
its songs have, clause by clause; two clauses of it rhyme where they end in one rhyme class in so
many songs that chance cannot be why. The sounds have moved since the Song dynasty: of clauses that
rhyme, half agree today (入声) or more, of others a tenth.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from engine.corpus.corpus import Corpus
from engine.writing.sound.mandarin import System, mandarin_class

LEAST_SONGS = 10  # of a pattern, for its rhymes to be told from chance
LEAST_SHARE = 0.2  # of a tune's songs; below, they are fragments, or of many tunes
_AGREEMENT = 1 / 3  # of songs; in songci.txt rhymes have 0.42 or more, and the others 0.25 or less
_CHANCE = 0.1  # of songs in which clauses agree that do not rhyme
_MARGIN = 1.2  # over chance, with one song; it falls with the square root of their number
_LOOKED_AT = 1000  # songs, for whether a corpus has tunes at all
_REPEATED = 2  # songs to a first line, at least, in a corpus that has tunes

_CLAUSE = re.compile(r"[^，、；：。！？,;:.!?\s]+")
_NOT_SUNG = re.compile(r"[^\w□]")  # □ stands for a character that is lost

Pattern = tuple[tuple[int, ...], ...]
Counts = NDArray[np.int64]  # (clauses, clauses)


@dataclass(frozen=True, slots=True)
class TuneLine:
    """A line's clauses: the characters of each, and the rhyme letter of its end ("": none)."""

    clauses: tuple[int, ...]
    letters: tuple[str, ...]

    @property
    def rhymes(self) -> tuple[bool, ...]:
        """Which clauses end in rhyme."""
        return tuple(map(bool, self.letters))


@dataclass(frozen=True, slots=True)
class Tune:
    """The pattern of a tune: `share` (0 to 1) of its `songs` have exactly these lines. `stanzas`
    are the lines of each stanza, a single number where the corpus marks none."""

    name: str
    songs: int
    share: float
    lines: tuple[TuneLine, ...]
    stanzas: tuple[int, ...]


def tunes(songs: Iterable[tuple[str, str]], system: System = "十三辙") -> dict[str, Tune]:
    """The tunes of songs (tune's name, words), most songs first; those of fewer than LEAST_SONGS
    songs of one pattern, or with a pattern of less than LEAST_SHARE, have none.

    In the words a line ends with a line end, its clauses with punctuation, and blank lines part
    stanzas. Raises ConfigError for an unknown rhyme system."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for name, words in songs:
        by_name[name].append(words)
    often = sorted(by_name.items(), key=lambda tune: (-len(tune[1]), tune[0]))
    found = (_tune(name, words, system) for name, words in often if len(words) >= LEAST_SONGS)
    return {tune.name: tune for tune in found if tune}


def of_corpus(corpus: Corpus) -> dict[str, Tune]:
    """The tunes of a corpus whose songs are titled by them, or begin with a line that names them;
    none, after a look at some songs, where hardly two songs have one name."""
    step = -(-len(corpus.songs) // _LOOKED_AT)
    looked_at = [_named(corpus, index)[0] for index in range(0, len(corpus.songs), step or 1)]
    if len(looked_at) < LEAST_SONGS or len(looked_at) < _REPEATED * len(set(looked_at)):
        return {}
    return tunes(_named(corpus, index) for index in range(len(corpus.songs)))


def _named(corpus: Corpus, index: int) -> tuple[str, str]:
    """A song's title and its words without the line that holds the title."""
    title, words = corpus.songs[index].title, corpus.songs.text(index)
    first, _, rest = words.partition("\n")
    return title, rest if first.strip() == title else words


def _tune(name: str, songs: Sequence[str], system: System) -> Tune | None:
    patterns = [_pattern(words) for words in songs]
    often = Counter(pattern for pattern in patterns if pattern)
    if not often:
        return None
    pattern, count = often.most_common(1)[0]
    if count < LEAST_SONGS or count < LEAST_SHARE * len(songs):
        return None
    chosen = [words for words, its in zip(songs, patterns, strict=True) if its == pattern]
    ends = [[clause[-1] for line in _clauses(words) for clause in line] for words in chosen]
    letters = iter(_letters(ends, system))
    return Tune(
        name=name,
        songs=len(songs),
        share=count / len(songs),
        lines=tuple(TuneLine(line, tuple(islice(letters, len(line)))) for line in pattern),
        stanzas=Counter(map(_stanzas, chosen)).most_common(1)[0][0],
    )


def _clauses(words: str) -> list[list[str]]:
    """The sung characters of each clause of each line that has any."""
    lines = (map(_sung, _CLAUSE.findall(line)) for line in words.split("\n"))
    return [full for line in lines if (full := [clause for clause in line if clause])]


def _sung(clause: str) -> str:
    return _NOT_SUNG.sub("", clause)


def _pattern(words: str) -> Pattern:
    return tuple(tuple(map(len, line)) for line in _clauses(words))


def _stanzas(words: str) -> tuple[int, ...]:
    """The lines of each stanza; blank lines part them."""
    counted = (len(_clauses(stanza)) for stanza in re.split(r"\n[^\S\n]*\n", words))
    return tuple(count for count in counted if count)


def _letters(ends: Sequence[Sequence[str]], system: System) -> list[str]:
    """The rhyme letter of each clause, given the characters (songs, clauses) that they end in. A
    clause rhymes with those that it agrees with most; one that agrees with none has ""."""
    agreed, counted = _agreement(ends, system)
    least = max(_AGREEMENT, _CHANCE + _MARGIN / math.sqrt(len(ends)))
    groups: list[list[int]] = []
    for place in range(len(agreed)):
        shares = [
            agreed[place, group].sum() / max(counted[place, group].sum(), 1) for group in groups
        ]
        best = max(range(len(groups)), key=shares.__getitem__, default=0)
        if groups and shares[best] >= least:
            groups[best].append(place)
        else:
            groups.append([place])
    found = [""] * len(agreed)
    for number, group in enumerate(group for group in groups if len(group) > 1):
        turn, letter = divmod(number, len(ascii_uppercase))
        for place in group:
            found[place] = ascii_uppercase[letter] + (str(turn + 1) if turn else "")
    return found


def _agreement(ends: Sequence[Sequence[str]], system: System) -> tuple[Counts, Counts]:
    """For each two clauses, the songs in which they end in one class, and those that were counted:
    a character that comes again is no rhyme, so songs that end both in the same one are not."""
    numbers: dict[str | None, int] = {None: -1}
    classes = np.array(
        [[numbers.setdefault(mandarin_class(one, system), len(numbers)) for one in song]
         for song in ends]
    )  # (songs, clauses), as are the characters  # fmt: skip
    characters = np.array(ends)
    clauses = range(classes.shape[1])
    differ = [characters[:, [place]] != characters for place in clauses]
    agree = [(classes[:, [place]] == classes) & (classes >= 0) for place in clauses]
    agreed = np.array([(one & other).sum(axis=0) for one, other in zip(agree, differ, strict=True)])
    return agreed, np.array([one.sum(axis=0) for one in differ])
