"""A corpus keeps its text as it is, knows its songs, and splits without a leak."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import CorpusConfig
from engine.corpus.corpus import Corpus, song_places
from engine.corpus.text import line_ends
from engine.errors import ConfigError, CorpusError

SHARED = Path(__file__).parents[2].parent / "shared" / "corpora"

# Texts dense in what decides where songs end.
messy = st.text(st.sampled_from("ab春 \t\n\n\n\r\x0b\x0c\x85\u2028\u3000\ufeff"), max_size=60)
# Corpora of songs that a split can be asked of, copies included.
lines = st.text(st.sampled_from("abc春 "), min_size=1, max_size=12).filter(str.strip)
songs = st.lists(lines, min_size=1, max_size=4).map("\n".join)
songbooks = st.lists(songs, min_size=2, max_size=12)
shares = st.floats(0.01, 0.9)


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    return path


def texts_of(corpus: Corpus) -> list[str]:
    return [corpus.text[song.start : song.end] for song in corpus.songs]


def loaded(path: Path, config: CorpusConfig) -> tuple[Corpus | None, str]:
    """The corpus, or the sentence that refuses it."""
    try:
        return Corpus.load(path, config), ""
    except CorpusError as error:
        return None, str(error)


def songs_in(side: str) -> list[str]:
    """The songs of one side of a split, which are a blank line apart."""
    return side.split("\n\n") if side else []


# Reading


def test_a_file_keeps_its_text_and_its_provenance(tmp_path: Path) -> None:
    data = "\ufeff \n春江\r\n  花月\t\r\n\r\n夜\r\r".encode()
    path = tmp_path / "songs.txt"
    path.write_bytes(data)
    corpus = Corpus.load(path)
    assert corpus.text == " \n春江\n  花月\t\n\n夜\n\n"
    assert texts_of(corpus) == ["春江\n  花月\t", "夜"]
    assert [song.title for song in corpus.songs] == ["春江", "夜"]
    assert corpus.name == "songs.txt"
    assert corpus.characters == 15
    assert corpus.lines == 6
    assert corpus.sha256 == hashlib.sha256(corpus.text.encode()).hexdigest()
    (source,) = corpus.sources
    assert (source.path, source.encoding, source.confidence) == (path, "utf-8", 1.0)
    assert source.bytes == len(data)
    assert source.sha256 == hashlib.sha256(data).hexdigest()


def test_the_files_of_a_folder_are_one_blank_line_apart(tmp_path: Path) -> None:
    for name, text in {"a": "a", "b": "b\n", "c": "c\n\n", "d": "\n", "e": "", "f": "f\n"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    corpus = Corpus.load(tmp_path)
    assert corpus.text == "a\n\nb\n\nc\n\nf\n"
    assert texts_of(corpus) == ["a", "b", "c", "f"]
    assert len(corpus.sources) == 6
    assert corpus.name == tmp_path.name


def test_a_path_without_a_name_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("la la")
    monkeypatch.chdir(tmp_path)
    assert Corpus.load(".").name == tmp_path.name
    assert Corpus.load(f"{tmp_path}/").name == tmp_path.name


def test_shakespeare_is_the_text_that_public_figures_are_of() -> None:
    corpus = Corpus.load(shared("tinyshakespeare.txt"))
    assert corpus.characters == 1_115_394
    assert len(set(corpus.text)) == 65
    assert corpus.lines == 40_000
    assert corpus.sha256 == corpus.sources[0].sha256
    split = corpus.split(by="tail")
    assert len(str(split.training)) == 1_003_854
    assert str(split.training) + str(split.held_out) == corpus.text


def test_song_ci_has_its_songs_and_splits_by_them() -> None:
    corpus = Corpus.load(shared("songci.txt"))
    assert len(corpus.songs) == 21_053
    assert corpus.songs[0].title == "导引"
    split = corpus.split()
    assert len(str(split.held_out)) / corpus.characters == pytest.approx(0.1, abs=0.001)
    assert not set(songs_in(str(split.training))) & set(songs_in(str(split.held_out)))


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n", b" \n\t\r\n \n"])
def test_a_blank_file_is_told(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    for path in (tmp_path / "a.txt", tmp_path):
        with pytest.raises(CorpusError, match=r"is empty or holds only blank lines: add more"):
            Corpus.load(path)


def test_two_characters_are_the_smallest_corpus() -> None:
    with pytest.raises(CorpusError, match=r"^the text holds a single character"):
        Corpus.from_text("a")
    assert Corpus.from_text("a\n").characters == 2
    with pytest.raises(CorpusError, match=r"^mine under limit = 1 holds a single.*raise the limit"):
        Corpus.from_text("abc", "mine", CorpusConfig(limit=1))


def test_a_text_in_memory_is_prepared_like_a_file() -> None:
    corpus = Corpus.from_text("\ufeffa\r\nb\rc", name="mine")
    assert corpus.text == "a\nb\nc"
    assert corpus.name == "mine"
    assert corpus.sources == ()
    with pytest.raises(CorpusError, match="half a surrogate pair at character 1"):
        Corpus.from_text("a\ud800b")


def test_a_corpus_is_frozen_and_its_text_stays_out_of_its_repr() -> None:
    corpus = Corpus.from_text("secret words")
    assert "secret" not in repr(corpus)
    assert "secret" not in repr(corpus.split())
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.text = "other"  # type: ignore[misc]


# Options


def test_the_limit_keeps_the_first_characters_of_the_normalised_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffab\r\n\r\ncdef\r\n\r\ngh".encode())
    corpus = Corpus.load(tmp_path / "a.txt", CorpusConfig(limit=6))
    assert corpus.text == "ab\n\ncd"
    assert texts_of(corpus) == ["ab", "cd"]
    assert Corpus.load(tmp_path / "a.txt", CorpusConfig(limit=99)).characters == 12


def test_newline_as_space_keeps_the_songs_where_they_were() -> None:
    text = "one\ntwo\n\nthree\n \n\nfour\n"
    kept = Corpus.from_text(text)
    spaced = Corpus.from_text(text, config=CorpusConfig(newline="space"))
    assert spaced.text == kept.text.replace("\n", " ")
    assert [song.start for song in spaced.songs] == [song.start for song in kept.songs]
    assert texts_of(spaced) == ["one two", "three", "four"]
    assert spaced.lines == 1
    split = spaced.split(held_out=0.3)
    assert {*str(split.training).split("  "), *str(split.held_out).split("  ")} == {
        *texts_of(spaced)
    }


# Songs


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("  水调歌头 \u3000 明月  ", "水调歌头 明月"),
        ("x" * 40, "x" * 40),
        ("春" * 41, "春" * 40 + "…"),
        ("I have been " * 9, "I have been I have been I have been I…"),
        ("a " * 99, "a " * 19 + "a…"),
    ],
)
def test_a_title_is_the_first_line_shortened(line: str, title: str) -> None:
    assert Corpus.from_text(f"\n{line}\nsecond line").songs[0].title == title


@given(messy)
def test_songs_are_the_runs_of_lines_between_blank_ones(text: str) -> None:
    try:
        corpus = Corpus.from_text(text)
    except CorpusError:
        words = text.removeprefix("\ufeff")
        assert len(words) < 2 or not words.strip()
        return
    expected: list[list[str]] = [[]]
    for line in corpus.text.split("\n"):
        if line.strip():
            expected[-1].append(line)
        elif expected[-1]:
            expected.append([])
    assert texts_of(corpus) == ["\n".join(song) for song in expected if song]
    ends = [0]
    for song in corpus.songs:
        assert ends[-1] <= song.start < song.end
        assert song.title
        ends.append(song.end)
    assert ends[-1] <= len(corpus.text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(st.binary(max_size=80), messy.map(str.encode)),
    newline=st.sampled_from(["keep", "space"]),
)
def test_any_bytes_are_a_corpus_or_a_sentence(data: bytes, newline: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    corpus, sentence = loaded(path, CorpusConfig(newline=newline))
    if corpus is None:
        assert sentence.endswith(".")
        assert "\n" not in sentence
        return
    assert corpus.characters >= 2
    assert corpus.songs
    assert "\r" not in corpus.text
    assert newline == "keep" or "\n" not in corpus.text
    corpus.split()


@pytest.mark.parametrize(
    "text", ["\n" * 10**6 + "ab", "a\n" + " " * 10**6 + "b", "a" + "\n \n" * 10**6, "a\n" * 10**6]
)
def test_songs_are_found_in_linear_time(text: str) -> None:
    """A quadratic search would take hours here, and meet the suite's time limit."""
    assert len(Corpus.from_text(text).songs) == 1


