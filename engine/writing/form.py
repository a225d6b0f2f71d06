"""What a lyric is to look like: how long each line is, which lines rhyme, how lines begin and end.

A form is a list of demands, one a line, in stanzas that a blank line parts. It is written as on the
command line, `Form.of(lines=4, line_length="7,5", rhyme="ABAB", acrostic="春暖花开")`, or as TOML:

    unit = "characters"        # or "syllables"; left out, what the songs are written in
    rhymes = "新韵"            # the system that Mandarin rhymes by
    stanzas = [4, 4]           # lines of each stanza; left out, one stanza
    syllables = { fire = 1 }   # where you sing a word otherwise than the dictionary counts it

    [[lines]]
    length = "4+5"             # four, a comma, five; or 7 alone
    rhyme = "A"
    inner = ["A"]              # the first clause rhymes too; "" is a clause that is free
    first = "春"
    word = "月"
    last = "开"
    end = "。"
"""

from __future__ import annotations

import itertools
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from engine.config import Settings
from engine.errors import FormError
from engine.writing.rhyme import System

Unit = Literal["auto", "characters", "syllables"]

LONGEST = 100  # characters or syllables of a line
MOST_LINES = 10_000
MOST_SYLLABLES = 20  # of one word
FREE = "Xx-"  # letters of a scheme that rhyme with nothing
ONE_RHYME = "一韵到底"
_LINE = re.compile(r"\([^()]*\)|.")  # one line's part of a scheme
_LETTERS = re.compile(r"[A-Za-z-]|\([A-Za-z-]{2,}\)")


def _clauses(given: Any) -> Any:
    """7, "7", "4+5" or [4, 5] as the lengths of a line's clauses."""
    if isinstance(given, int):
        return (given,)
    if isinstance(given, str):
        parts = given.split("+") if given.strip() else []
        if not all(part.strip().isdecimal() for part in parts):
            raise ValueError(f"{given!r} is no length of a line: write 7, or 4+5 for two clauses.")
        return tuple(int(part) for part in parts)
    return given


def _counts(given: Any) -> Any:
    """{"fire": 1} or "fire=1, poem=2" as pairs."""
    if isinstance(given, str):
        pairs = [
            part.partition("=") for part in given.replace("，", ",").split(",") if part.strip()
        ]
        if not all(word.strip() and count.strip().isdecimal() for word, _, count in pairs):
            raise ValueError(f"{given!r} counts no syllables: write words so, fire=1, poem=2.")
        return tuple((word.strip().lower(), int(count)) for word, _, count in pairs)
    if isinstance(given, Mapping):
        return tuple((str(word).lower(), count) for word, count in given.items())
    return given


Letter = Annotated[str, Field(max_length=8)]


class LineDemand(Settings):
    """What one line is to be; everything left out is free.

    `length` counts characters or syllables, one number a clause; punctuation and space do not
    count. Lines of one `rhyme` letter rhyme; `inner` are the letters of the clauses before the
    line's end, "" where one is free. In English it is one letter, that of the end: a word within
    the line rhymes with its last. The line begins with `first`, its last character (in English, its
    last word) is `last`, `word` stands somewhere in it, and `end` is the punctuation that it ends
    with.
    """

    length: Annotated[tuple[int, ...], BeforeValidator(_clauses)] = ()
    rhyme: Letter = ""
    inner: tuple[Letter, ...] = ()
    first: str = ""
    last: str = ""
    word: str = ""
    end: str = ""

    @property
    def free(self) -> bool:
        """Whether nothing is asked."""
        return self == LineDemand()

    @property
    def letters(self) -> tuple[str, ...]:
        """The rhyme letter of each clause, that of the line's end last."""
        return (*self.inner, self.rhyme)

    @property
    def scheme(self) -> str:
        """Its part of a scheme as `Form.of` reads it: "A", "X", or "(AA)" with a rhyme within."""
        letters = "".join(letter[:1] or "X" for letter in self.letters)
        return f"({letters})" if self.inner else letters

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if any(not clause >= 1 for clause in self.length) or sum(self.length) > LONGEST:
            raise ValueError(
                f"A line of {'+'.join(map(str, self.length))} cannot be asked for: each part has "
                f"at least 1, and a line at most {LONGEST}."
            )
        if not any(self.inner):
            object.__setattr__(self, "inner", ())
        if self.inner and len(self.length) > 1 and len(self.length) != len(self.letters):
            raise ValueError(
                f"A line of {'+'.join(map(str, self.length))} has {len(self.length)} clauses, and "
                f"{self.scheme} has a letter for {len(self.letters)}: give each clause one."
            )
        for given in (self.first, self.last, self.word, self.end):
            if "\n" in given:
                raise ValueError("A demand on one line cannot hold a line end.")
        return self


