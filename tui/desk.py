"""A draft under a writer's hands: where the cursor stands, and what the keys of an editor do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.cells import cell_len, get_character_cell_size

from engine.writing.draft import Author, Draft, Line, Span, diff
from engine.writing.journal import OpenDraft

_SECTION = re.compile(r"\s*\[\s*([^\]]+?)\s*\]\s*")
_ENDS_A_WORD = re.compile(r"[\s,.;:!?，。、；：！？…—]")


class Desk:
    """An open draft and a cursor in it: before character `column` of the line with id `line`.

    Every method that changes the song writes that down before it returns, and raises DraftError,
    with everything as it was, where the draft refuses it.
    """

    def __init__(self, draft: OpenDraft) -> None:
        self.draft = draft
        self.line = 0
        self.column = 0
        self._goal: int | None = None  # the cells that going up and down keeps to
        self._typing = False  # the next character belongs to the typing before it
        self._number = 0  # of the line, counted from 0, for when it is gone
        if not self.song.lines and not draft.read_only:
            draft.insert_lines(self.song.sections[0].id, 0, [""])
        self._settle()

    @property
    def song(self) -> Draft:
        return self.draft.draft

    @property
    def current(self) -> Line | None:
        """The line at the cursor; None in a song without lines."""
        return next((line for line in self.song.lines if line.id == self.line), None)

    @property
    def number(self) -> int:
        """Which line of the song the cursor is in, counted from 0."""
        return self._number

    # -- going about ------------------------------------------------------------------------

    def go_to(self, line: int, column: int = 0) -> None:
        self.line, self.column = line, column
        self._moved()

    def left(self) -> None:
        text, column = self._text, self.column
        if column:
            self.column = _before(text, column)
        elif self._number:
            self._to(self._number - 1, end=True)
        self._moved()

    def right(self) -> None:
        text, column = self._text, self.column
        if column < len(text):
            self.column = _after(text, column)
        elif self._number + 1 < len(self.song.lines):
            self._to(self._number + 1)
        self._moved()

    def home(self) -> None:
        self.column = 0
        self._moved()

    def end(self) -> None:
        self.column = len(self._text)
        self._moved()

    def down(self, lines: int = 1) -> None:
        """So many lines on, or back, in the column where the last step sideways left off."""
        found = self.song.lines
        if not found:
            return
        goal = cell_len(self._text[: self.column]) if self._goal is None else self._goal
        self.line = found[min(max(self._number + lines, 0), len(found) - 1)].id
        self.column = _at_cells(self._text, goal)
        self._moved()
        self._goal = goal

    # -- typing -----------------------------------------------------------------------------

    def type(self, text: str) -> None:
        """What a person typed, without a line end. A word is undone together."""
        if self._replace(self.column, self.column, text, goes_on=self._typing):
            self._typing = not _ENDS_A_WORD.search(text)

    def paste(self, text: str) -> None:
        """Text of any number of lines."""
        first, *more = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        with self.draft.as_one():
            if not more:
                self._replace(self.column, self.column, first)
                return
            self.enter()  # what is behind the cursor goes below
            before = self.song.lines[self._number - 1]
            if before.locked:
                first, more = "", [first, *more]
            else:
                self.draft.replace(before.id, len(before.text), len(before.text), first)
            section, place = self.song.place(self.line)
            *whole, last = more
            if whole:
                self.draft.insert_lines(self.song.sections[section].id, place, whole)
            self._settle()
            self._replace(0, 0, last)

    def enter(self) -> None:
        """Parts the line at the cursor; "[Chorus]" alone on a line begins a section."""
        line = self.current
        if line is None:
            return
        named = _SECTION.fullmatch(line.text)
        if named and self.column == len(line.text) and not line.locked:
            with self.draft.as_one():
                self.draft.replace(line.id, 0, len(line.text), "")
                self.begin_section(named[1])
            self.column = 0
        elif self.column == 0 and line.text:
            section, place = self.song.place(line.id)
            self.draft.insert_lines(self.song.sections[section].id, place, [""])
        else:
            if self.column < len(line.text):
                self.song.unlocked(line.id)
            self.line = self.draft.split_line(line.id, self.column)
            self.column = 0
        self._moved()

    def backspace(self) -> None:
        if self.column:
            self._replace(_before(self._text, self.column), self.column, "", goes_on=self._typing)
        elif self._number:
            self._join(self.line)

    def delete(self) -> None:
        if self.column < len(self._text):
            self._replace(self.column, _after(self._text, self.column), "")
            self.column = min(self.column, len(self._text))
        elif self._number + 1 < len(self.song.lines):
            self._join(self.song.lines[self._number + 1].id)

    def _join(self, line: int) -> None:
        """A line to the one before it; the first of a section brings its section along."""
        section, place = self.song.place(line)
        if place:
            kept = self.song.sections[section].lines[place - 1]
            text = kept.text
            if not text and not kept.locked:  # the line that is written stays the line it is
                self.draft.delete_lines([kept.id])
                self.go_to(line)
            else:
                self.draft.join_line(line)
                self.go_to(kept.id, len(text))
            return
        with self.draft.as_one():
            before, here = self.song.sections[section - 1], self.song.sections[section]
            self.draft.move_lines([one.id for one in here.lines], before.id, len(before.lines))
            self.draft.delete_section(here.id)
        self._moved()

    def _replace(self, start: int, end: int, text: str, *, goes_on: bool = False) -> bool:
        if self.current is None:
            return False
        self.draft.replace(self.line, start, end, text, goes_on=goes_on)
        self._moved()
        self.column = start + len(text)
        return True

    # -- whole lines and sections -----------------------------------------------------------

    def remove_line(self) -> None:
        line = self.current
        if line is None:
            return
        section, _ = self.song.place(line.id)
        alone = len(self.song.sections[section].lines) == 1
        if alone and len(self.song.sections) > 1:
            self.draft.delete_section(self.song.sections[section].id)
        elif alone:
            self.draft.replace(line.id, 0, len(line.text), "")
        else:
            self.draft.delete_lines([line.id])
        self._moved()
        self.home()

    def move_line(self, by: int) -> None:
        """One line up (-1) or down (1), into the neighbouring section where this one ends."""
        if self.current is None:
            return
        section, place = self.song.place(self.line)
        sections = self.song.sections
        if 0 <= place + by < len(sections[section].lines):
            self.draft.move_lines([self.line], sections[section].id, place + by)
        elif 0 <= section + by < len(sections):
            into = sections[section + by]
            with self.draft.as_one():
                self.draft.move_lines([self.line], into.id, len(into.lines) if by < 0 else 0)
                if len(sections[section].lines) == 1:
                    self.draft.delete_section(sections[section].id)
        self._moved()

    def begin_section(self, name: str) -> None:
        """Names the section that begins at the cursor's line, which may be a new one."""
        section, place = self.song.place(self.line)
        here = self.song.sections[section]
        if place == 0:
            self.draft.rename_section(here.id, name)
            return
        with self.draft.as_one():
            new = self.draft.add_section(name, section + 1)
            self.draft.move_lines([line.id for line in here.lines[place:]], new, 0)
        self._moved()

    def toggle_lock(self) -> None:
        line = self.current
        if line is not None:
            self.draft.lock([line.id], not line.locked)
        self._moved()

    # -- what a network writes --------------------------------------------------------------

    def line_for_more(self, after: int, *, apart: bool) -> int:
        """A new line below one, with a blank one between where it stands `apart`; its id."""
        section, place = self.song.place(after)
        new = self.draft.insert_lines(
            self.song.sections[section].id, place + 1, ["", ""] if apart else [""]
        )
        return new[-1]

    def write(self, line: int, kept: int, text: str, author: Author) -> None:
        """A line anew from character `kept` on; what stands before keeps its author."""
        spans: list[Span] = []
        place = 0
        for span in self.song.line(line).spans:
            if place < kept:
                spans.append(Span(span.text[: kept - place], span.author))
            place += len(span.text)
        self.draft.write(line, [*spans, Span(text, author)])
        self._moved()

    # -- history ----------------------------------------------------------------------------

    def undo(self) -> None:
        self._back_and_forth(self.draft.undo)

    def redo(self) -> None:
        self._back_and_forth(self.draft.redo)

    def restore(self, state: int) -> None:
        self._back_and_forth(lambda: self.draft.restore(state))

    def _back_and_forth(self, step: Callable[[], None]) -> None:
        before = self.song
        step()
        changes = diff(before, self.song)
        touched = [*changes.added, *(new for _, new in changes.changed)]
        if touched:
            old = {was.id: was.text for was, _ in changes.changed}
            self.line = touched[0].id
            self.column = _end_of_change(old.get(self.line, ""), touched[0].text)
        elif changes.moved:
            self.line, self.column = changes.moved[0], 0
        self._moved()

    # -- inside -----------------------------------------------------------------------------

    @property
    def _text(self) -> str:
        line = self.current
        return "" if line is None else line.text

    def _to(self, number: int, *, end: bool = False) -> None:
        self.line = self.song.lines[number].id
        self.column = len(self._text) if end else 0

    def _moved(self) -> None:
        self._typing, self._goal = False, None
        self._settle()

    def _settle(self) -> None:
        """Puts the cursor where there is text."""
        lines = self.song.lines
        numbers = {line.id: number for number, line in enumerate(lines)}
        if self.line not in numbers and lines:
            self.line = lines[min(self._number, len(lines) - 1)].id
        self._number = numbers.get(self.line, 0)
        self.column = min(self.column, len(self._text))


def indexes(lines: Sequence[Line]) -> dict[int, int]:
    """For each line by its id, which line of a form it is: blank lines are none, and count as the
    one that would be written there."""
    found, index = {}, 0
    for line in lines:
        found[line.id] = index
        index += bool(line.text.strip())
    return found


def _before(text: str, column: int) -> int:
    """The place before the character there and the marks on it."""
    column -= 1
    while column and get_character_cell_size(text[column]) == 0:
        column -= 1
    return column


def _after(text: str, column: int) -> int:
    column += 1
    while column < len(text) and get_character_cell_size(text[column]) == 0:
        column += 1
    return column


def _at_cells(text: str, cells: int) -> int:
    """The character that stands so many cells from the left, or the line's end."""
    column = 0
    while column < len(text) and cell_len(text[: _after(text, column)]) <= cells:
        column = _after(text, column)
    return column


def _end_of_change(old: str, new: str) -> int:
    """Where what differs between two texts ends in the new one."""
    same = 0
    while same < min(len(old), len(new)) and old[-1 - same] == new[-1 - same]:
        same += 1
    return len(new) - same
