"""A song in progress: who wrote what stays true, and every state can be had again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DraftError
from engine.writing.draft import (
    AddSection,
    Append,
    Author,
    Change,
    Delete,
    DeleteSection,
    Draft,
    Edited,
    History,
    Insert,
    Join,
    Line,
    Lock,
    Model,
    Move,
    MoveSection,
    Person,
    Redo,
    RenameSection,
    Restore,
    Section,
    SetTitle,
    Span,
    Split,
    Stamp,
    Step,
    Typed,
    Undo,
    Write,
    diff,
    typed,
)

MODEL = Model("runs/lamp", 1200, "ab" * 32, 7, {"temperature": 0.8, "prompt": "灯"})
OTHER = Model("runs/lamp", 1200, "ab" * 32, 8, {"temperature": 0.8, "prompt": "灯"})
PERSON = Person()

AUTHORS = st.sampled_from([PERSON, MODEL, OTHER, Edited(MODEL)])
TEXTS = st.text("ab灯 ", max_size=8)
SPANS = st.lists(st.builds(Span, TEXTS, AUTHORS), max_size=4).map(tuple)


def song(*spans: Span, **line: Any) -> Draft:
    """A song of one line with id 2."""
    return Draft("", (Section(1, "", (Line(2, spans, **line),)),))


def three() -> Draft:
    """Lines 2 and 3 in a section, 5 in another."""
    one = tuple(Line(number, (Span(text),)) for number, text in ((2, "one"), (3, "two")))
    return Draft("Lamp", (Section(1, "A", one), Section(4, "B", (Line(5, (Span("three"),)),))))


def told(line: Line) -> list[tuple[str, Author]]:
    return [(span.text, span.author) for span in line.spans]


def after_typing(text: str, *spans: Span, **line: Any) -> Line:
    draft = song(*spans, **line)
    return typed(draft.line(2), text).applied(draft).line(2)


# --- Who wrote it -------------------------------------------------------------------------------


def test_what_a_person_changes_inside_a_models_text_is_edited() -> None:
    line = after_typing("the red lamp", Span("the lamp", MODEL))
    assert told(line) == [("the ", MODEL), ("red ", Edited(MODEL)), ("lamp", MODEL)]


def test_what_a_person_puts_in_the_place_of_a_part_of_it_is_edited() -> None:
    line = after_typing("the sky", Span("the lamp", MODEL))
    assert told(line) == [("the ", MODEL), ("sky", Edited(MODEL))]


def test_what_a_person_writes_around_it_is_the_persons() -> None:
    line = after_typing("oh the lamp tonight", Span("the lamp", MODEL))
    assert told(line) == [("oh ", PERSON), ("the lamp", MODEL), (" tonight", PERSON)]


def test_between_two_models_and_in_the_place_of_a_whole_span_it_is_the_persons() -> None:
    line = after_typing("ab-cd", Span("ab", MODEL), Span("cd", OTHER))
    assert told(line) == [("ab", MODEL), ("-", PERSON), ("cd", OTHER)]
    assert told(after_typing("xyz", Span("ab", MODEL))) == [("xyz", PERSON)]


def test_several_changes_at_once_leave_what_stands_between_them() -> None:
    line = after_typing("xone two threex", Span("one two three", MODEL))
    assert told(line) == [("x", PERSON), ("one two three", MODEL), ("x", PERSON)]
    line = after_typing("one. two. three", Span("one two three", MODEL))
    dot = (".", Edited(MODEL))
    assert told(line) == [("one", MODEL), dot, (" two", MODEL), dot, (" three", MODEL)]


def test_what_is_left_of_a_cut_stays_one_span() -> None:
    assert told(after_typing("la", Span("lamp a", MODEL))) == [("la", MODEL)]


@given(SPANS, TEXTS)
def test_typing_gives_the_text_and_leaves_the_authors_of_the_rest(
    spans: tuple[Span, ...], text: str
) -> None:
    before = song(*spans)
    change = typed(before.line(2), text)
    line = change.applied(before).line(2)
    assert line.text == text
    old = [span.author for span in before.line(2).spans for _ in span.text]
    new = [span.author for span in line.spans for _ in span.text]
    done = place = 0
    for start, end, put in (*change.pieces, (len(old), len(old), "")):
        assert new[place : place + start - done] == old[done:start]
        place += start - done + len(put)
        done = end
    assert place == len(new)


@given(SPANS, st.integers(0, 8), TEXTS)
def test_an_insertion_touches_nothing_else(spans: tuple[Span, ...], at: int, put: str) -> None:
    old = song(*spans).line(2).text
    text = old[:at] + put + old[at:]
    change = typed(song(*spans).line(2), text)
    assert sum(end - start for start, end, _ in change.pieces) == 0
    assert sum(len(piece[2]) for piece in change.pieces) == len(put)


@given(SPANS)
def test_neighbouring_spans_differ_and_none_is_empty(spans: tuple[Span, ...]) -> None:
    line = song(*spans).line(2)
    assert line.text == "".join(span.text for span in spans)
    assert all(span.text for span in line.spans)
    assert all(a.author != b.author for a, b in zip(line.spans, line.spans[1:], strict=False))


def test_a_pasted_book_is_typed_without_comparing_every_pair() -> None:
    line = after_typing("b" * 300_000, Span("a" * 300_000, MODEL))
    assert told(line) == [("b" * 300_000, PERSON)]


def test_a_stamp_goes_with_its_character() -> None:
    words = ((0, 1.0), (4, 2.0), (8, 3.0), (12, 4.0))
    line = after_typing("oh the big lamp", Span("the red lamp"), words=words)
    assert line.words == ((3, 1.0), (11, 3.0), (15, 4.0))


# --- Changes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "ids", "described"),
    [
        (SetTitle(" Moon "), [[2, 3], [5]], "title changed"),
        (Insert(1, 1, (Line(9), Line(8))), [[2, 9, 8, 3], [5]], "lines 2 to 3 inserted"),
        (Delete((2, 5)), [[3], []], "2 lines deleted"),
        (Move((2,), 4, 1), [[3], [5, 2]], "line 1 moved"),
        (Move((3,), 1, 0), [[3, 2], [5]], "line 2 moved"),
        (Split(3, 1, 9), [[2, 3, 9], [5]], "line 2 split"),
        (Join(3), [[2], [5]], "lines 1 and 2 joined"),
        (AddSection(9, "C", 1), [[2, 3], [], [5]], "section C added"),
        (RenameSection(4, "Coda"), [[2, 3], [5]], "section B renamed Coda"),
        (DeleteSection(1), [[5]], "section A deleted"),
        (MoveSection(1, 1), [[5], [2, 3]], "section A moved"),
        (Write(5, (Span("x", MODEL),)), [[2, 3], [5]], "line 3 written by the model"),
        (Append(5, "x", MODEL), [[2, 3], [5]], "line 3 written by the model"),
        (Append(5, "x", PERSON), [[2, 3], [5]], "line 3 written"),
        (Lock((2, 3), True), [[2, 3], [5]], "lines 1 to 2 locked"),
        (Stamp(3, 1.5, ((0, 1.5),)), [[2, 3], [5]], "line 2 timed"),
        (Typed(3, ((0, 1, "z"),)), [[2, 3], [5]], "line 2 typed"),
    ],
)
def test_where_lines_stand_after_a_change_and_how_it_is_told(
    change: Change, ids: list[list[int]], described: str
) -> None:
    history = History(three(), 0.0)
    history.take(change, 5.0)
    assert [[line.id for line in one.lines] for one in history.draft.sections] == ids
    assert [(one.number, one.time, one.description) for one in history.entries()] == [
        (0, 0.0, "begun"),
        (1, 5.0, described),
    ]


def test_what_changes_leave_in_the_lines() -> None:
    draft = SetTitle(" Moon ").applied(three())
    assert draft.title == "Moon"
    assert RenameSection(4, "Coda").applied(draft).sections[1].name == "Coda"
    assert told(Write(5, (Span("x", MODEL),)).applied(draft).line(5)) == [("x", MODEL)]
    assert told(Append(5, "x", MODEL).applied(draft).line(5)) == [("three", PERSON), ("x", MODEL)]
    assert Stamp(3, 1.5, ((0, 1.5),)).applied(draft).line(3).stamp == 1.5


def test_a_split_line_joined_again_is_the_line() -> None:
    words = ((0, 1.0), (4, 2.0), (8, 3.0))
    draft = song(Span("the ", MODEL), Span("lamp"), stamp=1.0, words=words)
    split = Split(2, 4, 3).applied(draft)
    assert told(split.line(2)) == [("the ", MODEL)]
    assert told(split.line(3)) == [("lamp", PERSON)]
    assert split.line(3).words == ((0, 2.0), (4, 3.0))
    assert Join(3).applied(split) == draft


def test_a_line_that_is_joined_to_an_empty_one_keeps_its_time() -> None:
    lines = (Line(2), Line(3, (Span("la"),), stamp=4.0))
    joined = Join(3).applied(Draft("", (Section(1, "", lines),)))
    assert joined.line(2) == Line(2, (Span("la"),), stamp=4.0)


LOCKED = Lock((2,), True).applied(three())


@pytest.mark.parametrize(
    "change",
    [
        Typed(2, ((0, 0, "x"),)),
        Write(2, (Span("x", MODEL),)),
        Append(2, "x", MODEL),
        Delete((3, 2)),
        Split(2, 1, 9),
        Join(3),
        DeleteSection(1),
    ],
)
def test_a_locked_line_keeps_its_text(change: Change) -> None:
    with pytest.raises(DraftError, match="Line 1 is locked: unlock it"):
        change.applied(LOCKED)
    change.applied(Lock((2,), False).applied(LOCKED))


def test_a_locked_line_can_be_moved_and_timed() -> None:
    assert Move((2,), 4, 0).applied(LOCKED).line(2).locked
    assert Stamp(2, 3.0, ()).applied(LOCKED).line(2).stamp == 3.0


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: SetTitle("a\nb").applied(three()), "A title cannot hold a line end"),
        (lambda: typed(Line(2), "a\rb"), "A line cannot hold a line end"),
        (lambda: Span("a\nb"), "A line cannot hold a line end"),
        (lambda: Span("\ud800"), "half a character"),
        (lambda: Append(7, "x", PERSON).applied(three()), "not in the draft any more"),
        (lambda: RenameSection(7, "x").applied(three()), "not in the draft any more"),
        (lambda: Insert(1, 3, (Line(9),)).applied(three()), "no place 3"),
        (lambda: Insert(1, 0, (Line(5),)).applied(three()), "its own id"),
        (lambda: Split(2, 1, 5).applied(three()), "its own id"),
        (lambda: AddSection(2, "", 0).applied(three()), "its own id"),
        (lambda: Move((2, 2), 1, 0).applied(three()), "its own id"),
        (lambda: Split(2, 4, 9).applied(three()), "cannot be split at 4"),
        (lambda: Join(2).applied(three()), "no line before it"),
        (lambda: DeleteSection(1).applied(song()), "only section"),
        (lambda: MoveSection(1, 2).applied(three()), "no place 2"),
        (lambda: Typed(2, ((2, 9, ""),)).applied(three()), "does not fit"),
        (lambda: Stamp(2, -1.0, ()).applied(three()), "cannot be sung at -1"),
        (lambda: Stamp(2, float("nan"), ()).applied(three()), "cannot be sung at nan"),
        (lambda: Stamp(2, None, ((4, 1.0),)).applied(three()), "in the order of its text"),
        (lambda: Stamp(2, None, ((1, 1.0), (1, 2.0))).applied(three()), "in the order"),
        (lambda: Model("", 1, "", 1, {"p": float("inf")}), "no finite number"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make: Any, why: str) -> None:
    with pytest.raises(DraftError, match=why):
        make()


# --- History ------------------------------------------------------------------------------------

PLACES = st.integers(0, 3)
IDS = st.integers(1, 6)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(SetTitle, TEXTS),
    st.builds(
        lambda line, start, length, text, on: Typed(line, ((start, start + length, text),), on),
        IDS, PLACES, PLACES, TEXTS, st.booleans(),
    ),
    st.builds(Write, IDS, SPANS),
    st.builds(Append, IDS, TEXTS, AUTHORS),
    st.builds(Insert, IDS, PLACES, st.tuples(st.builds(Line, IDS, SPANS))),
    st.builds(Delete, st.tuples(IDS)),
    st.builds(Move, st.tuples(IDS), IDS, PLACES),
    st.builds(Split, IDS, PLACES, IDS),
    st.builds(Join, IDS),
    st.builds(Lock, st.tuples(IDS), st.booleans()),
    st.builds(Stamp, IDS, st.none() | st.floats(0, 100), st.just(())),
    st.builds(AddSection, IDS, TEXTS, PLACES),
    st.builds(RenameSection, IDS, TEXTS),
    st.builds(DeleteSection, IDS),
    st.builds(MoveSection, IDS, PLACES),
    st.builds(Undo),
    st.builds(Redo),
    st.builds(Restore, st.integers(0, 9)),
)  # fmt: skip


def taken(steps: list[Step]) -> History:
    """A history of those of the steps that can be taken; a refused one must leave all as it is."""
    history = History(three(), 0.0)
    for step in steps:
        before = (history.draft, history.number, len(history), history.can_undo, history.can_redo)
        try:
            history.take(step, 0.0)
        except DraftError:
            after = (
                history.draft,
                history.number,
                len(history),
                history.can_undo,
                history.can_redo,
            )
            assert after == before
        history.draft.checked()
    return history


@given(st.lists(STEPS, max_size=25))
def test_undoing_everything_gives_the_first_state_and_redoing_the_last(steps: list[Step]) -> None:
    history = taken(steps)
    first, last = history.draft, history.draft
    while history.can_undo:
        history.take(Undo(), 0.0)
    assert history.draft == three()
    while history.can_redo:
        history.take(Redo(), 0.0)
        last = history.draft
    # What had been undone before comes back too, so redoing passes the state that this began from.
    assert any(history.state(number) == first for number in range(len(history)))
    if not any(isinstance(step, Undo) for step in steps):
        assert last == first


@given(st.lists(STEPS, max_size=25))
def test_any_state_comes_back_and_that_can_be_undone(steps: list[Step]) -> None:
    history = taken(steps)
    states = [history.state(number) for number in range(len(history))]
    for number, state in enumerate(states):
        before = history.draft
        if history.take(Restore(number), 0.0):
            assert history.draft == state
            assert history.entries()[-1].description == f"state {number} restored"
            history.take(Undo(), 0.0)
        assert history.draft == before
    assert [history.state(number) for number in range(len(states))] == states


def test_states_that_were_undone_stay_in_the_history() -> None:
    history = taken([SetTitle("one"), Undo(), SetTitle("two")])
    assert [history.state(number).title for number in range(3)] == ["Lamp", "one", "two"]
    assert not history.can_redo
    history.take(Restore(1), 0.0)
    assert history.draft.title == "one"


def test_a_change_that_changes_nothing_is_no_state() -> None:
    history = taken([SetTitle("Lamp"), Lock((2,), False), Typed(2, ()), Restore(0)])
    assert len(history) == 1


def test_a_stream_is_one_step_with_the_line_that_was_emptied_for_it() -> None:
    history = taken([Write(2, ()), *(Append(2, text, MODEL) for text in "lamp")])
    assert history.draft.line(2).text == "lamp"
    assert [entry.description for entry in history.entries()][1:] == ["line 1 written by the model"]
    history.take(Undo(), 0.0)
    assert history.draft == three()


def test_streams_of_two_authors_are_two_steps() -> None:
    assert len(taken([Append(2, "a", MODEL), Append(2, "b", OTHER), Append(3, "b", OTHER)])) == 4


def test_typing_goes_on_only_where_it_says_so_and_in_the_same_line() -> None:
    def put(line: int, goes_on: bool) -> Typed:
        return Typed(line, ((0, 0, "x"),), goes_on)

    assert len(taken([put(2, True), put(2, True), put(2, True)])) == 2
    assert len(taken([put(2, True), put(2, False), put(3, True)])) == 4
    assert len(taken([put(2, True), Undo(), Redo(), put(2, True)])) == 3


def test_undo_redo_and_states_that_are_not_there_are_refused() -> None:
    history = History(three(), 0.0)
    for step, why in ((Undo(), "nothing to undo"), (Redo(), "to redo"), (Restore(1), "no state 1")):
        with pytest.raises(DraftError, match=why):
            history.take(step, 0.0)


# --- Two states ---------------------------------------------------------------------------------


def test_a_diff_names_what_came_went_changed_and_moved() -> None:
    before = three()
    after = before
    for change in (
        SetTitle("Moon"),
        Delete((3,)),
        Insert(1, 0, (Line(9, (Span("new", MODEL),)),)),
        Write(5, (Span("four"),)),
        Move((2,), 4, 1),
        RenameSection(4, "Coda"),
    ):
        after = change.applied(after)
    found = diff(before, after)
    assert found.added == (Line(9, (Span("new", MODEL),)),)
    assert found.removed == (before.line(3),)
    assert found.changed == ((before.line(5), after.line(5)),)
    assert found.moved == (2,)
    assert found.title == ("Lamp", "Moon")
    assert found.sections == (("A", "B"), ("A", "Coda"))


def test_states_that_are_alike_have_an_empty_diff() -> None:
    found = diff(three(), three())
    assert (found.added, found.removed, found.changed, found.moved) == ((), (), (), ())
    assert found.title is None
    assert found.sections is None
