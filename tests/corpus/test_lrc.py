"""Timed lyrics become a song as it is sung, and their tags what is known about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.passage import Passage
from engine.corpus.readers import lrc
from engine.errors import CorpusError

FRAGMENTS = (
    "[00:01.00]",
    "[00:02]",
    "<00:01.50>",
    "[ti:",
    "[ar:us]",
    "[",
    "]",
    "\n",
    "la",
    " ",
    "啦",
)


def song(text: str) -> Passage:
    (passage,) = lrc.read(iter([text]), "a.lrc")
    return passage


def words(text: str) -> str:
    return song(text).text


@pytest.mark.parametrize(
    "stamps",
    [
        ("[00:01.00]", "[00:02.00]", "[00:03.00]"),
        ("[00:01]", "[00:02]", "[01:00]"),
        ("[00:01:98]", "[00:01:99]", "[00:02:00]"),
        ("[00:01.5]", "[00:01.55]", "[00:01.555]"),
        ("[00:59,99]", "[99:00.00]", "[100:00.00]"),
        ("[59:59.99]", "[01:00:00.00]", "[02:00:00.00]"),
    ],
)
def test_lines_come_in_the_order_of_their_times(stamps: tuple[str, str, str]) -> None:
    first, second, third = stamps
    assert words(f"{third}three\n{first}one\n{second} two") == "one\ntwo\nthree"


def test_a_line_is_sung_at_each_of_its_times() -> None:
    text = "[00:30.00][00:10.00]la la\n[00:20.00] [00:40.00] lo\n"
    assert words(text) == "la la\nlo\nla la\nlo"


def test_lines_of_one_time_stay_in_the_order_of_the_file() -> None:
    text = "[00:02.00]blue\n[00:02.00]蓝\n[00:01.00]red\n[00:01.00]红"
    assert words(text) == "red\n红\nblue\n蓝"


def test_a_line_without_a_time_stays_after_the_line_before_it() -> None:
    text = "first\n[00:20.00]c\nafter c\n[00:05.00][00:30.00]a\nafter a\n[副歌]\n[00:10.00]b"
    assert words(text) == "first\na\nafter a\n[副歌]\nb\nc\nafter c\na"


def test_section_labels_are_text() -> None:
    text = "[Chorus]\n[00:01.00]la\n[Verse 2: all]\n[00:02.00]lo\n[00:03.00][副歌]"
    assert words(text) == "[Chorus]\nla\n[Verse 2: all]\nlo\n[副歌]"


def test_tags_are_facts_and_no_text() -> None:
    text = (
        "[ti:The [real] lamp]\n[ar: us ][al:Lamps]\n[au:me]\n[by:a friend]\n[offset:-500]\n"
        "[la:en]\n[length: 03:20]\n[re:editor 1]\n[ve:2]\n[#:made up]\n"
        "[mood:  calm\t sea ]\n[key:]\n"
        "[00:01.00]la"
    )
    assert song(text) == Passage(
        "la",
        "The [real] lamp",
        {
            "artist": "us",
            "album": "Lamps",
            "author": "me",
            "by": "a friend",
            "language": "en",
            "length": "03:20",
            "editor": "editor 1",
            "version": "2",
            "comment": "made up",
            "mood": "calm sea",
        },
    )


def test_a_song_without_tags_has_an_empty_title() -> None:
    assert song("[00:01.00]la") == Passage("la", "", {})


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("<00:01.00>turn <00:01.50>it <00:02.00>on", "turn it on"),
        ("<00:01.00> turn <00:01.50> it  <00:02.00> on <00:02.50>", "turn it on"),
        ("<00:01.00>lan<00:01.50>tern <00:02.00> <00:02.10> lit", "lantern lit"),
        ("<00:01.00>点<00:01.50>一<00:02>盏<00:02:50>灯", "点一盏灯"),
        ("turn [00:01.50]it [00:02.00]on", "turn it on"),
        ("a <b> [c] 1:23", "a <b> [c] 1:23"),
        ("two  spaces", "two  spaces"),
    ],
)
def test_word_stamps_are_taken_out(line: str, text: str) -> None:
    assert words(f"[00:01.00]{line}") == text


def test_an_empty_line_ends_a_stanza_once() -> None:
    text = "\n[00:00.00]\n[00:01]a\n[00:02]\n[00:03] <00:03.00> \n\n[00:04]b\n[00:05]\n\n"
    assert words(text) == "a\n\nb"


@pytest.mark.parametrize("text", ["", "\n\n", "[ti:Silence]\n[ar:us]\n", "[00:01.00]\n[00:09.00]"])
def test_a_file_without_words_is_no_song(text: str) -> None:
    assert list(lrc.read(iter([text]), "a.lrc")) == []


def test_text_without_times_is_a_song() -> None:
    assert words("la la\n\n\nlo\n") == "la la\n\nlo"


def test_a_file_beyond_a_song_is_refused_before_all_of_it_is_held() -> None:
    def endless():  # type: ignore[no-untyped-def]
        while True:
            yield "[00:01.00]la\n" * 10_000

    with pytest.raises(CorpusError, match=r"big\.lrc is longer than a song .*: save it"):
        list(lrc.read(endless(), "big.lrc"))


def test_a_line_that_is_sung_beyond_a_song_is_refused() -> None:
    text = "[00:01.00]" * 100_000 + "la" * 100_000
    with pytest.raises(CorpusError, match="longer than a song"):
        list(lrc.read(iter([text]), "a.lrc"))


@pytest.mark.parametrize("bait", ["[ti:", "[", "<00:01", "[00:01.00]", " ", "[a:b]", "[ti:[", "\n"])
def test_nothing_takes_quadratic_time(bait: str) -> None:
    list(lrc.read(iter([bait * 300_000 + "x"]), "a.lrc"))


@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text())))
def test_any_text_in_any_pieces_is_one_song_or_none(pieces: list[str]) -> None:
    whole = list(lrc.read(iter(["".join(pieces)]), "a.lrc"))
    assert list(lrc.read(iter(pieces), "a.lrc")) == whole
    assert list(lrc.read(iter("".join(pieces)), "a.lrc")) == whole
    for passage in whole:
        assert passage.text.strip("\n") == passage.text != ""
        assert "\n\n\n" not in passage.text
        assert passage.title is not None
