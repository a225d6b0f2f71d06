"""The report card of a set of lyrics: how varied they are, how they rhyme, how long their lines
are, and how much of them is new.

No figure says much alone. The card has three columns of them: of what a network wrote, of human
lines that it never saw, as many, and of those same lines shuffled, which is what chance gives.

All figures are shares, 0 to 1, or None where there is nothing to count. Tokens are characters that
are sung where the songs are Chinese, else words in small letters.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.corpus.corpus import song_places
from engine.errors import ConfigError
from engine.writing.originality import Originality
from engine.writing.rhyme import RHYMES, english_rhyme, last_word, mandarin_class

Unit = Literal["characters", "words"]
Line = Sequence[str]  # its tokens
Numbers = NDArray[np.int64]
Ending = tuple[str, str]  # what a line ends with, and how that sounds

_TOKEN: dict[Unit, re.Pattern[str]] = {
    "characters": re.compile(r"[^\W_]"),
    "words": re.compile(r"[^\W_]+(?:['’][^\W_]+)*"),
}
_LONGEST_GRAM: dict[Unit, int] = {"characters": 16, "words": 10}
_BLEU_ORDER = 4
_BLEU_EPSILON = 0.1
_RHYMES = (*RHYMES, "family")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_BREAK, _NEW = 0, -1  # in numbered tokens: a blank line, and a token that the songs lack


@dataclass(frozen=True, slots=True)
class Figures:
    """One column.

    `distinct_1` and `distinct_2` are the distinct tokens and pairs of neighbours in a line among
    all of them (Li et al. 2016). `self_bleu` is how much lines are like each other. `rhyme_before`
    and `rhyme_within_two` are the lines that rhyme with the line before, or with one of the two
    before. `line_lengths` is what the distribution of line lengths has in common with that of the
    training text: the sum of the smaller of the two shares of each length, 1 where they are equal
    (histogram intersection, Swain & Ballard 1991). `verbatim` are the characters in copies from
    the training text, `copied` those in near-copies too. `novelty[n - 1]` are the runs of n tokens
    that the training text lacks (RAVEN, McCoy et al. 2023); they go on over line ends, and end at
    blank lines.
    """

    lines: int
    characters: int
    distinct_1: float | None
    distinct_2: float | None
    self_bleu: float | None
    rhyme_before: float | None
    rhyme_within_two: float | None
    line_lengths: float | None
    verbatim: float | None
    copied: float | None
    novelty: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ReportCard:
    """The three columns; `unit` is what tokens are, `shortest` the characters from which on a span
    counts as copied, `bits_per_character` how well the network predicts the human text."""

    unit: Unit
    shortest: int
    bits_per_character: float | None
    written: Figures
    human: Figures
    shuffled: Figures


def report_card(
    training: str,
    written: str,
    human: str,
    *,
    bits_per_character: float | None = None,
    seed: int = 0,
) -> ReportCard:
    """The card of a written text beside a human one, both with blank lines between songs. The
    longer one is cut to the lines of the other: most figures change with the size of a text. A
    seed shuffles; the same seed makes the same card."""
    taught = Taught(training)
    lines = min(len(_lines(written)), len(_lines(human)))
    written, human = _first_lines(written, lines), _first_lines(human, lines)
    return ReportCard(
        unit=taught.unit,
        shortest=taught.originality.shortest,
        bits_per_character=bits_per_character,
        written=taught.figures(written),
        human=taught.figures(human),
        shuffled=taught.figures(shuffled(human, seed)),
    )


def excerpt(text: str, characters: int, seed: int) -> str:
    """At most so many characters of a text in whole lines, from the beginning of a song that the
    seed draws; all of a text that is shorter."""
    if len(text) <= characters:
        return text
    starts, _ = song_places(text)
    early = starts[starts <= len(text) - characters].tolist() or [0]
    start = early[int(np.random.default_rng(seed).integers(len(early)))]
    return whole_lines(text[start : start + characters])


def whole_lines(text: str) -> str:
    """A text without its last line, which may have been cut; all of it where it has only one."""
    return text.rpartition("\n")[0] or text


def shuffled(text: str, seed: int) -> str:
    """The same lines in another order; blank lines stay where they are."""
    lines = _lines(text)
    order = iter(np.random.default_rng(seed).permutation(len(lines)).tolist())
    return "\n".join(lines[next(order)] if line.strip() else line for line in text.split("\n"))


class Taught:
    """What is known of the training text, worked out once for all columns."""

    def __init__(self, training: str) -> None:
        self.originality = Originality.of_text(training)
        self.unit: Unit = "characters" if self.originality.chinese else "words"
        self._number_of: dict[str, int] = {}
        self._lengths = Counter[int]()  # of lines in tokens
        numbers = array("q")
        for line in training.split("\n"):
            tokens = self._tokens(line)
            if tokens:
                self._lengths[len(tokens)] += 1
                numbers.extend(map(self._met, tokens))
            elif not line.strip():
                numbers.append(_BREAK)
        self._numbers = np.array(numbers, np.int64)

    def figures(self, text: str) -> Figures:
        """The figures of a text, with `\\n` between lines and blank lines between songs."""
        lines = [tokens for line in text.split("\n") if (tokens := self._tokens(line))]
        verbatim, copied = self._copied(text)
        before, within_two = self._rhyming(text)
        return Figures(
            lines=len(_lines(text)),
            characters=len(text) - text.count("\n"),
            distinct_1=distinct(lines, 1),
            distinct_2=distinct(lines, 2),
            self_bleu=self_bleu(lines),
            rhyme_before=before,
            rhyme_within_two=within_two,
            line_lengths=overlap(Counter(map(len, lines)), self._lengths),
            verbatim=verbatim,
            copied=copied,
            novelty=self._novelty(text),
        )

    def _tokens(self, line: str) -> list[str]:
        return _TOKEN[self.unit].findall(line.lower())

    def _met(self, token: str) -> int:
        return self._number_of.setdefault(token, len(self._number_of) + 1)

    def _rhyming(self, text: str) -> tuple[float | None, float | None]:
        """The lines that rhyme with the one before, and with one of the two before."""
        chinese = self.unit == "characters"
        ending, rhymes = (
            (_mandarin_ending, _mandarin_rhyme) if chinese else (_english_ending, _english_rhyme)
        )
        stanzas = [[*map(ending, block.split("\n"))] for block in re.split(r"\n\s*\n", text)]
        try:
            return rhyme_rate(stanzas, 1, rhymes), rhyme_rate(stanzas, 2, rhymes)
        except ConfigError:  # the extra `english` is not installed
            return None, None

    def _copied(self, text: str) -> tuple[float | None, float | None]:
        exact, any_ = np.zeros((2, len(text)), bool)
        for copy in self.originality.copies(text):
            any_[copy.start : copy.end] = True
            if copy.changed is None:
                exact[copy.start : copy.end] = True
        characters = len(text) - text.count("\n")
        return _share(int(exact.sum()), characters), _share(int(any_.sum()), characters)

    def _novelty(self, text: str) -> tuple[float | None, ...]:
        numbers: list[int] = []
        for line in text.split("\n"):
            numbers += [self._number_of.get(token, _NEW) for token in self._tokens(line)]
            if not line.strip():
                numbers.append(_BREAK)
        return novelty(np.array(numbers, np.int64), self._numbers, _LONGEST_GRAM[self.unit])


# -- the figures ----------------------------------------------------------------------------


def distinct(lines: Sequence[Line], size: int) -> float | None:
    """The distinct runs of so many tokens in a line, among all such runs (distinct-n)."""
    grams = [gram for line in lines for gram in _grams(line, size)]
    return _share(len(set(grams)), len(grams))


def self_bleu(lines: Sequence[Line]) -> float | None:
    """The mean BLEU-4 of each line against all others (Zhu et al. 2018).

    BLEU as of Papineni et al. 2002; where a precision is 0, its numerator is 0.1 (smoothing 1 of
    Chen & Cherry 2014), and runs longer than the line do not count. Takes time linear in the
    text: of each run, the lines that have it most often are known.
    """
    if len(lines) < 2:
        return None
    orders = range(1, _BLEU_ORDER + 1)
    counted = [[Counter(_grams(line, size)) for size in orders] for line in lines]
    most: dict[Line, tuple[int, int, int]] = {}  # how often, in which line, and in any other one
    for index, counts in enumerate(counted):
        for gram, count in (pair for one in counts for pair in one.items()):
            top, holder, second = most.get(gram, (0, -1, 0))
            if count > top:
                most[gram] = (count, index, top)
            elif count > second:
                most[gram] = (top, holder, count)
    lengths = Counter(map(len, lines))
    total = 0.0
    for index, (line, counts) in enumerate(zip(lines, counted, strict=True)):
        logs = []
        for grams in filter(None, counts):
            shared = 0
            for gram, count in grams.items():
                top, holder, second = most[gram]
                shared += min(count, second if holder == index else top)
            logs.append(math.log((shared or _BLEU_EPSILON) / grams.total()))
        others = [size for size, count in lengths.items() if count > (size == len(line))]
        nearest = min(others, key=lambda size: (abs(size - len(line)), size))
        brevity = min(0.0, 1 - nearest / len(line))
        total += math.exp(brevity + sum(logs) / len(logs))
    return total / len(lines)


def rhyme_rate(
    stanzas: Sequence[Sequence[Ending | None]],
    reach: int,
    rhymes: Callable[[Ending, Ending], bool],
) -> float | None:
    """The lines that rhyme with one of the `reach` lines before, among those that have an ending
    and so have some of these. A line looks no further than its stanza."""
    asked = rhyming = 0
    for stanza in stanzas:
        for index, ending in enumerate(stanza):
            before = [other for other in stanza[max(0, index - reach) : index] if other]
            if ending and before:
                asked += 1
                rhyming += any(rhymes(other, ending) for other in before)
    return _share(rhyming, asked)


def overlap(one: Counter[int], other: Counter[int]) -> float | None:
    """What two distributions have in common: the sum of the smaller share of each value."""
    if not one or not other:
        return None
    return sum(min(one[value] / one.total(), other[value] / other.total()) for value in one)


def novelty(numbers: Numbers, known: Numbers, longest: int) -> tuple[float | None, ...]:
    """For n = 1 to `longest`, the runs of n tokens in a text (N,) that a known text (M,) lacks.
    Tokens are numbers from 1, 0 ends a run, and -1 is a token that the known text lacks.

    Only places of the known text whose first n tokens stand in the other one are looked at for
    n + 1, so that this takes a few passes over it, and no hash.
    """
    end = np.full(longest + 1, _BREAK)
    numbers, known = np.concatenate((numbers, end)), np.concatenate((known, end))
    breaks = np.flatnonzero(numbers == _BREAK)
    left = breaks[np.searchsorted(breaks, np.arange(numbers.size - longest))]
    left -= np.arange(left.size)  # tokens from each place on to the end of its run
    here, there = np.flatnonzero(numbers > _BREAK), np.flatnonzero(known > _BREAK)
    # `kind` and `known_kind` number the runs of n - 1 tokens that begin at each place.
    kind, known_kind = np.zeros_like(here), np.zeros_like(there)
    base = int(known.max()) + 2  # so that a break and a new token make keys of their own
    found = []
    for size in range(1, longest + 1):
        known_last = known[there + size - 1]
        keys = kind * base + numbers[here + size - 1]
        known_keys = known_kind * base + known_last
        common = np.intersect1d(keys, known_keys[known_last > _BREAK])
        in_both, known_in_both = (_is_in(one, common) for one in (keys, known_keys))
        here, there = here[in_both], there[known_in_both]
        kind = np.searchsorted(common, keys[in_both])
        known_kind = np.searchsorted(common, known_keys[known_in_both])
        total = int((left >= size).sum())
        found.append(_share(total - here.size, total))
    return tuple(found)


# -- small things ---------------------------------------------------------------------------


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _first_lines(text: str, count: int) -> str:
    """The first so many lines of a text, blank ones between them not counted."""
    lines = text.split("\n")
    ends = [index for index, line in enumerate(lines, start=1) if line.strip()][:count]
    return "\n".join(lines[: ends[-1] if ends else 0])


def _grams(line: Line, size: int) -> list[Line]:
    return [tuple(line[start : start + size]) for start in range(len(line) - size + 1)]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _is_in(values: Numbers, ordered: Numbers) -> NDArray[np.bool_]:
    """Which values (N,) are among those in ascending order."""
    if not ordered.size:
        return np.zeros(values.size, bool)
    places = np.minimum(np.searchsorted(ordered, values), ordered.size - 1)
    found: NDArray[np.bool_] = ordered[places] == values
    return found


def _mandarin_ending(line: str) -> Ending | None:
    """A line's last Chinese character and its rhyme class."""
    characters, sound = _HAN.findall(line), mandarin_class(line)
    return (characters[-1], sound) if sound else None


def _mandarin_rhyme(one: Ending, other: Ending) -> bool:
    return one[1] == other[1] and one[0] != other[0]


def _english_ending(line: str) -> Ending | None:
    word = last_word(line)
    return (word, "") if word else None


def _english_rhyme(one: Ending, other: Ending) -> bool:
    return english_rhyme(one[0], other[0]) in _RHYMES
