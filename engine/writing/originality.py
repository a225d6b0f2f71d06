"""What a written line takes from the songs: every span that stands there word for word, and every
one that stands there but for one character.

The search is seed and extend (Baeza-Yates & Perleberg 1992). Of a span of `shortest` characters
with one changed, what lies before or after the change is at least `ceil((shortest - 1) / 2)`
characters long and stands in the songs as it is. So an index of all stretches of that length finds
every span that there is, and each find is compared with the text itself: nothing is sampled, and
no hash decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.corpus.corpus import first_line, song_places
from engine.corpus.text import Codes
from engine.errors import ConfigError, CorpusError

SHORTEST_CHINESE = 6  # characters; five may well be a saying
SHORTEST = 20  # characters of a text in another script, four words or so

_LINE_END = ord("\n")
_OUTSIDE = 2**32 - 1  # no character: what lies around a written line, and between its lines
_HASH, _PLACE = np.uint64(0xFFFFFFFF_00000000), np.uint64(0x00000000_FFFFFFFF)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits well mixed (Knuth, TAOCP 3, 6.4)
_AT_ONCE = 2**18  # finds compared at once, which bounds the memory of a search
_LOOKED_AT = 1000  # characters of a song, for its first line
_HAN = ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x40000))

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Copy:
    """`line[start:end]` stands in a song: the first of the text that has it, counted from 0. In a
    near-copy another character stands there at `changed`, start < changed < end - 1."""

    start: int
    end: int
    song: int
    title: str
    changed: int | None = None


class Originality:
    """An index of the songs that a network was taught.

    `codes` (N,) are the code points of the whole text, its songs begin at `starts`, ascending, and
    `titles` names a song. Spans of `shortest` characters or more count as copies; None takes 6
    where the songs are `chinese`, most of their letters Han characters, else 20. Case, punctuation
    and space count as they are.

    The index holds 12 bytes a character (30 while it is built), and 8 more for every `longest`
    that `forbidden` is asked for. Raises ConfigError for spans of less than 3 characters, which
    have no inside, and CorpusError for a text of 2**32 characters.
    """

    def __init__(
        self,
        codes: Codes,
        starts: Places,
        titles: Callable[[int], str],
        shortest: int | None = None,
    ) -> None:
        if len(codes) >= _OUTSIDE - 1:
            raise CorpusError(
                f"{len(codes):,} characters are too many to look for copies in: give fewer than "
                f"{_OUTSIDE - 1:,}."
            )
        self.chinese = is_chinese(codes)
        if shortest is None:
            shortest = SHORTEST_CHINESE if self.chinese else SHORTEST
        if shortest < 3:
            raise ConfigError(
                f"A copy of {shortest} characters says nothing: count from 3 characters on."
            )
        self.shortest = shortest
        self._starts, self._titles = starts, titles
        # A line end on either side, so that nothing has to be asked about the text's edges.
        self._text = np.full(len(codes) + 2, _LINE_END, np.uint32)
        self._text[1:-1] = codes
        self._lines = _distinct_lines(self._text)
        self._seed = self.shortest // 2  # ceil((shortest - 1) / 2)
        self._seeds = _keys(self._text, self._places(self._seed), self._seed)
        self._followed: dict[int, NDArray[np.uint64]] = {}

    @classmethod
    def of_text(
        cls,
        text: str,
        shortest: int | None = None,
        songs: Sequence[tuple[int, str]] = (),
    ) -> Originality:
        """The index of a text. `songs` are where its songs begin and their titles; where they are
        not known, songs are a blank line apart and titled by their first lines."""
        if songs:
            begin = np.array([start for start, _ in songs], np.int64)
            return cls(_codes(text), begin, lambda song: songs[song][1], shortest)
        starts, ends = song_places(text)

        def title(song: int) -> str:
            start, end = int(starts[song]), int(ends[song])
            return first_line(text[start : min(end, start + _LOOKED_AT)])

        return cls(_codes(text), starts, title, shortest)

    # -- copies -----------------------------------------------------------------------------

    def copies(self, line: str) -> tuple[Copy, ...]:
        """The copies in a line, or in several with `\\n` between them, as they begin: maximal
        spans that stand in one line of the songs, and maximal near-copies that lie in none of
        those. Where several places have a span, the first one counts."""
        codes = np.full(len(line) + 2, _OUTSIDE, np.uint32)
        codes[1:-1] = _codes(line)
        codes[codes == _LINE_END] = _OUTSIDE
        none = np.empty((4, 0), np.int64)
        exact, near = [none], [none]
        for at, place in self._found(codes):
            length = self._reach(codes, at, place, 1)
            real = length >= self._seed  # else only the hashes were alike
            at, place, length = at[real], place[real], length[real]
            long = length >= self.shortest
            whole = np.stack((at, at + length, place, np.zeros_like(at)))[:, long]
            exact.append(_longest(whole))
            near.append(_longest(self._with_a_change(codes, at, place, length)))
        copied, changed = (_longest(np.concatenate(some, axis=1)) for some in (exact, near))
        # The last copy to begin no later reaches furthest of those.
        before = np.searchsorted(copied[0], changed[0], "right")
        reached = np.concatenate(([0], copied[1]))[before]
        spans = np.concatenate((copied, changed[:, reached < changed[1]]), axis=1)
        spans = spans[:, np.lexsort((spans[1], spans[0]))]
        songs = np.searchsorted(self._starts, spans[2] - 1, "right") - 1
        return tuple(
            Copy(start - 1, end - 1, song, self._titles(song), change - 1 if change else None)
            for (start, end, _, change), song in zip(
                spans.T.tolist(), songs.clip(min=0).tolist(), strict=True
            )
        )

    def _found(self, codes: Codes) -> Iterator[tuple[Places, Places]]:
        """Where in the line (finds,) and where in the text (finds,) equal runs begin, and now and
        then what only has the hash of one."""
        hashes = _hashes(codes, self._seed)
        first = np.searchsorted(self._seeds, hashes & _HASH)
        last = np.searchsorted(self._seeds, hashes | _PLACE)
        counts = last - first
        seeds = np.flatnonzero(counts)
        part = counts[seeds].cumsum() // _AT_ONCE
        for group in np.split(seeds, np.flatnonzero(np.diff(part)) + 1):
            at = np.repeat(group, counts[group])
            found = self._seeds[_ranges(first[group], last[group])] & _PLACE
            place = found.astype(np.int64)
            begins = codes[at - 1] != self._text[place - 1]
            yield at[begins], place[begins]

    def _reach(self, codes: Codes, at: Places, place: Places, step: int) -> Places:
        """How many characters from there on (step 1) or back (step -1) are equal, (finds,)."""
        length = np.zeros_like(at)
        equal, ahead = np.arange(at.size), 0
        while equal.size:
            equal = equal[codes[at[equal] + ahead] == self._text[place[equal] + ahead]]
            length[equal] += 1
            ahead += step
        return length

    def _with_a_change(self, codes: Codes, at: Places, place: Places, length: Places) -> Places:
        """The spans (4, spans) that reach beyond one other character, after a run or before it."""
        found = []
        for step, gap in ((1, length), (-1, np.full_like(length, -1))):
            change, there = at + gap, place + gap
            inside = (codes[change] != _OUTSIDE) & (self._text[there] != _LINE_END)
            beyond = np.zeros_like(at)
            beyond[inside] = self._reach(codes, change[inside] + step, there[inside] + step, step)
            start = at if step == 1 else change - beyond
            end = at + length if step == -1 else change + 1 + beyond
            long = (beyond > 0) & (end - start >= self.shortest)
            found.append(np.stack((start, end, place + start - at, change))[:, long])
        return np.concatenate(found, axis=1)

    # -- what must not be written -----------------------------------------------------------

    def forbidden(self, tail: str, longest: int) -> str:
        """The characters that would end a copy of more than `longest` characters if they were
        written after `tail`, in the order of their code points. The first call for a `longest`
        builds an index for it. Raises ConfigError for less than 1."""
        if longest < 1:
            raise ConfigError(
                f"A copy of at most {longest} characters forbids everything: allow 1 or more."
            )
        tail = tail[-longest:]  # one with a line end in it is nowhere in the index
        if len(tail) < longest:
            return ""
        if longest not in self._followed:
            self._followed[longest] = self._made_followed(longest)
        keys, codes = self._followed[longest], _codes(tail)
        # `_hashes` of one stretch.
        hashed = (codes * np.cumprod(np.full(longest, _MULTIPLIER))[::-1]).sum()
        bounds = np.array((hashed & _HASH, hashed | _PLACE))
        first, last = np.searchsorted(keys, bounds).tolist()
        places = (keys[first:last] & _PLACE).astype(np.int64)
        same = (self._text[places[:, None] + np.arange(longest)] == codes).all(axis=1)
        return "".join(map(chr, np.unique(self._text[places[same] + longest]).tolist()))

    def _made_followed(self, longest: int) -> NDArray[np.uint64]:
        """Where `longest` characters and one more stand in a line, as keys of the former; each
        such stretch is there once, so that a refrain is not searched a thousand times over."""
        keys = _keys(self._text, self._places(longest + 1), longest + 1)
        alike = np.flatnonzero((keys[1:] ^ keys[:-1]) <= _PLACE) + 1
        places = (keys & _PLACE).astype(np.int64)
        one, other = places[alike - 1], places[alike]
        same = np.ones(alike.size, bool)
        for ahead in range(longest + 1):
            same &= self._text[one + ahead] == self._text[other + ahead]
        return _keys(self._text, np.delete(places, alike[same]), longest)

    def _places(self, size: int) -> Places:
        """Where so many characters stand in one line, in the first line of those that are equal:
        the first place of a span is always in such a line."""
        starts, ends = self._lines
        return _ranges(starts, np.maximum(starts, ends - size + 1))


def is_chinese(codes: Codes) -> bool:
    """Whether most letters among the code points (N,) are Han characters."""
    counts = np.bincount(codes)
    han = sum(int(counts[first:end].sum()) for first, end in _HAN)
    letters = [code for code in np.flatnonzero(counts).tolist() if chr(code).isalpha()]
    return 2 * han > int(counts[letters].sum())


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _distinct_lines(text: Codes) -> tuple[Places, Places]:
    """Where the lines of a text with a line end on either side start and end, (lines,) both; of
    lines that are equal the first one only."""
    ends = np.flatnonzero(text == _LINE_END)
    lines = text[1:-1].tobytes().decode("utf-32-le", "surrogatepass").split("\n")
    numbered = zip(reversed(lines), range(len(lines) - 1, -1, -1), strict=True)
    first = np.sort(np.fromiter(dict(numbered).values(), np.int64))
    return ends[first] + 1, ends[first + 1]


def _hashes(codes: Codes, size: int) -> NDArray[np.uint64]:
    """A number for each stretch of so many characters, (N - size + 1,): a polynomial modulo 2**64
    (Karp & Rabin 1987)."""
    count = max(0, len(codes) - size + 1)
    hashes = np.zeros(count, np.uint64)
    for ahead in range(size):
        hashes += codes[ahead : ahead + count]
        hashes *= _MULTIPLIER
    return hashes


def _keys(text: Codes, places: Places, size: int) -> NDArray[np.uint64]:
    """The places (places,) where so many characters stand, sorted by these: the upper half of a
    key is a hash of the characters, the lower half the place."""
    keys = _hashes(text, size)[places] & _HASH
    keys |= places.astype(np.uint64)
    keys.sort()
    return keys


def _ranges(starts: Places, ends: Places) -> Places:
    """All whole numbers from each start up to its end."""
    sizes = ends - starts
    before = np.cumsum(sizes) - sizes
    ranges: Places = np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes)
    return ranges


def _longest(spans: Places) -> Places:
    """Of spans (4, spans), by start, end and place, those that lie in no other one, as they begin;
    of equal ones that of the first place."""
    spans = spans[:, np.lexsort((spans[2], -spans[1], spans[0]))]
    reached = np.maximum.accumulate(np.concatenate(([0], spans[1])))[:-1]
    return spans[:, spans[1] > reached]
