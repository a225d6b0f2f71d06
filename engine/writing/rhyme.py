"""Which lines rhyme, and what rhymes with a word; how either sounds is in engine/writing/sound."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from string import ascii_uppercase
from typing import Literal, get_args

from engine.errors import ConfigError, InputError
from engine.writing.sound.english import (
    RHYMES,
    SLANT,
    WORD,
    Kind,
    Phonemes,
    Sounds,
    english_keys,
    english_rhyme,
    english_sounds,
    family,
    last_word,
    plain,
    rhyme_depth,
)
from engine.writing.sound.mandarin import (
    HAN,
    System,
    character_classes,
    mandarin_class,
)
from engine.writing.sound.syllables import Syllables, line_syllables, syllables

__all__ = [
    "RHYMES",
    "SLANT",
    "WORD",
    "Kind",
    "Language",
    "Phonemes",
    "Rhyming",
    "Sounds",
    "Syllables",
    "System",
    "character_classes",
    "endings",
    "english_keys",
    "english_rhyme",
    "english_sounds",
    "family",
    "internal_rhymes",
    "last_word",
    "letters",
    "letters_of",
    "line_syllables",
    "mandarin_class",
    "rhyme_depth",
    "rhyming",
    "syllables",
]

Language = System | Literal["english"]  # what lines rhyme by
_LANGUAGES = (*get_args(System), "english")


@dataclass(frozen=True, slots=True)
class Rhyming:
    """A word that rhymes, how often the songs have it, and how well it rhymes."""

    word: str
    count: int
    kind: Kind


def letters_of(
    lines: Sequence[str], language: Language = "十三辙", *, tones: bool = False, slant: bool = False
) -> list[str | None]:
    """The rhyme letter of each line (A to Z, then A2 to Z2…): "" where it rhymes with no other
    line, None where it is blank. Lines that only repeat one word or character do not rhyme.

    `tones` has Mandarin rhymes agree in 平 or 仄, `slant` takes English family rhymes. A line whose
    word has several pronunciations goes with the most lines. Raises ConfigError for an unknown
    rhyme system, and without the extra that English needs."""
    _check(language)
    ends = [_ending(line, language) for line in lines]
    keys = [
        _keys(line, language, tones=tones, slant=slant) if end else ()
        for line, end in zip(lines, ends, strict=True)
    ]
    different: dict[str | Phonemes, set[str]] = defaultdict(set)
    for end, its in zip(ends, keys, strict=True):
        for key in its:
            different[key].add(end)
    chosen = [max(its, key=lambda key: (len(different[key]), key), default=None) for its in keys]
    rhymes: dict[str | Phonemes, set[str]] = defaultdict(set)
    for end, choice in zip(ends, chosen, strict=True):
        if choice is not None:
            rhymes[choice].add(end)
    names, given = letters(), dict[str | Phonemes, str]()
    found: list[str | None] = []
    for line, choice in zip(lines, chosen, strict=True):
        if not line.strip():
            found.append(None)
        elif choice is None or len(rhymes[choice]) < 2:
            found.append("")
        else:
            if choice not in given:
                given[choice] = next(names)
            found.append(given[choice])
    return found


def letters() -> Iterator[str]:
    """The names of rhymes, without end: A to Z, A2 to Z2 and so on."""
    for turn in count(1):
        for letter in ascii_uppercase:
            yield letter + (str(turn) if turn > 1 else "")


def internal_rhymes(line: str, language: Language = "十三辙") -> list[tuple[int, int]]:
    """Where a line holds words that rhyme with its end, as (start, end) of each. In Mandarin these
    are the last characters of its earlier clauses, in English perfect rhymes. Raises ConfigError as
    above."""
    _check(language)
    if language == "english":
        words = list(WORD.finditer(line))
        return [
            word.span() for word in words[:-1] if english_rhyme(word[0], words[-1][0]) in RHYMES
        ]
    clauses = list(HAN.finditer(line))
    last = clauses[-1][0][-1] if clauses else ""
    its = mandarin_class(line, language)
    return [
        (clause.end() - 1, clause.end())
        for clause in clauses[:-1]
        if its and clause[0][-1] != last and mandarin_class(clause[0], language) == its
    ]


def endings(lines: Iterable[str], language: Language = "十三辙") -> Counter[str]:
    """What `rhyming` chooses from: how often lines hold each English word, or each Chinese
    character and each pair of characters that ends a clause. Raises ConfigError for an unknown
    rhyme system."""
    _check(language)
    found: Counter[str] = Counter()
    for line in lines:
        if language == "english":
            found.update(map(plain, WORD.findall(line)))
            continue
        for clause in HAN.findall(line):
            found.update(clause)
            found.update([clause[-2:]] if len(clause) > 1 else [])
    return found


def rhyming(
    wanted: str,
    words: Mapping[str, int],
    language: Language = "十三辙",
    *,
    tones: bool = False,
    kinds: Collection[Kind] = (*RHYMES, *SLANT),
    most: int | None = None,
) -> list[Rhyming]:
    """What rhymes with a word, a character or the end of a line, of words with their counts
    (`endings`): the better rhymes first, then the more frequent. A Chinese character stands for all
    its readings. Raises InputError where there is nothing to rhyme with, ConfigError as above."""
    _check(language)
    if language == "english":
        found = _rhyming_in_english(wanted, words)
    else:
        found = _rhyming_in_mandarin(wanted, words, language, tones=tones)
    order = {kind: place for place, kind in enumerate((*RHYMES, *SLANT))}
    chosen = [one for one in found if one.kind in kinds]
    return sorted(chosen, key=lambda one: (order[one.kind], -one.count, one.word))[:most]


def _rhyming_in_english(wanted: str, words: Mapping[str, int]) -> list[Rhyming]:
    word = last_word(wanted)
    if not word:
        raise InputError(f"{wanted!r} has no English word to rhyme with: give one.")
    if not english_keys(word):
        raise InputError(f"No pronunciation is known for {word}: give another word.")
    kinds = ((other, english_rhyme(word, other)) for other in words)
    return [Rhyming(other, words[other], kind) for other, kind in kinds if kind]


def _rhyming_in_mandarin(
    wanted: str, words: Mapping[str, int], system: System, *, tones: bool
) -> list[Rhyming]:
    ending = "".join(HAN.findall(wanted))
    if not ending:
        raise InputError(f"{wanted!r} has no Chinese character to rhyme with: give one.")
    classes = _classes(ending, system, tones)
    if not classes:
        raise InputError(f"{ending[-1]} has no final to rhyme with: give another character.")
    return [
        Rhyming(word, times, "perfect")
        for word, times in words.items()
        if word[-1:] != ending[-1] and not classes.isdisjoint(_classes(word, system, tones))
    ]


def _classes(word: str, system: System, tones: bool) -> frozenset[str]:
    """Of a character in any reading, of more than one as they are read together."""
    if len(word) == 1:
        return character_classes(word, system, tones)
    one = mandarin_class(word, system, tones)
    return frozenset((one,) if one else ())


def _check(language: str) -> None:
    if language not in _LANGUAGES:
        raise ConfigError(f"{language} is no rhyme system: one of {', '.join(_LANGUAGES)}.")


def _ending(line: str, language: Language) -> str:
    """What a line rhymes with: its last word or character, empty where it has none."""
    if language == "english":
        return last_word(line)
    phrases = HAN.findall(line)
    return phrases[-1][-1] if phrases else ""


def _keys(
    line: str, language: Language, *, tones: bool, slant: bool
) -> Collection[str] | Collection[Phonemes]:
    if language == "english":
        keys = english_keys(last_word(line))
        return {family(key) for key in keys} if slant else keys
    key = mandarin_class(line, language, tones)
    return (key,) if key else ()
