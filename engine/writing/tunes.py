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

import numpy as np
from numpy.typing import NDArray

from engine.corpus.corpus import Corpus, song_places
from engine.writing.form import Form, LineDemand
from engine.writing.rhyme import System, letters, mandarin_class
from engine.writing.sound.mandarin import HAN

LEAST_SONGS = 10  # of a pattern, for its rhymes to be told from chance
LEAST_SHARE = 0.2  # of a tune's songs; below, they are fragments, or of many tunes
_AGREEMENT = 1 / 3  # of songs; in songci.txt rhymes have 0.42 or more, and the others 0.25 or less
_CHANCE = 0.1  # of songs in which clauses agree that do not rhyme
_MARGIN = 1.2  # over chance, with one song; it falls with the square root of their number
_HEARD = 1000  # songs of a pattern, for its rhymes
_MOST_CLAUSES = 200  # of a song; the longest tunes have under a hundred
_LOOKED_AT = 1000  # titles, for whether a corpus has tunes at all
_REPEATED = 2  # songs to a title, at least, in a corpus that has tunes

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


def of_text(text: str) -> dict[str, Tune]:
    """The tunes of songs that a blank line parts and whose first lines name them."""
    starts, ends = song_places(text)
    named = (text[start:end].partition("\n") for start, end in zip(starts, ends, strict=True))
    return tunes((name.strip(), words) for name, _, words in named)


def form_of(tune: Tune) -> Form:
    """The form of words for a tune: its clauses, and what they rhyme on."""
    often = Counter(letter for line in tune.lines for letter in line.letters)
    lines = []
    for line in tune.lines:
        *inner, last = (letter if often[letter] > 1 else "" for letter in line.letters)
        lines.append(
            LineDemand(length=line.clauses, rhyme=last, inner=tuple(inner) if any(inner) else ())
        )
    return Form(lines=tuple(lines), stanzas=tune.stanzas)


def of_corpus(corpus: Corpus) -> dict[str, Tune]:
    """The tunes of a corpus whose songs are titled by them, or begin with a line that names them;
    none, after a look at some titles, where these are not Chinese or hardly any comes again."""
    step = max(1, len(corpus.songs) // _LOOKED_AT)
    titles = [corpus.songs[index].title for index in range(0, len(corpus.songs), step)]
    chinese = [title for title in titles if HAN.search(title)]
    if len(chinese) < max(LEAST_SONGS, len(titles) / 2, _REPEATED * len(set(chinese))):
        return {}
    return tunes(_named(corpus, index) for index in range(len(corpus.songs)))


def _named(corpus: Corpus, index: int) -> tuple[str, str]:
    """A song's title and its words without the line that holds the title."""
    title, words = corpus.songs[index].title, corpus.songs.text(index)
    first, _, rest = words.partition("\n")
    return title, rest if first.strip() == title else words


def _tune(name: str, songs: Sequence[str], system: System) -> Tune | None:
    patterns = [_pattern(words) for words in songs]
    often = Counter(pattern for pattern in patterns if 0 < sum(map(len, pattern)) <= _MOST_CLAUSES)
    if not often:
        return None
    count, pattern = max((count, pattern) for pattern, count in often.items())
    if count < LEAST_SONGS or count < LEAST_SHARE * len(songs):
        return None
    chosen = [words for words, its in zip(songs, patterns, strict=True) if its == pattern]
    ends = [
        [clause[-1] for line in _clauses(words) for clause in line] for words in chosen[:_HEARD]
    ]
    rhymes = iter(_letters(ends, system))
    return Tune(
        name=name,
        songs=len(songs),
        share=count / len(songs),
        lines=tuple(TuneLine(line, tuple(islice(rhymes, len(line)))) for line in pattern),
        stanzas=max((count, parts) for parts, count in Counter(map(_stanzas, chosen)).items())[1],
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
    for group, letter in zip(
        (group for group in groups if len(group) > 1), letters(), strict=False
    ):
        for place in group:
            found[place] = letter
    return found


def _agreement(ends: Sequence[Sequence[str]], system: System) -> tuple[Counts, Counts]:
    """For each two clauses, the songs in which they end in one class, and those that were counted:
    a character that comes again is no rhyme, so songs that end both in the same one are not."""
    numbers: dict[str | None, int] = {None: -1}
    heard = [[mandarin_class(end, system) for end in song] for song in ends]
    classes = np.array([[numbers.setdefault(one, len(numbers)) for one in song] for song in heard])
    characters = np.array(ends)
    agreed = np.zeros((classes.shape[1], classes.shape[1]), np.int64)
    counted = np.zeros_like(agreed)
    for place in range(len(agreed)):
        differ = characters[:, [place]] != characters
        same = (classes[:, [place]] == classes) & (classes >= 0)
        counted[place], agreed[place] = differ.sum(axis=0), (differ & same).sum(axis=0)
    return agreed, counted
