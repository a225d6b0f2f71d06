"""The songs that ship are what their headers say: language, form, rhyme and number of lines."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from engine.corpus import library
from engine.writing.rhyme import english_rhyme, last_word, mandarin_class

FILES = sorted(library.FOLDER.glob("*/*.txt"))
HEADER = re.compile(r"^---\n(.*?)\n---\n", re.DOTALL | re.MULTILINE)
RHYMES = {"perfect", "identity", "family"}  # aloud, allowed: alike in sound, yet two words
LABEL = re.compile(r"^\[(.+?)[ ]?\d*\]$")


def songs_of(path: Path) -> list[tuple[dict[str, str], str]]:
    """(header, lyrics) of each song in a file."""
    parts = HEADER.split(path.read_text(encoding="utf-8"))
    assert parts[0] == "", f"{path.name} begins with a header"
    return [
        (dict(line.split(": ", 1) for line in header.split("\n")), lyrics.strip("\n"))
        for header, lyrics in zip(parts[1::2], parts[2::2], strict=True)
    ]


def problems(header: dict[str, str], lyrics: str) -> list[str]:
    """What in a song is not as its header declares; `rhyme: Verse XAXA, Chorus AABB` gives each
    section of that name so many lines, of which those with one letter rhyme (X: free)."""
    missing = {"title", "language", "form", "rhyme"} - header.keys()
    if missing:
        return [f"the header lacks {', '.join(sorted(missing))}"]
    schemes = dict(part.rsplit(" ", 1) for part in header["rhyme"].split(", "))
    found: list[str] = []
    seen: set[str] = set()
    section, lines = "", []
    for line in [*lyrics.split("\n"), "[end]"]:
        if not line.strip():
            continue
        label = LABEL.match(line)
        if not label:
            lines.append(line)
            continue
        if lines and section in schemes:
            seen.add(section)
            found += _breaches(section, schemes[section], lines, header["language"])
        elif lines and not section:
            found.append("the first line is no section label")
        section, lines = label[1], []
    found += [f"no section is called {name}" for name in schemes.keys() - seen]
    return found


def _breaches(section: str, scheme: str, lines: list[str], language: str) -> list[str]:
    if len(lines) != len(scheme):
        return [f"{section}: {len(lines)} lines, not {len(scheme)}: {lines[0]}"]
    found = []
    for letter in sorted(set(scheme) - {"X"}):
        rhyming = [line for line, its in zip(lines, scheme, strict=True) if its == letter]
        for one, other in pairwise(rhyming):
            if language == "zh":
                classes = mandarin_class(one), mandarin_class(other)
                if classes[0] is None or classes[0] != classes[1]:
                    found.append(
                        f"{section} {letter}: {one} ({classes[0]}) / {other} ({classes[1]})"
                    )
            elif english_rhyme(last_word(one), last_word(other)) not in RHYMES:
                found.append(f"{section} {letter}: {one} / {other}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_song_is_what_its_header_declares(path: Path) -> None:
    told = [
        f"{header.get('title', lyrics[:20])}: {problem}"
        for header, lyrics in songs_of(path)
        for problem in problems(header, lyrics)
    ]
    assert told == [], "\n".join(told)


def test_the_library_is_large_enough_and_no_song_stands_twice() -> None:
    characters = {"zh": 0, "en": 0}
    titles, lines = set(), {}
    for path in FILES:
        for header, lyrics in songs_of(path):
            sung = [line for line in lyrics.split("\n") if line and not LABEL.match(line)]
            characters[header["language"]] += sum(map(len, sung)) + len(sung)
            title = (header["language"], header["title"])
            assert title not in titles, f"{title} stands twice"
            titles.add(title)
            for line in set(sung):
                if len(line) > 8:
                    other = lines.setdefault(line, title)
                    assert other == title, f"{line} is in {other} and {title}"
    assert characters["zh"] >= 40_000
    assert characters["en"] >= 80_000


@pytest.mark.parametrize(
    ("language", "lyrics", "told"),
    [
        ("zh", "[主歌]\n春天的雨\n落在山里\n我在等\n一个你", []),
        (
            "zh",
            "[主歌]\n春天的雨\n落在山上\n我在等\n一个你",
            ["主歌 A: 落在山上 (江阳) / 一个你 (一七)"],
        ),
        ("zh", "[主歌 2]\n春天的雨\n落在山里\n一个你", ["主歌: 3 lines, not 4: 春天的雨"]),
        ("en", "[主歌]\nx\nthe night\ny\nthe light", []),
        ("en", "[主歌]\nx\ncome home\ny\nalone", []),
        ("en", "[主歌]\nx\nthe night\ny\nthe day", ["主歌 A: the night / the day"]),
        ("en", "[主歌]\nx\nthe night\ny\nthis night", ["主歌 A: the night / this night"]),
    ],
)
def test_a_breach_is_found(language: str, lyrics: str, told: list[str]) -> None:
    header = {"title": "t", "language": language, "form": "f", "rhyme": "主歌 XAXA"}
    assert problems(header, lyrics) == told
