"""The same song twice is found, by its words or nearly by them, and sits on one side of a split."""

from __future__ import annotations

import random

import pytest

from engine.config import CorpusConfig
from engine.corpus import duplicates
from engine.corpus.corpus import Corpus

SONG = """the rain came down on Monday
and stayed for all the week
we sat and watched the river
and no one thought to speak"""
NEAR = SONG.replace("Monday", "Tuesday,").replace("And", "and").upper()
OTHER = """a kettle and a candle
a cupboard and a key
the things my mother gave me
are all I need for tea"""


def groups(*songs: str) -> list[int]:
    return Corpus.from_text("\n\n".join(songs)).copies().group.tolist()


def test_copies_name_the_first_of_their_kind() -> None:
    assert groups(SONG, OTHER, SONG, NEAR, OTHER) == [0, 1, 0, 0, 1]
    copies = Corpus.from_text("\n\n".join([SONG, OTHER, SONG, NEAR])).copies()
    assert (copies.exact, copies.near) == (1, 1)


def test_a_line_in_common_makes_no_copy() -> None:
    chorus = "la la la la"
    assert groups(f"{SONG}\n{chorus}", f"{OTHER}\n{chorus}") == [0, 1]


def test_case_punctuation_and_space_do_not_count() -> None:
    assert groups("La la, la!", "la  la\nla", "la la lu") == [0, 0, 2]


def test_copies_of_copies_are_one_group() -> None:
    lines = [f"line number {number} of it" for number in range(12)]
    songs = ["\n".join(lines[start : start + 6]) for start in (0, 1, 2, 3)]
    assert groups(*songs) == [0, 0, 0, 0]


def test_beyond_a_size_only_exact_copies_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_SONGS", 2)
    copies = Corpus.from_text("\n\n".join([SONG, NEAR, SONG])).copies()
    assert (copies.group.tolist(), copies.exact, copies.near) == ([0, 1, 0], 1, None)


def test_near_copies_stay_on_one_side_of_the_split(seed: int) -> None:
    rng = random.Random(seed)
    songs = []
    for number in range(30):
        lines = [f"song {number} line {line} {rng.random()}" for line in range(6)]
        songs += ["\n".join(lines), "\n".join([*lines[:5], f"changed {number}"])]
    corpus = Corpus.from_text("\n\n".join(songs))
    for split_seed in range(5):
        split = corpus.split(0.3, seed=split_seed)
        for number in range(30):
            sides = {
                f"song {number} line" in str(side) for side in (split.training, split.held_out)
            }
            assert sides == {True, False}


def test_copies_are_dropped_where_that_is_asked() -> None:
    text = "\n\n".join([SONG, OTHER, SONG, NEAR])
    corpus = Corpus.from_text(text, config=CorpusConfig(duplicates="drop"))
    assert corpus.text == f"{SONG}\n\n{OTHER}"
    assert [corpus.text[song.start : song.end] for song in corpus.songs] == [SONG, OTHER]
    assert dict(corpus.report.counts)["duplicates"] == 2
