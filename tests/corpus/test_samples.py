"""Every format and encoding that docs/corpora.md lists, by a real file."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from engine.corpus.corpus import Corpus
from engine.errors import CorpusError

SAMPLES = Path(__file__).parent / "samples"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text(encoding="utf-8")
PLAIN = ("utf-8", "utf-8-bom", "crlf", "utf-16-le", "utf-16-be", "utf-16-le-no-mark", "gb18030")
FORMATS = ("headed.md", "poems.json", "poems.jsonl", "table.csv", "table.tsv", "mixed.zip")
LISTED = re.findall(r"^\| `([\w.-]+)` \| [^|]+ \| ([\w -]+) \|", DOCUMENT, re.MULTILINE)


def test_the_document_lists_every_sample() -> None:
    assert {name for name, _ in LISTED} == {path.name for path in SAMPLES.iterdir()}


@pytest.mark.parametrize(("name", "encoding"), LISTED)
def test_a_sample_is_read_in_its_encoding(name: str, encoding: str) -> None:
    corpus = Corpus.load(SAMPLES / name)
    assert {source.encoding for source in corpus.sources} == set(encoding.split(" and "))
    assert "\ufffd" not in corpus.text


@pytest.mark.parametrize("name", PLAIN)
def test_one_text_is_the_same_in_every_encoding(name: str) -> None:
    expected = (SAMPLES / "utf-8.txt").read_text(encoding="utf-8")
    corpus = Corpus.load(SAMPLES / f"{name}.txt")
    assert corpus.text == expected
    assert [song.title for song in corpus.songs] == ["灯下的信", "晚饭以后"]


@pytest.mark.parametrize("name", FORMATS)
def test_songs_come_with_titles_and_nothing_else(name: str) -> None:
    corpus = Corpus.load(SAMPLES / name)
    assert [song.title for song in corpus.songs] == ["灯下的信", "晚饭以后"]
    second = corpus.songs.text(1)
    assert second == "锅里的水开了又凉\n桌上的碗还留着光\n我们谁也没有说话\n只听见楼下有人在唱"
    assert not set("[]<>{}0123456789") & set(corpus.text)
    assert "某人" not in corpus.text


def test_a_timed_text_is_in_the_order_in_which_it_is_sung() -> None:
    (song,) = Corpus.load(SAMPLES / "timed.lrc").songs
    assert (song.title, song.facts["artist"]) == ("灯下的信", "某人")
    lines = Corpus.load(SAMPLES / "timed.lrc").text.split("\n")
    assert lines == [
        "我把一封信写了又改",
        "窗外的雨还在慢慢下",
        "",
        "你说过春天会回来",
        "带着院子里那棵树的花",
        "我把一封信写了又改",
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir()))
def test_a_sample_cut_anywhere_is_read_or_told(name: str, tmp_path: Path) -> None:
    data = (SAMPLES / name).read_bytes()
    path = tmp_path / name
    for end in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:end])
        with contextlib.suppress(CorpusError):  # anything else fails
            assert Corpus.load(path).characters >= 2
