"""Plain text comes through as it is, and headers of songs become facts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.corpus import Corpus
from engine.corpus.passage import Passage
from engine.corpus.readers.plain import read

TWO = "---\ntitle: The Lamp\nlanguage: en\n---\n[Verse]\nla\n\nla\n---\ntitle: 灯\n---\n夜\n"
pieces_of_text = st.lists(st.text(st.sampled_from("-ab: \n春"), max_size=9), max_size=12)


def test_a_header_begins_a_song_and_is_no_text() -> None:
    first, second = read(iter([TWO]), "a.txt")
    assert first == Passage("[Verse]\nla\n\nla\n", "The Lamp", {"language": "en"})
    assert second == Passage("夜\n", "灯")
    corpus = Corpus.from_text(TWO)
    assert corpus.text == "[Verse]\nla\n\nla\n\n夜"
    assert [(song.title, dict(song.facts)) for song in corpus.songs] == [
        ("The Lamp", {"language": "en"}),
        ("灯", {}),
    ]


@pytest.mark.parametrize(
    "text", ["---\nla\n---\nla", "---", "--", "a\n" + TWO, "\n" + TWO, "---\n"]
)
def test_a_text_that_begins_otherwise_is_left_alone(text: str) -> None:
    assert list(read(iter([text]), "a.txt")) == [Passage(text)]


@given(pieces_of_text)
def test_a_text_without_headers_is_the_sum_of_its_passages(pieces: list[str]) -> None:
    text = "x" + "".join(pieces)
    assert "".join(passage.text for passage in read(iter(["x", *pieces]), "a")) == text


@given(st.integers(0, len(TWO)), st.integers(0, len(TWO)))
def test_it_does_not_matter_where_the_pieces_are_cut(one: int, two: int) -> None:
    one, two = sorted((one, two))
    pieces = [piece for piece in (TWO[:one], TWO[one:two], TWO[two:]) if piece]
    assert list(read(iter(pieces), "a.txt")) == list(read(iter([TWO]), "a.txt"))


def test_every_song_is_converted_where_a_script_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.corpus.script.converter", lambda script: str.upper)
    for text in ("la\n\nlu", TWO):
        assert Corpus.from_text(text).text == Corpus.from_text(text).text.upper()
