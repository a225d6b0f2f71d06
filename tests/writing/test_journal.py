"""A draft's file: what was changed is there again, with its history, and one writer has it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DraftError
from engine.writing.draft import Draft, Edited, Line, Model, Person, Section, Span
from engine.writing.journal import Drafts, OpenDraft

PATIENCE = 60.0  # seconds for what must come; only a broken test waits so long
ROOT = Path(__file__).parents[2]

MODEL = Model("runs/lamp", 1200, "ab" * 32, 2**62, {"temperature": 0.8, "top_k": 0, "seed": None})
TEXTS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=6)


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "drafts")


def everything(song: OpenDraft) -> tuple[object, ...]:
    """All that reopening must bring back; the time of a stream is that of its newest text."""
    entries = song.entries()
    states = [song.state(entry.number) for entry in entries]
    told = [(entry.number, entry.description) for entry in entries]
    return song.draft, song.number, song.can_undo, song.can_redo, states, told


def reopened(drafts: Drafts, song: OpenDraft) -> OpenDraft:
    """The same draft, closed and opened again; nothing may have been lost on the way."""
    before = everything(song)
    song.close()
    again = drafts.open(song.name)
    assert again.warnings == ()
    assert everything(again) == before
    return again


def test_a_song_is_there_again_with_all_that_is_known_of_it(drafts: Drafts) -> None:
    song = drafts.create("The lamp")
    first = song.draft.lines[0].id
    section = song.draft.sections[0].id
    song.write(first, [Span("the lamp", MODEL)])
    song.set_text(first, "the red lamp")
    song.rename_section(section, "Verse 1")
    ids = song.insert_lines(section, 1, ["my line", [Span("its line", MODEL)]])
    chorus = song.add_section("Chorus", 1)
    song.move_lines(ids[1:], chorus, 0)
    song.lock(ids[1:])
    song.set_stamp(first, 1.5, [(0, 1.5), (4, 2.25)])
    song.set_stamp(first, 2.5)
    new = song.split_line(ids[0], 3)
    song.set_title("The red lamp")
    song.undo()
    assert new not in ids
    again = reopened(drafts, song)
    assert again.draft == Draft(
        "The lamp",
        (
            Section(
                section,
                "Verse 1",
                (
                    Line(
                        first,
                        (
                            Span("the ", MODEL),
                            Span("red ", Edited(MODEL)),
                            Span("lamp", MODEL),
                        ),
                        stamp=2.5,
                        words=((0, 1.5), (4, 2.25)),
                    ),
                    Line(ids[0], (Span("my "),)),
                    Line(new, (Span("line"),)),
                ),
            ),
            Section(chorus, "Chorus", (Line(ids[1], (Span("its line", MODEL),), locked=True),)),
        ),
    )
    again.redo()
    again.join_line(new)
    again.move_section(chorus, 0)
    again.lock(ids[1:], False)
    again.delete_lines(ids[1:])
    again.delete_section(chorus)
    assert [line.text for line in again.draft.lines] == ["the red lamp", "my line"]
    again = reopened(drafts, again)
    assert again.entries()[2].description == "line 1 typed"
    again.restore(1)
    assert [line.text for line in again.draft.lines] == ["the lamp"]
    reopened(drafts, again).close()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), TEXTS, st.booleans()), max_size=30),
    st.data(),
)
def test_whatever_was_done_is_there_again(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, int, str, bool]],
    data: st.DataObject,
) -> None:
    drafts = Drafts(tmp_path_factory.mktemp("drafts"))
    song = drafts.create("x")
    for what, where, text, flag in steps:
        sections, lines = song.draft.sections, song.draft.lines
        section = sections[where % len(sections)].id
        line = lines[where % len(lines)].id if lines else 0
        try:
            match what:
                case 0 | 1:
                    song.set_text(line, text, goes_on=flag)
                case 2 | 3:
                    song.append(line, text, MODEL if flag else Person())
                case 4:
                    song.insert_lines(section, 0, [text, [Span(text, MODEL)]])
                case 5:
                    song.split_line(line, where)
                case 6:
                    song.undo() if flag else song.redo()
                case 7:
                    song.delete_lines([line]) if flag else song.move_lines([line], section, 0)
                case 8:
                    song.lock([line], flag)
                case 9:
                    song.restore(data.draw(st.integers(0, len(song.entries()) - 1)))
        except DraftError:
            continue
    reopened(drafts, song).close()


def test_an_id_is_never_given_twice(drafts: Drafts) -> None:
    song = drafts.create("x")
    given = song.insert_lines(1, 0, ["a", "b"])
    song.undo()
    song = reopened(drafts, song)
    given += [*song.insert_lines(1, 0, ["c"]), song.split_line(2, 0), song.add_section("A", 1)]
    assert len({1, 2, *given}) == len(given) + 2
    song.close()


def test_a_refused_change_leaves_no_trace(drafts: Drafts) -> None:
    song = drafts.create("x")
    with pytest.raises(DraftError, match="cannot hold a line end"):
        song.set_text(2, "a\nb")
    with pytest.raises(DraftError, match="nothing to undo"):
        song.undo()
    assert len(song.entries()) == 1
    reopened(drafts, song).close()


def test_a_change_is_in_the_file_when_the_call_returns(drafts: Drafts) -> None:
    with drafts.create("x") as song:
        for number in range(20):
            song.set_title(f"title {number}")
            assert f"title {number}".encode() in song.path.read_bytes().splitlines()[-1]


def test_a_stream_is_gathered_into_few_records_and_comes_without_being_asked_for(
    drafts: Drafts,
) -> None:
    began = time.monotonic()
    with drafts.create("x") as song:
        for _ in range(500):
            song.append(2, "la", MODEL)
        while b"".join(_records(song)).count(b"la") < 500:
            assert time.monotonic() - began < PATIENCE
        assert len(_records(song)) <= 3 + (time.monotonic() - began) / 0.1
        again = drafts.open("x")
        assert again.read_only
        assert again.draft == song.draft
        assert len(again.entries()) == 2


def _records(song: OpenDraft) -> list[bytes]:
    text = song.path.read_bytes().replace(b"runs/lamp", b"")
    return text.splitlines()[1:]


# --- One writer ---------------------------------------------------------------------------------


def test_the_second_to_open_can_read_and_is_told(drafts: Drafts) -> None:
    with drafts.create("x") as song:
        song.set_text(2, "la")
        second = drafts.open("x")
        assert second.read_only
        assert second.warnings == (
            "The draft x is open elsewhere: it can be read here, not changed.",
        )
        assert second.draft == song.draft
        with pytest.raises(DraftError, match="open for reading only"):
            second.set_text(2, "lo")
        second.close()
        assert second.draft == song.draft
        assert drafts.open("x").read_only
    with drafts.open("x") as again:
        assert not again.read_only
        again.set_text(2, "lo")


def test_another_process_has_it_until_it_ends(drafts: Drafts) -> None:
    drafts.create("x").close()
    code = (
        "import sys; from pathlib import Path; from engine.writing.journal import Drafts\n"
        "song = Drafts(Path(sys.argv[1])).open('x'); print(song.read_only, flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(drafts.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "False\n"
    assert drafts.open("x").read_only
    child.kill()
    child.communicate()
    with drafts.open("x") as song:
        assert not song.read_only


def test_a_file_that_cannot_be_written_can_be_read(
    drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with drafts.create("x") as song:
        song.set_text(2, "la")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("engine.writing.journal.Journal._open", refuse)
        again = drafts.open("x")
    assert again.read_only
    assert again.draft == song.draft
    assert "cannot be written, only read: Permission denied" in again.warnings[0]


# --- Names --------------------------------------------------------------------------------------


def test_names_come_from_titles_and_are_fresh(drafts: Drafts) -> None:
    names = []
    for title in ("The lamp!", "The lamp?", "灯 / 火", "", "../..", "x" * 300):
        with drafts.create(title) as song:
            names.append(song.name)
            assert song.draft.title == title
    assert names == ["The-lamp", "The-lamp-2", "灯-火", "untitled", "untitled-2", "x" * 40]


def test_drafts_are_listed_the_newest_first(drafts: Drafts) -> None:
    assert drafts.listed() == []
    for title in ("one", "two"):
        drafts.create(title).close()
    with drafts.open("one") as song:
        song.set_title("One more")
        song.insert_lines(1, 0, ["a", "b"])
    (drafts.folder / "bad.draft").write_text("bad")
    found = {one.name: one for one in drafts.listed()}
    assert [one.changed for one in drafts.listed()] == sorted(
        (one.changed for one in found.values()), reverse=True
    )
    assert (found["one"].title, found["one"].lines, found["one"].problem) == ("One more", 3, "")
    assert found["one"].changed == (drafts.folder / "one.draft").stat().st_mtime
    assert "is no draft" in found["bad"].problem


def test_an_imported_draft_begins_as_it_is(drafts: Drafts) -> None:
    draft = Draft("Lamp", (Section(7, "A", (Line(9, (Span("la", MODEL),)),)),))
    song = drafts.create(draft=draft)
    assert song.name == "Lamp"
    assert song.insert_lines(7, 0, ["lo"]) == [10]
    reopened(drafts, song).close()


def test_a_draft_is_renamed_with_its_history(drafts: Drafts) -> None:
    with drafts.create("one") as song:
        song.set_text(2, "la")
        with pytest.raises(DraftError, match="is open: close it"):
            drafts.rename("one", "two")
    drafts.create("taken").close()
    with pytest.raises(DraftError, match="a draft called taken already"):
        drafts.rename("one", "taken")
    with pytest.raises(DraftError, match="needs a letter"):
        drafts.rename("one", "?!")
    assert drafts.rename("one", "two lamps") == "two-lamps"
    with drafts.open("two-lamps") as song:
        assert song.draft.line(2).text == "la"
        assert song.can_undo
    with pytest.raises(DraftError, match="no draft called one"):
        drafts.open("one")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..", "", ".x", "a\0b", "x" * 400])
def test_a_name_leads_nowhere_else(drafts: Drafts, name: str) -> None:
    with pytest.raises(DraftError):
        drafts.open(name)


def test_the_default_place_is_under_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYRICRNN_HOME", "/nowhere")
    assert Drafts().folder == Path("/nowhere/drafts")
    assert Drafts().listed() == []
