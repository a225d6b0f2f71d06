"""A draft leaves as text and comes back: the same song, however its lines look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DraftError
from engine.writing.draft import LATEST, Draft, Edited, Line, Model, Person, Section, Span
from engine.writing.export import SUFFIXES, Format, export, imported, save

MODEL = Model("runs/lamp", 1200, "ab" * 32, 7, {"temperature": 0.8, "prompt": "灯", "top_k": 0}, 3)
SONG = Draft(
    "The lamp",
    (
        Section(1, "Verse 1", (Line(2, (Span("a lamp is lit"),), stamp=12.5), Line(3))),
        Section(
            4,
            "Chorus",
            (
                Line(5, (Span("lit ", MODEL), Span("again", Edited(MODEL))), True, 61.239),
                Line(6, (Span("点灯"),), stamp=70.0, words=((0, 70.0), (1, 70.5), (2, 71.0))),
            ),
        ),
    ),
)
HOSTILE = st.sampled_from(
    [
        *("[Verse 1]", "[]", "\\[Chorus]", "\\", "\\\\", "[ti:x]", "[00:01.00]", "[00:01.00]x"),
        *("<00:01.00>", "\\<00:01.00>", "\\\\<00:01.00>\\", "[section:x]", "# x", "## y #", "- z"),
        *("1. one", "2) two", "* * *", "---", "===", "> q", "`c`", "a_b_*c*", "&amp;", "&#x20;"),
        *(" x", "x ", "\t", "\u2028", "\x85", "\x0b", "]", "[", "[offset:900]", "<b>", "~~", "|"),
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8),
    HOSTILE,
    st.lists(HOSTILE, max_size=3).map("".join),
)
TIMES = st.none() | st.floats(0, LATEST, exclude_max=True)
AUTHORS = st.sampled_from([Person(), MODEL, Edited(MODEL), replace(MODEL, candidate=1)])


@st.composite
def lines(draw: st.DrawFn) -> Line:
    spans = draw(st.lists(st.builds(Span, TEXTS, AUTHORS), max_size=3))
    line = Line(0, tuple(spans), draw(st.booleans()), draw(TIMES))
    places = draw(st.sets(st.integers(0, len(line.text)), max_size=3))
    words = tuple((place, draw(st.floats(0, 9_999))) for place in sorted(places))
    return replace(line, words=words)


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    count = 0
    sections = []
    for name in draw(st.lists(TEXTS, min_size=1, max_size=3)):
        found = [
            replace(line, id=count + 2 + number)
            for number, line in enumerate(draw(st.lists(lines(), max_size=4)))
        ]
        sections.append(Section(count + 1, name, tuple(found)))
        count += 1 + len(found)
    return Draft(draw(TEXTS), tuple(sections))


def words(draft: Draft) -> list[tuple[str, list[str]]]:
    return [(one.name, [line.text for line in one.lines]) for one in draft.sections]


def near(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= 0.01


@given(drafts(), st.sampled_from(get_args(Format)))
def test_a_song_comes_back_with_its_title_sections_and_lines(draft: Draft, form: Format) -> None:
    back = imported(export(draft, form), form)
    assert back.title == draft.title
    assert words(back) == words(draft)


@given(drafts(), st.sampled_from(("lrc", "enhanced-lrc")))
def test_lrc_brings_the_times_back(draft: Draft, form: Format) -> None:
    back = imported(export(draft, form), form)
    for mine, its in zip(draft.lines, back.lines, strict=True):
        assert near(mine.stamp, its.stamp)
        if form == "enhanced-lrc":
            assert [place for place, _ in mine.words] == [place for place, _ in its.words]
            assert all(near(a, b) for (_, a), (_, b) in zip(mine.words, its.words, strict=True))
        else:
            assert its.words == ()


@given(drafts())
def test_json_brings_everything_back(draft: Draft) -> None:
    assert imported(export(draft, "json"), "json") == draft


@given(st.lists(HOSTILE | st.text() | st.just("\n"), max_size=12).map("".join))
@pytest.mark.parametrize("form", get_args(Format))
def test_any_text_is_a_draft_or_refused(form: Format, text: str) -> None:
    try:
        draft = imported(text, form)
    except DraftError:
        return
    assert words(imported(export(draft, form), form)) == words(draft)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            "txt",
            "The lamp\n\n[Verse 1]\na lamp is lit\n\n\n[Chorus]\nlit again\n点灯\n",
        ),
        (
            "markdown",
            "# The lamp\n\n## Verse 1\n\na lamp is lit\n\n\n## Chorus\n\nlit again\\\n点灯\n",
        ),
        (
            "lrc",
            "[ti:The lamp]\n[section:Verse 1]\n[00:12.50]a lamp is lit\n\n[section:Chorus]\n"
            "[01:01.24]lit again\n[01:10.00]点灯\n",
        ),
        (
            "enhanced-lrc",
            "[ti:The lamp]\n[section:Verse 1]\n[00:12.50]a lamp is lit\n\n[section:Chorus]\n"
            "[01:01.24]lit again\n[01:10.00]<01:10.00>点<01:10.50>灯<01:11.00>\n",
        ),
    ],
)
def test_what_a_song_looks_like(form: Format, text: str) -> None:
    assert export(SONG, form) == text


def test_a_song_without_title_and_sections_is_only_its_lines_in_lrc_and_markdown() -> None:
    draft = Draft("", (Section(1, "", (Line(2, (Span("la"),)), Line(3, (Span("lo"),)))),))
    assert export(draft, "lrc") == "la\nlo\n"
    assert export(draft, "markdown") == "la\\\nlo\n"


def test_plain_text_of_others_is_read_as_it_stands() -> None:
    draft = imported("\ufeffla la\r\nlo\r\n\r\n[Chorus]  \r\nli\r\n", "txt")
    assert draft.title == ""
    assert words(draft) == [("", ["la la", "lo"]), ("Chorus", ["li"])]


def test_markdown_of_others_is_read_as_it_stands() -> None:
    draft = imported("# Lamp\n## One  \nla  \nlo &amp; li\n\n### Two\n- le\n", "markdown")
    assert draft.title == "Lamp"
    assert words(draft) == [("One", ["la", "lo & li"]), ("Two", ["- le"])]


def test_lrc_of_others_is_read_as_it_is_sung() -> None:
    text = (
        "[ti: Lamp ]\n[ar:us]\n[offset:+500]\n[00:10.5][00:30] la\n[Chorus]\n[00:20:25]lo\n"
        "[01:00:00.00]end\n"
    )
    draft = imported(text, "lrc")
    assert draft.title == "Lamp"
    assert words(draft) == [("", ["la"]), ("Chorus", ["lo", "la", "end"])]
    assert [line.stamp for line in draft.lines] == [10.0, 19.75, 29.5, 3599.5]


def test_bad_json_is_refused_in_a_sentence() -> None:
    good = export(SONG, "json")
    for bad, why in (
        ("", "no song of lyricrnn"),
        ("[1]", "no song of lyricrnn"),
        ('{"format": "x", "version": 1, "title": "", "sections": []}', "choose another file"),
        (good.replace('"version": 1', '"version": 2'), "open it with a newer one"),
        (good.replace('"id": 5', '"id": 2'), "its own id"),
        (good.replace("a lamp is lit", "a lamp\\nis lit"), "cannot hold a line end"),
        (good.replace('"by": "person"', '"by": "nobody"'), "no song of lyricrnn"),
        (good.replace('"stamp": 12.5', '"stamp": -1'), "cannot be sung"),
    ):
        assert bad != good
        with pytest.raises(DraftError, match=why):
            imported(bad, "json")


def test_every_format_has_a_suffix() -> None:
    assert set(SUFFIXES) == set(get_args(Format))


# --- Files --------------------------------------------------------------------------------------


def test_a_file_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "lamp.txt"
    save("old\n", path)
    with pytest.raises(DraftError, match=r"lamp\.txt exists already"):
        save("new\n", path)
    assert path.read_text() == "old\n"
    save("新\n", path, overwrite=True)
    assert path.read_text(encoding="utf-8") == "新\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    path = tmp_path / "lamp.txt"
    if overwrite:
        path.write_text("old")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DraftError, match=r"lamp\.txt cannot be written: No space left"):
        save("new", path, overwrite=overwrite)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == (["old"] if overwrite else [])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DraftError, match=r"nowhere/lamp\.txt cannot be written"):
        save("x", tmp_path / "nowhere" / "lamp.txt")
