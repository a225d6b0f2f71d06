"""How Mandarin rhymes: by the finals of its syllables, and in verse by their tones.

The three systems in use. 十三辙 is what singers and lyricists go by; 中华新韵 (fourteen
classes, 2005) and 中华通韵 (sixteen, standard of 2019) are those of verse.

With tones, a class is parted into 平, level (the first and second tone), and 仄, oblique (the third
and fourth). A neutral tone counts as the tone that its character has by itself in the same
syllable (孩子's 子 as zǐ), and as level where it has none (了).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal, get_args

from engine.errors import ConfigError

System = Literal["十三辙", "新韵", "通韵"]

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
HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")


def mandarin_class(line: str, system: System = "十三辙", tones: bool = False) -> str | None:
    """The rhyme class of a line's last Chinese character, read in its line (行长 is not 银行);
    None where there is none, or it has no final (嗯). With `tones`, "言前平" or "言前仄". Raises
    ConfigError for another system."""
    _check(system)
    phrases = HAN.findall(line)
    if not phrases:
        return None
    return _class_of(_last_syllable(phrases[-1]), system, tones)


def character_classes(
    character: str, system: System = "十三辙", tones: bool = False
) -> frozenset[str]:
    """The rhyme classes that a character has by any of its readings (行: háng, xíng); empty for
    what is no Chinese character, and where it has no final. Raises ConfigError as above."""
    _check(system)
    syllables = (_toned(syllable, character) for syllable in _readings(character))
    classes = (_class_of(syllable, system, tones) for syllable in syllables)
    return frozenset(one for one in classes if one)


def _check(system: str) -> None:
    if system not in _CLASS_OF:
        raise ConfigError(f"{system} is no rhyme system: one of {', '.join(get_args(System))}.")


@lru_cache(65_536)
def _last_syllable(phrase: str) -> str:
    """The syllable of the last character as read in the phrase, its tone after it (chun1)."""
    from pypinyin import Style, lazy_pinyin

    return _toned(lazy_pinyin(phrase, style=Style.TONE3)[-1], phrase[-1])


@cache
def _readings(character: str) -> tuple[str, ...]:
    from pypinyin import Style, pinyin

    found = pinyin(character, style=Style.TONE3, heteronym=True, errors="ignore")
    return tuple(found[0]) if found else ()


def _toned(syllable: str, character: str) -> str:
    """The syllable with the tone that it counts as."""
    if syllable[-1:].isdecimal():
        return syllable
    return next((one for one in _readings(character) if one[:-1] == syllable), syllable + "1")


@cache
def _class_of(syllable: str, system: System, tones: bool) -> str | None:
    from pypinyin.contrib.tone_convert import to_finals, to_initials

    plain, tone = syllable[:-1], syllable[-1]
    final = to_finals(plain, strict=True)
    if final == "i" and to_initials(plain) in _APICAL:
        final = "-i"
    name = _CLASS_OF[system].get(final)
    if name is None or not tones:
        return name
    return name + ("平" if tone in "12" else "仄")
