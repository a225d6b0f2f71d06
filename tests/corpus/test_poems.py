"""Objects in JSON and JSON Lines become songs, whatever shape they are kept in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.passage import Passage
from engine.corpus.readers import poems
from engine.corpus.readers.poems import read_json, read_jsonl
from engine.errors import CorpusError

KEYS = ("title", "rhythmic", "author", "paragraphs", "content", "lyrics", "text")
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
)


def songs(value: object) -> list[Passage]:
    return list(read_json(iter([json.dumps(value, ensure_ascii=False)]), "a.json"))


def told(text: str, lines: bool = False) -> str:
    """The sentence that a text is refused with."""
    read, name = (read_jsonl, "a.jsonl") if lines else (read_json, "a.json")
    with pytest.raises(CorpusError) as caught:
        list(read(iter([text]), name))
    sentence = str(caught.value)
    assert sentence.startswith(name)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert ": " in sentence, "it says what to do now"
    return sentence


def outcome(pieces: Iterator[str], lines: bool) -> list[Passage] | str:
    try:
        return list((read_jsonl if lines else read_json)(pieces, "a"))
    except CorpusError as error:
        return str(error)


@pytest.mark.parametrize(
    "key", ["paragraphs", "content", "para", "lyrics", "lyric", "text", "lines"]
)
def test_words_are_a_text_or_a_list_of_lines(key: str) -> None:
    assert songs({"title": "灯", key: ["一盏灯，", "两盏灯。"]})[0].text == "一盏灯，\n两盏灯。"
    assert songs({"title": "灯", key: "一盏灯，\n两盏灯。"})[0].text == "一盏灯，\n两盏灯。"


def test_a_list_of_poems_is_read_in_its_order() -> None:
    found = songs([{"title": str(each), "paragraphs": [f"line {each}"]} for each in range(3)])
    assert [(song.title, song.text) for song in found] == [
        ("0", "line 0"),
        ("1", "line 1"),
        ("2", "line 2"),
    ]


def test_what_is_not_words_is_facts_where_it_is_short() -> None:
    (song,) = songs(
        {
            "title": " The\n lamp ",
            "author": "me",
            "dynasty": "none",
            "chapter": "one",
            "paragraphs": ["la"],
            "text": "the same in prose",
            "notes": ["a note"],
            "biography": "long " * 100,
            "year": 2024,
            "empty": " ",
        }
    )
    assert song == Passage("la", "The lamp", {"author": "me", "dynasty": "none", "chapter": "one"})


def test_a_poem_without_a_title_is_called_by_its_tune_or_chapter() -> None:
    (song,) = songs([{"rhythmic": "新调", "author": "无名", "paragraphs": ["一盏灯。"]}])
    assert song == Passage("一盏灯。", "新调", {"rhythmic": "新调", "author": "无名"})
    (song,) = songs([{"chapter": "第一", "paragraphs": ["一盏灯。"]}])
    assert song == Passage("一盏灯。", "第一", {"chapter": "第一"})
    (song,) = songs([{"paragraphs": ["一盏灯。"]}])
    assert song == Passage("一盏灯。", "", {})


def test_a_book_is_read_as_its_poems() -> None:
    poem = {"chapter": "灯", "paragraphs": ["一盏灯。"]}
    assert [song.title for song in songs({"title": "书", "content": [poem, poem]})] == ["灯"] * 2
    parts = {"title": "书", "content": [{"type": "短", "content": [poem]}, {"content": [poem]}]}
    assert [song.title for song in songs(parts)] == ["灯"] * 2
    assert [song.title for song in songs({"a": poem, "b": [poem], "text": "about"})] == [""]


def test_objects_without_words_are_skipped() -> None:
    found = songs([{"title": "a"}, 3, None, "b", {"paragraphs": []}, {"text": " "}, {"text": "la"}])
    assert [song.text for song in found] == ["la"]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '"la"', "3", "null", "NaN", '[{"title": "a"}]', "[[1]]"]
)
def test_a_file_without_words_is_told(text: str) -> None:
    assert "has no object with words" in told(text)
    assert "has no object with words" in told(text, lines=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column 1"),
        ('[\n{"text": "la",}]', "line 2, column 15"),
        ('{"text": "la"}\n{"text": "la"}', "line 2, column 1: Extra data"),
        ('{"text": "la', "Unterminated string"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a":' * 100_000, "it is nested too deeply"),
        ("[" + "9" * 5000 + "]", "it holds a number of thousands of digits"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text: str, words: str) -> None:
    sentence = told(text)
    assert words in sentence
    assert "cannot be read as JSON (" in sentence


def test_odd_json_is_read() -> None:
    deep = "[" * 300 + '{"n": [NaN, -Infinity, 1e999], "text": "a", "text": "b"}' + "]" * 300
    assert [song.text for song in read_json(iter([deep]), "a.json")] == ["b"]


def test_half_a_surrogate_pair_is_replaced() -> None:
    text = r'{"title": "\ud83d", "text": "la \ude00 \ud83d\ude00", "\ud800": "\udfff"}'
    (song,) = read_json(iter([text]), "a.json")
    assert song == Passage("la \ufffd 😀", "\ufffd", {"\ufffd": "\ufffd"})


def test_control_characters_are_left() -> None:
    (song,) = read_json(iter(['{"text": "a\\u0000b\tc\nd"}']), "a.json")
    assert song.text == "a\0b\tc\nd"


def test_json_lines_are_read_one_by_one() -> None:
    text = '{"title": "a", "text": "la"}\n\n  \n[{"text": "lo"}, {"text": "li"}]\n{"n": 1}'
    found = list(read_jsonl(iter([text]), "a.jsonl"))
    assert [(song.title, song.text) for song in found] == [("a", "la"), ("", "lo"), ("", "li")]


def test_a_broken_line_is_told_with_its_number() -> None:
    assert "line 3, column 10" in told('{"text": "la"}\n\n{"text": la}\n', lines=True)
    assert "line 2 is nested too deeply" in told("{}\n" + "[" * 99_999, lines=True)


def test_songs_before_a_broken_line_have_been_given() -> None:
    def pieces() -> Iterator[str]:
        yield '{"text": "la"}\n'
        raise AssertionError("no more is needed for the first song")

    assert next(read_jsonl(pieces(), "a.jsonl")).text == "la"


def test_an_endless_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield " " * 100_000

    monkeypatch.setattr(poems, "LONGEST_FILE", 2**20)
    with pytest.raises(CorpusError, match=r"a\.json is longer than JSON is read.*\.jsonl"):
        list(read_json(endless(), "a.json"))
    with pytest.raises(CorpusError, match=r"a line of more than .* \(line 1\)"):
        list(read_jsonl(endless(), "a.jsonl"))


@given(st.lists(VALUES, max_size=3), st.booleans())
def test_any_json_is_songs_or_a_sentence(values: list[object], escaped: bool) -> None:
    text = "\n".join(json.dumps(value, ensure_ascii=escaped) for value in values)
    for found in outcome(iter([json.dumps(values)]), False), outcome(iter([text]), True):
        for passage in found if isinstance(found, list) else []:
            assert passage.text.strip()
            assert passage.title is not None
            if escaped:  # what a file holds has no surrogates but escaped ones
                for told in (passage.text, passage.title, *passage.facts, *passage.facts.values()):
                    told.encode()


@given(st.lists(st.sampled_from('{}[]",:\n') | st.sampled_from(['"text"', '"la"']) | st.text()))
def test_any_text_in_any_pieces_comes_to_the_same(pieces: list[str]) -> None:
    for lines in (False, True):
        whole = outcome(iter(["".join(pieces)]), lines)
        assert outcome(iter(pieces), lines) == whole
        assert outcome(iter("".join(pieces)), lines) == whole


@given(st.data())
def test_songs_in_any_pieces_come_to_the_same(data: st.DataObject) -> None:
    text = '{"title": "a", "text": "la\\nlo"}\n\n{"paragraphs": ["一", "二"]}\n'
    cut = data.draw(st.integers(0, len(text)))
    found = list(read_jsonl(iter([text[:cut], "", text[cut:]]), "a.jsonl"))
    assert [song.text for song in found] == ["la\nlo", "一\n二"]