@given(st.text(st.sampled_from("ab春\n\n\n"), max_size=60))
def test_the_faster_way_finds_the_same_songs(text: str) -> None:
    text += " \u3000"[: len(text) % 3]  # the last line may be of space alone
    slow, fast = song_places(text), song_places(text, line_ends(text))
    assert [part.tolist() for part in slow] == [part.tolist() for part in fast]


# The split


@given(songbooks, shares, st.integers(0, 99))
def test_a_split_by_song_leaks_nothing_and_loses_nothing(
    songbook: list[str], share: float, seed: int
) -> None:
    corpus = Corpus.from_text("\n\n".join(songbook))
    split = corpus.split(share, seed=seed)
    assert split == corpus.split(share, seed=seed)
    assert len(str(split.training)) >= 2
    if not str(split.held_out):
        assert str(split.training) == corpus.text
        assert split.warnings
        return
    assert len(str(split.held_out)) >= 2
    if not corpus.copies().group.any():  # all are copies of the first
        assert str(split.training) + str(split.held_out) == corpus.text
        assert split.warnings
        return
    training, held_out = songs_in(str(split.training)), songs_in(str(split.held_out))
    assert not set(training) & set(held_out)
    assert Counter(training) + Counter(held_out) == Counter(songbook)
    for side in (training, held_out):
        rest = iter(songbook)
        assert all(song in rest for song in side), "the order of the corpus is kept"


