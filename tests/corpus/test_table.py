"""Rows of a table become songs, by the columns that its header names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.passage import Passage
from engine.corpus.readers import table
from engine.corpus.readers.table import read_csv, read_tsv
from engine.errors import CorpusError

FRAGMENTS = ("lyrics", "title", ",", ";", "\t", '"', '""', "\n", "\\n", "la", " ", "\r", "\0")


def songs(text: str) -> list[Passage]:
    return list(read_csv(iter([text]), "a.csv"))


def told(text: str) -> str:
    """The sentence that a text is refused with."""
    with pytest.raises(CorpusError) as caught:
        songs(text)
    sentence = str(caught.value)
    assert sentence.startswith("a.csv")
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert ": " in sentence, "it says what to do now"
    return sentence


def outcome(pieces: Iterator[str], tabs: bool = False) -> list[Passage] | str:
    try:
        return list((read_tsv if tabs else read_csv)(pieces, "a"))
    except CorpusError as error:
        return str(error)


def test_rows_are_songs() -> None:
    text = 'Title,Artist,Year,id,Lyrics\nLamp,us,2024,7,"la, la\nlo ""lo"""\nSea,,,8,li\n'
    assert songs(text) == [
        Passage('la, la\nlo "lo"', "Lamp", {"artist": "us", "year": "2024"}),
        Passage("li", "Sea", {}),
    ]


def test_tabs_and_semicolons_separate_too() -> None:
    same = [Passage("la, la", "Lamp", {"artist": "us"})]
    assert songs("title;artist;lyrics\nLamp;us;la, la\n") == same
    assert list(read_tsv(iter(["title\tartist\tlyrics\nLamp\tus\tla, la\n"]), "a.tsv")) == same


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("lyrics,text", "first"),
        ("text,LYRICS", "second"),
        ("words, Text ", "second"),
        ("content,正文", "first"),
        ("词,歌词", "second"),
        ("内容,id", "first"),
        ('id,"內容"', "second"),
    ],
)
def test_the_column_of_words_is_the_first_that_is_known(header: str, words: str) -> None:
    assert [song.text for song in songs(f"{header}\nfirst,second\n")] == [words]


@pytest.mark.parametrize(
    "column", ["title", "Name", "SONG", "track", "歌名", "标题", "題目", "rhythmic"]
)
def test_a_column_names_the_song(column: str) -> None:
    assert songs(f"text,{column}\nla, The  lamp\n")[0].title == "The lamp"


def test_facts_are_the_columns_that_are_known() -> None:
    text = f"歌手,language,tempo,genre,text\n我们,zh,120,{'long ' * 100},啦\n"
    assert songs(text) == [Passage("啦", "", {"歌手": "我们", "language": "zh"})]


def test_line_ends_that_are_written_out_are_line_ends() -> None:
    assert songs("text\nla\\nlo\\r\\nli\n")[0].text == "la\nlo\nli"
    assert songs('text\n"la\nC:\\new"\n')[0].text == "la\nC:\\new"


def test_rows_without_words_are_skipped() -> None:
    found = songs('\n  \ntitle,text\nLamp\n\nSea, \nRiver,la\n"",""\n')
    assert [song.title for song in found] == ["River"]


def test_a_table_without_words_is_told() -> None:
    assert "has no words in any row" in told("title,text\nLamp,\n")
    assert "has no words in any row" in told("title,text")


@pytest.mark.parametrize("text", ["", "\n\n", "title,artist\nLamp,us\n"])
def test_a_table_without_a_column_of_words_is_told_with_its_columns(text: str) -> None:
    columns = "'title', 'artist'" if text.strip() else "none"
    assert f"no column of words among its columns ({columns})" in told(text)


def test_a_long_or_odd_header_is_told_in_one_sentence() -> None:
    sentence = told(",".join(["\x1b[2J" + "x" * 1000] * 1000))
    assert len(sentence) < 2000
    assert sentence.isprintable()


def test_a_row_with_more_fields_than_columns_is_told() -> None:
    sentence = told('title,text\n"A\nlamp",la\nSea,la, lo\n')
    assert "3 fields in the row that ends in line 4 but 2 columns" in sentence
    assert songs("title,text\nSea,la,,\n")[0].text == "la"


@pytest.mark.parametrize(
    "text", ['text\n"la\nlo\n', 'text\nli\n"la" lo\n', 'text\nla"\n"lo\n', "text\nla\rlo\n"]
)
def test_broken_quotes_are_told_with_the_line(text: str) -> None:
    sentence = told(text)
    assert "cannot be read as a table (line " in sentence


@pytest.mark.parametrize("line", ["la la la\n", 'la","la\n', ",\n", "la" * 500])
def test_an_unclosed_quote_does_not_take_the_whole_file(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless() -> Iterator[str]:
        yield 'text\n"'
        while True:
            yield line * 100

    monkeypatch.setattr(table, "LONGEST_ROW", 2**18)
    with pytest.raises(CorpusError, match=r"a (row|line) of more than 262,144"):
        list(read_csv(endless(), "a.csv"))


def test_a_field_may_be_longer_than_the_csv_module_has_it() -> None:
    long = "la " * 100_000
    assert songs(f"text\n{long}\n")[0].text == long


def test_songs_are_given_as_they_are_read() -> None:
    def pieces() -> Iterator[str]:
        yield "text\nla\n"
        raise AssertionError("no more is needed for the first song")

    assert next(read_csv(pieces(), "a.csv")).text == "la"


@given(st.lists(st.tuples(st.text(), st.text())), st.sampled_from(",;"), st.data())
def test_what_the_csv_module_writes_is_read(
    rows: list[tuple[str, str]], delimiter: str, data: st.DataObject
) -> None:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        [("id", "text"), *rows, ("last", "la")]
    )
    text = file.getvalue()
    cut = data.draw(st.integers(0, len(text)))
    found = [song.text for song in read_csv(iter([text[:cut], text[cut:]]), "a.csv")]
    expected = [
        words if "\n" in words else words.replace("\\r\\n", "\n").replace("\\n", "\n")
        for _, words in rows
    ]
    assert found == [words for words in expected if words.strip()] + ["la"]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text()), st.booleans())
def test_any_text_in_any_pieces_comes_to_the_same(pieces: list[str], tabs: bool) -> None:
    pieces = ["text\ntext,\n", *pieces] if tabs else pieces
    whole = outcome(iter(["".join(pieces)]), tabs)
    assert outcome(iter(pieces), tabs) == whole
    assert outcome(iter("".join(pieces)), tabs) == whole
    for passage in whole if isinstance(whole, list) else []:
        assert passage.text.strip()
