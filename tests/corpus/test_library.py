"""Shipped collections are found by name, files by path, and figures are right."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.config import CorpusConfig
from engine.corpus import library
from engine.corpus.corpus import Corpus, Source
from engine.corpus.summary import summary
from engine.errors import CorpusError

CATALOGUE = """
[chinese-pop]
file = "chinese-pop.txt"
title = "Chinese pop songs"
language = "zh"
licence = "CC0-1.0"
description = "Songs."

[english-songs]
file = "english-songs.txt"
title = "English songs"
language = "en"
licence = "CC0-1.0"
description = "Songs."
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library folder with two tiny collections."""
    folder = tmp_path / "corpora"
    folder.mkdir()
    (folder / "library.toml").write_text(CATALOGUE, encoding="utf-8")
    (folder / "chinese-pop.txt").write_text("想要\n飞", encoding="utf-8")
    (folder / "english-songs.txt").write_text("la la", encoding="utf-8")
    monkeypatch.setattr(library, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_shipped_collections_are_described(folder: Path) -> None:
    chinese, english = library.shipped()
    assert (chinese.name, chinese.title) == ("chinese-pop", "Chinese pop songs")
    assert (chinese.language, chinese.licence) == ("zh", "CC0-1.0")
    assert chinese.path == folder / "chinese-pop.txt"
    assert (english.name, english.title, english.language) == (
        "english-songs",
        "English songs",
        "en",
    )
    (folder / "chinese-pop.txt").unlink()
    assert library.shipped() == [english]


def test_every_collection_that_ships_can_be_read() -> None:
    for corpus in library.shipped():
        loaded = Corpus.load(library.resolve(corpus.name))
        assert len(loaded.songs) > 1, corpus.name


@pytest.mark.parametrize(
    ("locale", "name"),
    [
        ("zh_CN.UTF-8", "chinese-pop"),
        ("zh", "chinese-pop"),
        ("ZH-tw", "chinese-pop"),
        ("en_GB.UTF-8", "english-songs"),
        ("C", "english-songs"),
        ("", "english-songs"),
    ],
)
def test_the_locale_chooses_the_first_collection(folder: Path, locale: str, name: str) -> None:
    assert library.default(locale).name == name


def test_the_other_language_serves_where_one_is_missing(folder: Path) -> None:
    (folder / "english-songs.txt").unlink()
    assert library.default("en").name == "chinese-pop"
    (folder / "chinese-pop.txt").unlink()
    with pytest.raises(CorpusError, match="install lyricrnn again"):
        library.default("en")


def test_a_name_or_a_path_is_resolved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.resolve("chinese-pop") == folder / "chinese-pop.txt"
    assert library.resolve("corpora/english-songs.txt") == Path("corpora/english-songs.txt")
    assert library.resolve("corpora") == Path("corpora")
    monkeypatch.setenv("HOME", str(folder))
    assert library.resolve("~/chinese-pop.txt") == folder / "chinese-pop.txt"
    Path("chinese-pop").mkdir()
    assert library.resolve("chinese-pop") == folder / "chinese-pop.txt"
    assert library.resolve("./chinese-pop") == Path("chinese-pop")


@pytest.mark.parametrize("name", ["chinese", "no/such.txt", "", "a\0b", "new\nline"])
def test_what_is_neither_is_told_with_the_names_there_are(folder: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=r"\(chinese-pop, english-songs\)") as caught:
        library.resolve(name)
    assert "\n" not in str(caught.value)


def test_a_link_to_nothing_is_left_for_reading_to_tell(folder: Path) -> None:
    Path("dangling.txt").symlink_to("gone")
    with pytest.raises(CorpusError, match="is a link to a file that does not exist"):
        Corpus.load(library.resolve("dangling.txt"))


@pytest.mark.parametrize(
    "name", ["loop.txt", "loop.txt/song.txt", "x" * 5000], ids=["loop", "below a loop", "too long"]
)
def test_a_path_that_the_system_cannot_follow_is_told(folder: Path, name: str) -> None:
    """At once: whoever works with the path may follow it before the text is read."""
    Path("loop.txt").symlink_to("loop.txt")
    with pytest.raises(CorpusError, match=r"cannot be read \(.+\): copy it elsewhere"):
        library.resolve(name)


@pytest.mark.parametrize(
    "text", ["[", "x = 1", "[a]\nfile = 'a.txt'", "[a]\nfile = 1", "x = " + "[" * 100_000, "\0"]
)
def test_a_broken_catalogue_is_told(folder: Path, text: str) -> None:
    (folder / "library.toml").write_text(text)
    with pytest.raises(CorpusError, match=r"library\.toml.*cannot be read.*install lyricrnn again"):
        library.shipped()


def test_a_missing_catalogue_ships_nothing(folder: Path) -> None:
    (folder / "library.toml").unlink()
    assert library.shipped() == []
    with pytest.raises(CorpusError, match="none in this installation"):
        library.resolve("chinese-pop")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("library", ["numpy", "torch", "pydantic"]),
        ("corpus", ["torch", "opencc"]),
        ("summary", ["torch"]),
        ("vocabulary", ["torch"]),
    ],
)
def test_importing_is_light(module: str, heavy: list[str]) -> None:
    code = f"import engine.corpus.{module}, sys; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert result.stdout == "[]\n"


def test_a_summary_tells_what_a_corpus_holds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("春天来了\nla la ｌａ！\n\n春  天\n", encoding="utf-8")
    corpus = Corpus.load(tmp_path / "a.txt")
    figures = summary(corpus)
    assert figures.name == "a.txt"
    assert (figures.encoding, figures.confidence) == ("utf-8", 1.0)
    assert (figures.songs, figures.lines, figures.characters) == (2, 4, 21)
    assert figures.distinct_characters == 11
    assert figures.vocabulary_size == 12
    assert figures.sha256 == corpus.sha256
    assert figures.most_common[:3] == (("\n", 4), (" ", 4), ("a", 2))
    assert figures.longest_line == 9
    assert figures.mean_line_length == pytest.approx(17 / 3)
    assert figures.han == pytest.approx(6 / 13)
    assert figures.latin == pytest.approx(6 / 13)
    assert figures.other == pytest.approx(1 / 13)
    assert json.loads(json.dumps(asdict(figures)))["songs"] == 2


def test_the_commonest_twenty_are_shown() -> None:
    figures = summary(Corpus.from_text("".join(chr(code) * (code - 60) for code in range(65, 91))))
    assert len(figures.most_common) == 20
    assert figures.most_common[0] == ("Z", 30)


def test_the_least_sure_source_and_every_encoding_are_told() -> None:
    corpus = Corpus.from_text("la la")
    assert summary(corpus).encoding == "unicode"
    sources = tuple(
        Source(Path(name), encoding, confidence, "", 5)
        for name, encoding, confidence in [
            ("a", "utf-8", 1.0),
            ("b", "gb18030", 0.6),
            ("c", "utf-8", 1.0),
        ]
    )
    figures = summary(replace(corpus, sources=sources))
    assert (figures.encoding, figures.confidence) == ("utf-8, gb18030", 0.6)


def test_a_text_without_line_ends_has_one_line() -> None:
    figures = summary(Corpus.from_text("one\ntwo", config=CorpusConfig(newline="space")))
    assert (figures.lines, figures.longest_line, figures.mean_line_length) == (1, 7, 7.0)