class Form(Settings):
    """The demands on a lyric, line by line; `stanzas` are the lines of each stanza.

    `unit` is what lengths count; auto takes syllables where the songs are written in Latin letters.
    `tones` has Mandarin rhymes agree in 平 or 仄 too, `slant` accepts English family rhymes.
    `syllables` are words that are sung with another number of syllables than the dictionary has, or
    that it lacks.
    """

    lines: tuple[LineDemand, ...] = Field(min_length=1, max_length=MOST_LINES)
    stanzas: tuple[int, ...] = ()
    unit: Unit = "auto"
    rhymes: System = "十三辙"
    tones: bool = False
    slant: bool = False
    syllables: Annotated[
        tuple[tuple[str, int], ...],
        BeforeValidator(_counts),
        PlainSerializer(dict),
    ] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.stanzas:
            object.__setattr__(self, "stanzas", (len(self.lines),))
        if sum(self.stanzas) != len(self.lines) or min(self.stanzas) < 1:
            raise ValueError(
                f"stanzas of {', '.join(map(str, self.stanzas))} lines do not make up the form's "
                f"{len(self.lines)}: let them add up to it."
            )
        for word, count in self.syllables:
            if not 1 <= count <= MOST_SYLLABLES:
                raise ValueError(
                    f"{word} cannot have {count} syllables: give it 1 to {MOST_SYLLABLES}."
                )
        return self

    @classmethod
    def of(
        cls,
        *,
        lines: int = 0,
        line_length: str = "",
        rhyme: str = "",
        acrostic: str = "",
        **settings: Any,
    ) -> Self:
        """The form of a command line. Lengths and rhymes begin anew where they are used up; a
        scheme that begins anew opens a stanza and rhymes on something else. (AA) is one line that
        rhymes within itself too, with a letter for each of its clauses. Without `lines`, there are
        as many as the longest of the three. Raises FormError where they contradict each other.
        """
        lengths = [part.strip() for part in line_length.replace("，", ",").split(",")]
        if line_length and not all(lengths):
            raise FormError(
                f"--line-length {line_length} has an empty place: write numbers with commas, "
                "such as 7,5,7,5."
            )
        first = [character for character in acrostic if not character.isspace()]
        groups = [] if rhyme == ONE_RHYME else [_LINE.findall(group) for group in rhyme.split()]
        scheme = [line for group in groups for line in group]
        wrong = next((line for line in scheme if not _LETTERS.fullmatch(line)), None)
        if wrong:
            raise FormError(
                f"{wrong!r} is no letter of a rhyme scheme: write one such as AABB, XAXA (X is "
                f"free) or (AA)B, where the first line rhymes within too, or {ONE_RHYME}."
            )
        count = lines or max(len(first), len(lengths) if line_length else 0, len(scheme))
        if count == 0:
            raise FormError("A form needs lines: give their number with --lines.")
        if count > MOST_LINES:
            raise FormError(f"{count:,} lines are more than a form can have ({MOST_LINES:,}).")
        if len(first) > count:
            raise FormError(
                f"The acrostic {acrostic} has {len(first)} characters, one a line, and there are "
                f"only {count} lines: ask for {len(first)}."
            )
        cycle = _cycled(scheme or ["A" if rhyme else "X"], anew=bool(scheme))
        demands = []
        for index, (*inner, last) in enumerate(itertools.islice(cycle, count)):
            demand: dict[str, Any] = {"length": lengths[index % len(lengths)], "rhyme": last}
            demand["inner"] = tuple(inner)
            demand["first"] = first[index] if index < len(first) else ""
            demands.append(LineDemand(**demand))
        sizes = itertools.cycle([len(group) for group in groups] or [count])
        stanzas: list[int] = []
        while sum(stanzas) < count:
            stanzas.append(min(next(sizes), count - sum(stanzas)))
        return cls(lines=tuple(demands), stanzas=tuple(stanzas), **settings)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The form of a TOML file. Raises FormError, or ConfigError for a value of no use."""
        try:
            return cls.from_toml(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise FormError(f"The form {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise FormError(f"The form {path} is no UTF-8 text: save it as UTF-8.") from None
        except tomllib.TOMLDecodeError as error:
            raise FormError(f"The form {path} is no TOML: {error}.") from None

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """The form that a TOML text describes. Raises TOMLDecodeError and ConfigError."""
        return cls(**tomllib.loads(text))

    def breaks_before(self, line: int) -> bool:
        """Whether a blank line stands before that line, counted from 0."""
        return line > 0 and line in itertools.accumulate(self.stanzas)

    def stanza_of(self, line: int) -> range:
        """The lines of the stanza that a line belongs to."""
        ends = list(itertools.accumulate(self.stanzas))
        place = bisect_right(ends, line)
        return range(ends[place] - self.stanzas[place], ends[place])


def _cycled(scheme: list[str], *, anew: bool) -> Iterator[list[str]]:
    """The letters of one line after the other, without end: the scheme again and again, each time
    with letters of its own where `anew` is set. "" is a clause that is free."""
    for turn in itertools.count():
        number = str(turn + 1) if turn and anew else ""
        for line in scheme:
            letters = line.strip("()").upper()
            yield ["" if letter in FREE else letter + number for letter in letters]
