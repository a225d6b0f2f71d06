"""How many syllables English words have: by the CMU pronouncing dictionary, else by spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from engine.writing.sound.english import WORD, plain, pronunciations

_VOWELS = re.compile("[aeiouy]+")
# After a consonant and l or r an e is sounded: little, startled, theatre.
_SILENT = re.compile(
    "(?<=[^aeiouy])(?<![^aeiouylr][lr])e(?=(?:l[iy]|ness|less|ful|ment|m[ae]n|some|land|light|hood)"
    "(?:ly|ness|e?s)?$)"  # lately, hopelessness
    "|(?<=[^aeiouytd])(?<![^aeiouylr][lr])e(?=d$)"  # loved, not wanted
    "|(?<=[^aeiouysxzcg])(?<![cs]h)(?<![^aeiouylr][lr])e(?=s$)"  # homes, not roses nor wishes
    "|(?<=[^aeiouy])(?<![^aeiouylr][lr])e$"  # home
    "|(?<=[gq])ue(?=s?$)|^y(?=[aeiou])|(?<=[qg])u(?=[aeio])"  # rogue, yonder, question
    "|(?:(?<=[tscxg])|(?<=sh))i(?=on|ou|an|al|en)"  # nation, precious
)
_TWO = re.compile(
    "i[aou]|ie(?:n(?!d)|t|r$|st$)|[aeiouy]ing|eo|ua|uo|[aeou]y(?:[aiou]|e[rnl])|sms?$"
)


@dataclass(frozen=True, slots=True)
class Syllables:
    """A number of syllables; `guessed` where a spelling rule had to count some of them."""

    count: int
    guessed: bool


def syllables(word: str, overrides: Mapping[str, int] | None = None) -> Syllables:
    """The syllables of a word: as `overrides` (words in lower case) says, as the dictionary first
    pronounces it, or by its spelling. A hyphenated word has those of its parts, and what has no
    letters has none. Needs the extra `english`: raises ConfigError without it."""
    whole = word.lower().replace("’", "'")
    parts = WORD.findall(whole)
    alone = parts[0] if len(parts) == 1 else whole
    for spelt in (whole, alone, alone.removesuffix("'")):
        if overrides and spelt in overrides:
            return Syllables(overrides[spelt], guessed=False)
    if len(parts) == 1:
        return _of_word(plain(alone))
    return _sum(syllables(part, overrides) for part in parts)


def line_syllables(line: str, overrides: Mapping[str, int] | None = None) -> Syllables:
    """The syllables of all the words of a line."""
    return _sum(syllables(word.strip("-–—"), overrides) for word in line.split())


def _sum(parts: Iterable[Syllables]) -> Syllables:
    parts = list(parts)
    return Syllables(sum(one.count for one in parts), any(one.guessed for one in parts))


@lru_cache(65_536)
def _of_word(word: str) -> Syllables:
    found = pronunciations(word)
    if found:
        return Syllables(sum(sound[-1].isdigit() for sound in found[0]), guessed=False)
    return Syllables(by_spelling(word), guessed=True)


def by_spelling(word: str) -> int:
    """The syllables of a word that no dictionary has: its groups of vowels, less those that are
    silent, more those that are two. Public for its measurement (benchmarks/rhyme.py)."""
    letters = _SILENT.sub("", word.replace("'", ""))
    return max(1, len(_VOWELS.findall(letters)) + len(_TWO.findall(letters)))