def test_a_split_comes_close_to_its_share() -> None:
    songbook = [f"song {index}\n" + "la " * (index % 17 + 1) for index in range(400)]
    corpus = Corpus.from_text("\n\n".join(songbook))
    for share in (0.05, 0.1, 0.5, 0.9):
        split = corpus.split(share)
        assert len(str(split.held_out)) / corpus.characters == pytest.approx(share, abs=0.01)
        assert not split.warnings


@pytest.mark.parametrize("by", ["song", "tail"])
def test_of_a_long_text_only_so_much_is_held_out(by: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.corpus.corpus.MOST_HELD_OUT", 100)
    corpus = Corpus.from_text("\n\n".join(f"this is song {index}" for index in range(1000)))
    split = corpus.split(by=by)
    assert 80 <= len(split.held_out) <= 120
    assert "100 characters are held out instead of 10%" in split.warnings[0]


def test_another_seed_holds_out_other_songs() -> None:
    corpus = Corpus.from_text("\n\n".join(f"song {index}" for index in range(100)))
    assert len({str(corpus.split(seed=seed).held_out) for seed in range(10)}) > 5


def test_a_song_that_is_most_of_the_text_is_not_held_out() -> None:
    corpus = Corpus.from_text("short one\n\n" + "la " * 500 + "\n\nshort two")
    for seed in range(10):
        split = corpus.split(seed=seed)
        assert songs_in(str(split.held_out))[0].startswith("short")
        assert "la la" in str(split.training)


def test_of_two_songs_one_is_held_out_and_the_share_is_told() -> None:
    split = Corpus.from_text("song one\n\nsong two").split(0.1)
    assert {str(split.training), str(split.held_out)} == {"song one", "song two"}
    (warning,) = split.warnings
    assert "holds out 50.0% of its characters instead of 10.0%" in warning


@pytest.mark.parametrize("text", ["abcdefghij" * 5, "la la la\n\n" * 5])
def test_one_song_only_is_split_at_its_tail_with_a_warning(text: str) -> None:
    corpus = Corpus.from_text(text)
    split = corpus.split(0.1)
    tail = corpus.split(0.1, by="tail")
    assert (str(split.training), str(split.held_out)) == (str(tail.training), str(tail.held_out))
    assert not tail.warnings
    (warning,) = split.warnings
    assert "only one song" in warning


@given(songs.filter(lambda text: len(text) >= 2), shares)
def test_a_tail_is_the_last_share_of_the_characters(text: str, share: float) -> None:
    corpus = Corpus.from_text(text)
    split = corpus.split(share, by="tail")
    assert str(split.training) + str(split.held_out) == corpus.text
    if str(split.held_out):
        assert len(str(split.training)) == int(corpus.characters * (1 - share))
    else:
        assert "too small" in split.warnings[0]


@pytest.mark.parametrize("by", ["song", "tail"])
@pytest.mark.parametrize("text", ["ab", "a\n\nb", "abcdefgh"])
def test_a_corpus_too_small_to_hold_out_is_told(text: str, by: str) -> None:
    split = Corpus.from_text(text).split(0.1, by=by)  # type: ignore[arg-type]
    assert (str(split.training), str(split.held_out)) == (text, "")
    (warning,) = split.warnings
    assert "too small" in warning


@pytest.mark.parametrize("by", ["song", "tail"])
def test_nothing_is_held_out_when_nothing_is_asked(by: str) -> None:
    split = Corpus.from_text("a song\n\nanother").split(0, by=by)  # type: ignore[arg-type]
    assert (str(split.training), str(split.held_out)) == ("a song\n\nanother", "")
    assert split.warnings == ()


@pytest.mark.parametrize("share", [-0.1, 1, 2, float("nan")])
def test_what_is_no_share_is_told(share: float) -> None:
    with pytest.raises(ConfigError, match="is no share of a text"):
        Corpus.from_text("a song\n\nanother").split(share)
