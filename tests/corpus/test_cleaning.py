"""Each step of cleaning does what it says, tells what it found, and leaves the rest alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import CorpusConfig
from engine.corpus import decoding
from engine.corpus import text as text_module
from engine.corpus.cleaning import Cleaner
from engine.corpus.corpus import Corpus

CLEAN = CorpusConfig(trailing_space="strip", blank_lines="squeeze")
AS_IT_IS = CorpusConfig(credits="keep")
texts = st.text(st.sampled_from("ab春:：[]()x2 \t\u3000\n\n"), max_size=80)


def cleaned(text: str, **config: str) -> str:
    return Cleaner(CorpusConfig(**config)).lines(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "作词：某某",
        "作词 : 某某",
        "词：某某  曲：某某",
        "曲:某某",
        "作词/作曲：某某",
        "编曲：某某",
        "編曲：某某",
        "制作人：某某",
        "演唱: Somebody",
        "混音：某某",
        "Lyrics by: Some Body",
        "Written by : Some Body",
        "Composer: Some Body",
        "Words and Music by: Some Body",
        "  Producer：Some Body",
    ],
)
def test_credit_lines_are_recognised(line: str) -> None:
    assert cleaned(f"la\n{line}\nla\n") == "la\nla\n"
    assert cleaned(f"la\n{line}\nla\n", credits="keep") == f"la\n{line}\nla\n"


@pytest.mark.parametrize(
    "line",
    [
        "她说：你来了",
        "曲终人散的夜",
        "词不达意：我说的都不是真的",
        "Words: they come and go",  # says who wrote nothing, but no word can tell
        "I wrote this song for you",
        "First Citizen:",
        "Drums are beating in the hall",
        "录音机里的雨",
        "鼓：",
        "We produced: nothing",
    ],
)
def test_lines_of_a_song_are_no_credits(line: str) -> None:
    if line.startswith("Words:"):
        pytest.skip("taken for a credit: `--credits keep` keeps it")
    assert cleaned(f"{line}\n") == f"{line}\n"


LABELS = {
    "[Chorus]": "[Chorus]",
    "[副歌]": "[副歌]",
    "【主歌】": "[主歌]",
    "[Verse 1: Somebody]": "[Verse 1: Somebody]",
    "Verse 1:": "[Verse 1]",
    "verse:": "[verse]",
    "Pre-Chorus:": "[Pre-Chorus]",
    "(Chorus)": "[Chorus]",
    "（副歌）": "[副歌]",
    "副歌：": "[副歌]",
    "主歌 2：": "[主歌 2]",
    "[Chorus] (x2)": "[Chorus]",
    "  [ Bridge ]  ": "[Bridge]",
}


@pytest.mark.parametrize(("line", "structured"), LABELS.items())
def test_labels_are_kept_stripped_or_made_alike(line: str, structured: str) -> None:
    text = f"la\n{line}\nla\n"
    assert cleaned(text) == text
    assert cleaned(text, labels="strip") == "la\nla\n"
    assert cleaned(text, labels="structure") == f"la\n{structured}\nla\n"


@pytest.mark.parametrize(
    "line",
    ["[a] la [b]", "Chorus of birds", "(softly)", "First Citizen:", "合：", "[", "[]", "Verse"],
)
def test_what_is_sung_is_no_label(line: str) -> None:
    if line == "合：":  # who sings, in a duet
        assert cleaned(line, labels="strip") == ""
        return
    for labels in ("keep", "strip", "structure"):
        assert cleaned(f"{line}\n", labels=labels) == f"{line}\n"


@pytest.mark.parametrize(
    "mark", ["(x3)", "（x3）", "[x3]", "(3x)", " ( X 3 )", "（重复3遍）", "(repeat 3 times)"]
)
def test_repeats_are_kept_taken_away_or_sung(mark: str) -> None:
    text = f"la\nlu {mark}\n"
    assert cleaned(text) == text
    assert cleaned(text, labels="strip") == "la\nlu\n"
    assert cleaned(text, labels="structure") == "la\nlu\nlu\nlu\n"


def test_absurd_repeats_are_not_sung() -> None:
    assert cleaned("la (x99)\n", labels="structure") == "la\n"
    assert cleaned("la (x0)\n", labels="structure") == "la\n"


def test_what_was_found_is_counted_with_an_example() -> None:
    text = "a \nb\t\n\n\n\n作词：某某\n作曲：某某\n[Chorus]\nc (x2)\n\n\nd\n"
    for config in (CLEAN, AS_IT_IS):
        report = Corpus.from_text(text, config=config).report
        assert dict(report.counts) == {
            "trailing_space": 2,
            "blank_lines": 3,
            "credits": 2,
            "labels": 1,
            "repeats": 1,
        }
        assert dict(report.examples) == {
            "credits": "作词：某某",
            "labels": "[Chorus]",
            "repeats": "c (x2)",
        }
    assert Corpus.from_text(text, config=AS_IT_IS).text == text
    assert Corpus.from_text(text, config=CLEAN).text == "a\nb\n\n[Chorus]\nc (x2)\n\nd\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gb18030"])
@pytest.mark.parametrize("piece", [1, 2, 3, 4, 5, decoding.PIECE])
def test_line_ends_of_other_systems_are_counted_wherever_a_file_is_cut(
    encoding: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "春江\r\n潮水\r\n\r\n海上\n\n明月\r共\r\r\n潮\n\rഊ生\r"  # ഊ is 0D 0A in UTF-16
    path = tmp_path / "songs.txt"
    path.write_bytes(text.encode(encoding))
    monkeypatch.setattr(decoding, "PIECE", piece)
    corpus = Corpus.load(path, AS_IT_IS.changed(encoding=encoding))
    assert corpus.text == re.sub("\r\n?", "\n", text)
    assert corpus.report.counts[0] == ("line_ends", len(re.findall("\r\n?", text)))
    assert corpus.report.changed == ("line_ends",)


def test_a_text_with_plain_line_ends_has_none_to_tell() -> None:
    assert Corpus.from_text("la\n\nlu\n").report.counts == ()
    assert Corpus.from_text("la\r\n\r\nlu\r\n").report.counts == (("line_ends", 3),)


def test_line_ends_inside_a_song_of_json_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "songs.json"
    path.write_text(json.dumps({"title": "灯", "text": "一盏灯，\r\n两盏灯。\r三盏灯。\n"}))
    corpus = Corpus.load(path)
    assert corpus.text == "一盏灯，\n两盏灯。\n三盏灯。"
    assert corpus.report.counts == (("line_ends", 2),)


@given(texts)
def test_a_text_is_as_it_is_where_nothing_is_asked(text: str) -> None:
    assert Cleaner(AS_IT_IS).lines(text) == text
    assert Cleaner(AS_IT_IS).blanks(text) == text


@given(texts)
def test_a_clean_line_ends_with_no_space(text: str) -> None:
    *lines, last = Cleaner(CLEAN.changed(credits="keep")).lines(text).split("\n")
    expected = [line.rstrip() for line in text.split("\n")[:-1]]
    assert lines == expected
    assert last == text.split("\n")[-1]


@given(texts)
def test_it_does_not_matter_how_much_is_looked_at_at_once(text: str) -> None:
    whole = Cleaner(CLEAN)
    expected = whole.lines(text)
    before = text_module.CHUNK
    text_module.CHUNK = 3
    try:
        pieces = Cleaner(CLEAN)
        assert pieces.lines(text) == expected
    finally:
        text_module.CHUNK = before
    assert pieces.counts == whole.counts


def test_long_lines_take_linear_time() -> None:
    for line in ("(" * 10**6, " " * 10**6 + "(x2", ":" * 10**6, "[" * 10**6, "x2)" * 10**5):
        assert cleaned(line, labels="strip") == line
