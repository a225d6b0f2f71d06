"""A song in progress: lines in sections, who wrote each character, and the changes that lead from
one state to the next.

Nothing here changes in place: a change gives a new `Draft`, which shares what it left alone.
Lines and sections are named by ids that stay the same while they move.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Literal

from engine.errors import DraftError

Setting = str | int | float | bool | None
WordStamp = tuple[int, float]
"""A place in a line's text, in characters, and when what stands there is sung, in seconds."""

LATEST = 600_000.0  # seconds; LRC has room for 9999 minutes
_MOST_COMPARED = 1_000_000  # pairs of characters; beyond, a change is told as one piece


# --- Who wrote it -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """Written by a person."""

    by: Literal["person"] = "person"


@dataclass(frozen=True, slots=True)
class Model:
    """Written by a network, with all that is needed to write it again.

    `run` is the run's path, `step` and `weights` (a digest) name the checkpoint, `settings` is
    everything else that the text depends on, its prompt included, and `candidate` says which of
    several texts it is, counted from 0.
    """

    run: str
    step: int
    weights: str
    seed: int
    settings: Mapping[str, Setting]
    candidate: int = 0
    by: Literal["model"] = "model"

    def __post_init__(self) -> None:
        for text in (self.run, self.weights, *self.settings, *self.settings.values()):
            if isinstance(text, str):
                _checked_unicode(text)
        numbers = [value for value in self.settings.values() if isinstance(value, float)]
        if not all(map(math.isfinite, numbers)):
            raise DraftError("A setting of a model's line is no finite number.")
        object.__setattr__(self, "settings", dict(self.settings))


@dataclass(frozen=True, slots=True)
class Edited:
    """A person's change inside what a model wrote."""

    model: Model
    by: Literal["edited"] = "edited"


Author = Person | Model | Edited


def model_of(author: Author | None) -> Model | None:
    """The model that a text comes from, be it edited or not."""
    match author:
        case Model():
            return author
        case Edited():
            return author.model
    return None


# --- The song -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a line by one author. Raises DraftError for a text with a line end."""

    text: str
    author: Author = Person()

    def __post_init__(self) -> None:
        _checked_text(self.text, "A line")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a song; `stamp` is when it is sung, in seconds, None where nobody has said.

    Neighbouring spans differ in their authors and none is empty; `words` stand in the order of
    their places, the last of which may be the line's end.
    """

    id: int
    spans: tuple[Span, ...] = ()
    locked: bool = False
    stamp: float | None = None
    words: tuple[WordStamp, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", _merged(self.spans))
        if self.stamp is None and not self.words:
            return
        for seconds in (self.stamp, *(seconds for _, seconds in self.words)):
            if seconds is not None and not 0 <= seconds < LATEST:
                raise DraftError(
                    f"A line cannot be sung at {seconds} s: give a time from 0 to {LATEST:,.0f} s."
                )
        places = [place for place, _ in self.words]
        in_order = all(first < second for first, second in pairwise(places))
        if places and not (in_order and places[0] >= 0 and places[-1] <= len(self.text)):
            raise DraftError("The times of a line's words must stand in the order of its text.")

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a song, such as "Verse 1"; the name may be empty."""

    id: int
    name: str = ""
    lines: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _checked_text(self.name, "A section's name").strip())


@dataclass(frozen=True, slots=True)
class Draft:
    """One state of a song: at least one section, and every id once."""

    title: str
    sections: tuple[Section, ...]
    form: str = ""
    """What its lines are to be, as TOML for `Form.from_toml`; empty where it is free."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", _checked_text(self.title, "A title").strip())
        _checked_unicode(self.form)

    def checked(self) -> Draft:
        """The draft itself; raises DraftError where it has no section, or an id twice."""
        ids = [section.id for section in self.sections] + [line.id for line in self.lines]
        if not self.sections or len(set(ids)) != len(ids) or min(ids) < 1:
            raise DraftError("A draft needs a section, and every line and section its own id.")
        return self

    @classmethod
    def new(cls, title: str = "") -> Draft:
        """One section without a name, with one empty line."""
        return cls(title, (Section(1, "", (Line(2),)),))

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, in order."""
        return tuple(line for section in self.sections for line in section.lines)

    @property
    def largest_id(self) -> int:
        return max(
            max(section.id, *(line.id for line in section.lines), 0) for section in self.sections
        )

    def line(self, line_id: int) -> Line:
        """The line with that id. Raises DraftError where there is none, as does all below."""
        section, place = self.place(line_id)
        return self.sections[section].lines[place]

    def place(self, line_id: int) -> tuple[int, int]:
        """Where a line stands: which section, and which line of it, counted from 0."""
        for number, section in enumerate(self.sections):
            for place, line in enumerate(section.lines):
                if line.id == line_id:
                    return number, place
        raise DraftError("This line is not in the draft any more: choose another one.")

    def number(self, line_id: int) -> int:
        """Which line of the song it is, counted from 1, as people do."""
        section, place = self.place(line_id)
        return sum(len(before.lines) for before in self.sections[:section]) + place + 1

    def section_place(self, section_id: int) -> int:
        """Which section it is, counted from 0."""
        for number, section in enumerate(self.sections):
            if section.id == section_id:
                return number
        raise DraftError("This section is not in the draft any more: choose another one.")

    # What the changes are made of.

    def unlocked(self, line_id: int) -> Line:
        """The line, which must not be locked."""
        line = self.line(line_id)
        if line.locked:
            raise DraftError(f"Line {self.number(line_id)} is locked: unlock it to change it.")
        return line

    def with_line(self, line: Line) -> Draft:
        """The draft with that line in the place of the one with its id."""
        section, place = self.place(line.id)
        lines = self.sections[section].lines
        return self.with_lines(section, (*lines[:place], line, *lines[place + 1 :]))

    def with_lines(self, section: int, lines: Iterable[Line]) -> Draft:
        """The draft with those lines in the section of that place."""
        old = self.sections[section]
        changed = Section(old.id, old.name, tuple(lines))
        return self.with_sections(
            (*self.sections[:section], changed, *self.sections[section + 1 :])
        )

    def with_sections(self, sections: Iterable[Section]) -> Draft:
        return replace(self, sections=tuple(sections))

    def without(self, line_ids: Iterable[int]) -> Draft:
        gone = set(line_ids)
        return self.with_sections(
            section
            if gone.isdisjoint(line.id for line in section.lines)
            else replace(
                section, lines=tuple(line for line in section.lines if line.id not in gone)
            )
            for section in self.sections
        )


# --- The changes --------------------------------------------------------------------------------

Piece = tuple[int, int, str]
"""Characters start to end of a line's old text, and what stands there now."""


@dataclass(frozen=True, slots=True)
class SetTitle:
    title: str
    do: Literal["title"] = "title"

    def applied(self, draft: Draft) -> Draft:
        return replace(draft, title=self.title)

    def described(self, before: Draft) -> str:
        return "title changed"


@dataclass(frozen=True, slots=True)
class SetForm:
    """What the lines are to be, as TOML; empty makes them free."""

    form: str
    do: Literal["form"] = "form"

    def applied(self, draft: Draft) -> Draft:
        return replace(draft, form=self.form)

    def described(self, before: Draft) -> str:
        return "form changed" if self.form else "form taken away"


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person typed in a line. `goes_on`: it belongs to the typing before it, if that was
    in the same line, and is undone together with it."""

    line: int
    pieces: tuple[Piece, ...]
    goes_on: bool = False
    do: Literal["typed"] = "typed"

    def applied(self, draft: Draft) -> Draft:
        line = draft.unlocked(self.line)
        length = len(line.text)
        spans: list[Span] = []
        words: list[WordStamp] = []
        done = place = 0
        for start, end, text in (*self.pieces, (length, length, "")):
            if not done <= start <= end <= length:
                raise DraftError("What was typed does not fit the line: it was changed meanwhile.")
            spans += _cut(line.spans, done, start)
            words += [(at + place - done, s) for at, s in line.words if done <= at < start]
            if text:
                spans.append(Span(text, _author_of_change(line.spans, start, end)))
            place += start - done + len(text)
            done = end
        words += [(place, seconds) for at, seconds in line.words if at == length]
        return draft.with_line(Line(line.id, tuple(spans), False, line.stamp, tuple(words)))

    def described(self, before: Draft) -> str:
        return f"line {before.number(self.line)} typed"


@dataclass(frozen=True, slots=True)
class Write:
    """A whole line anew, as a model wrote it; its time stays, those of its words go."""

    line: int
    spans: tuple[Span, ...]
    do: Literal["write"] = "write"

    def applied(self, draft: Draft) -> Draft:
        return draft.with_line(replace(draft.unlocked(self.line), spans=self.spans, words=()))

    def described(self, before: Draft) -> str:
        authors = {model_of(span.author) is not None for span in self.spans}
        by = " by the model" if True in authors else ""
        return f"line {before.number(self.line)} {'written' if self.spans else 'emptied'}{by}"


@dataclass(frozen=True, slots=True)
class Append:
    """Text that streams to the end of a line. It goes on with the stream of the same author before
    it, or with the `Write` that made room for it, and is undone together with that."""

    line: int
    text: str
    author: Author
    do: Literal["append"] = "append"

    def applied(self, draft: Draft) -> Draft:
        line = draft.unlocked(self.line)
        return draft.with_line(replace(line, spans=(*line.spans, Span(self.text, self.author))))

    def described(self, before: Draft) -> str:
        by = " by the model" if model_of(self.author) else ""
        return f"line {before.number(self.line)} written{by}"


@dataclass(frozen=True, slots=True)
class Insert:
    """New lines in a section; the first of them comes to stand at place `at`, from 0."""

    section: int
    at: int
    lines: tuple[Line, ...]
    do: Literal["insert"] = "insert"

    def applied(self, draft: Draft) -> Draft:
        return _inserted(draft, self.section, self.at, self.lines)

    def described(self, before: Draft) -> str:
        section = before.section_place(self.section)
        first = sum(len(one.lines) for one in before.sections[:section]) + self.at + 1
        return f"{_lines(range(first, first + len(self.lines)))} inserted"


@dataclass(frozen=True, slots=True)
class Delete:
    lines: tuple[int, ...]
    do: Literal["delete"] = "delete"

    def applied(self, draft: Draft) -> Draft:
        for line in self.lines:
            draft.unlocked(line)
        return draft.without(self.lines)

    def described(self, before: Draft) -> str:
        return f"{_lines(map(before.number, self.lines))} deleted"


@dataclass(frozen=True, slots=True)
class Move:
    """Takes lines out and puts them into a section, in the order given; `at` is the place that the
    first of them has afterwards."""

    lines: tuple[int, ...]
    section: int
    at: int
    do: Literal["move"] = "move"

    def applied(self, draft: Draft) -> Draft:
        moved = tuple(draft.line(line) for line in self.lines)
        return _inserted(draft.without(self.lines), self.section, self.at, moved)

    def described(self, before: Draft) -> str:
        return f"{_lines(map(before.number, self.lines))} moved"


@dataclass(frozen=True, slots=True)
class Split:
    """Cuts a line in two before character `at`; what follows is a new line without a time."""

    line: int
    at: int
    new: int
    do: Literal["split"] = "split"

    def applied(self, draft: Draft) -> Draft:
        line = draft.unlocked(self.line)
        length = len(line.text)
        if not 0 <= self.at <= length:
            raise DraftError(f"A line of {length} characters cannot be split at {self.at}.")
        section, place = draft.place(self.line)
        first = replace(
            line,
            spans=tuple(_cut(line.spans, 0, self.at)),
            words=tuple((at, seconds) for at, seconds in line.words if at < self.at),
        )
        second = Line(
            self.new,
            tuple(_cut(line.spans, self.at, length)),
            words=tuple((at - self.at, seconds) for at, seconds in line.words if at >= self.at),
        )
        lines = draft.sections[section].lines
        return draft.with_lines(
            section, (*lines[:place], first, second, *lines[place + 1 :])
        ).checked()

    def described(self, before: Draft) -> str:
        return f"line {before.number(self.line)} split"


@dataclass(frozen=True, slots=True)
class Join:
    """Puts a line's text behind that of the line before it in the section, which keeps its id."""

    line: int
    do: Literal["join"] = "join"

    def applied(self, draft: Draft) -> Draft:
        section, place = draft.place(self.line)
        if place == 0:
            raise DraftError("The first line of a section has no line before it to be joined to.")
        lines = draft.sections[section].lines
        first, second = draft.unlocked(lines[place - 1].id), draft.unlocked(self.line)
        length = len(first.text)
        joined = replace(
            first,
            spans=first.spans + second.spans,
            stamp=second.stamp if first.stamp is None and not length else first.stamp,
            words=(
                *((at, seconds) for at, seconds in first.words if at < length),
                *((at + length, seconds) for at, seconds in second.words),
            ),
        )
        return draft.with_lines(section, (*lines[: place - 1], joined, *lines[place + 1 :]))

    def described(self, before: Draft) -> str:
        number = before.number(self.line)
        return f"lines {number - 1} and {number} joined"


@dataclass(frozen=True, slots=True)
class Lock:
    lines: tuple[int, ...]
    locked: bool
    do: Literal["lock"] = "lock"

    def applied(self, draft: Draft) -> Draft:
        for line in self.lines:
            draft = draft.with_line(replace(draft.line(line), locked=self.locked))
        return draft

    def described(self, before: Draft) -> str:
        which = _lines(map(before.number, self.lines))
        return f"{which} {'locked' if self.locked else 'unlocked'}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a line is sung, and when its words are."""

    line: int
    stamp: float | None
    words: tuple[WordStamp, ...]
    do: Literal["stamp"] = "stamp"

    def applied(self, draft: Draft) -> Draft:
        line = draft.line(self.line)
        return draft.with_line(replace(line, stamp=self.stamp, words=self.words))

    def described(self, before: Draft) -> str:
        return f"line {before.number(self.line)} timed"


@dataclass(frozen=True, slots=True)
class AddSection:
    """A new section without lines at place `at`, from 0."""

    section: int
    name: str
    at: int
    do: Literal["add section"] = "add section"

    def applied(self, draft: Draft) -> Draft:
        return _section_inserted(draft, Section(self.section, self.name), self.at)

    def described(self, before: Draft) -> str:
        return f"{_section_name(self.name)} added"


@dataclass(frozen=True, slots=True)
class RenameSection:
    section: int
    name: str
    do: Literal["rename section"] = "rename section"

    def applied(self, draft: Draft) -> Draft:
        place = draft.section_place(self.section)
        renamed = replace(draft.sections[place], name=self.name)
        return draft.with_sections((*draft.sections[:place], renamed, *draft.sections[place + 1 :]))

    def described(self, before: Draft) -> str:
        old = before.sections[before.section_place(self.section)].name
        return f"{_section_name(old)} renamed {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class DeleteSection:
    """Takes out a section with its lines, of which none may be locked."""

    section: int
    do: Literal["delete section"] = "delete section"

    def applied(self, draft: Draft) -> Draft:
        place = draft.section_place(self.section)
        for line in draft.sections[place].lines:
            draft.unlocked(line.id)
        if len(draft.sections) == 1:
            raise DraftError("The only section of a draft cannot be deleted: delete its lines.")
        return draft.with_sections(draft.sections[:place] + draft.sections[place + 1 :])

    def described(self, before: Draft) -> str:
        name = before.sections[before.section_place(self.section)].name
        return f"{_section_name(name)} deleted"


@dataclass(frozen=True, slots=True)
class MoveSection:
    """`at` is the place that the section has afterwards, from 0."""

    section: int
    at: int
    do: Literal["move section"] = "move section"

    def applied(self, draft: Draft) -> Draft:
        place = draft.section_place(self.section)
        others = draft.sections[:place] + draft.sections[place + 1 :]
        if not 0 <= self.at <= len(others):
            raise DraftError(f"There is no place {self.at} for a section in this draft.")
        moved = draft.sections[place]
        return draft.with_sections((*others[: self.at], moved, *others[self.at :]))

    def described(self, before: Draft) -> str:
        name = before.sections[before.section_place(self.section)].name
        return f"{_section_name(name)} moved"


Change = (
    SetTitle
    | SetForm
    | Typed
    | Write
    | Append
    | Insert
    | Delete
    | Move
    | Split
    | Join
    | Lock
    | Stamp
    | AddSection
    | RenameSection
    | DeleteSection
    | MoveSection
)


def typed(line: Line, text: str, *, goes_on: bool = False) -> Typed:
    """The change from a line's text to that which a person made of it, in as few characters as
    can be found: what stays keeps its author."""
    old = line.text
    _checked_text(text, "A line")
    shorter = min(len(old), len(text))
    start = next((i for i in range(shorter) if old[i] != text[i]), shorter)
    rest = shorter - start
    end = next((i for i in range(rest) if old[-1 - i] != text[-1 - i]), rest)
    before, after = old[start : len(old) - end], text[start : len(text) - end]
    if len(before) * len(after) > _MOST_COMPARED:
        return Typed(line.id, ((start, start + len(before), after),), goes_on)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    pieces = tuple(
        (start + i, start + j, after[k:m])
        for tag, i, j, k, m in matcher.get_opcodes()
        if tag != "equal"
    )
    return Typed(line.id, pieces, goes_on)


# --- The history --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Undo:
    do: Literal["undo"] = "undo"


@dataclass(frozen=True, slots=True)
class Redo:
    do: Literal["redo"] = "redo"


@dataclass(frozen=True, slots=True)
class Restore:
    """Brings a state back, as a change that can itself be undone."""

    state: int
    do: Literal["restore"] = "restore"


Step = Change | Undo | Redo | Restore


@dataclass(frozen=True, slots=True)
class Entry:
    """A state as a history lists it; `time` is in seconds since 1970."""

    number: int
    time: float
    description: str


class History:
    """Every state that a draft has been in. Changes are numbered from 1; 0 is the beginning.

    Undoing and redoing go along the changes that led to the current state and make none. A change
    after an undo leaves the undone states in the history, from where they can be restored.
    """

    def __init__(self, draft: Draft, time: float) -> None:
        self._states = [draft]
        self._times = [time]
        self._steps: list[Change | Restore | None] = [None]
        self._origins = [0]  # the state that each was made from
        self._groups = [0]
        self._past: list[int] = []
        self._future: list[int] = []
        self._at = 0
        self._continued = False  # the last step made the current state
        self.largest_id = draft.largest_id

    @property
    def draft(self) -> Draft:
        """The current state."""
        return self._states[self._at]

    @property
    def number(self) -> int:
        """The current state's number."""
        return self._at

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    def __len__(self) -> int:
        return len(self._states)

    def state(self, number: int) -> Draft:
        if not 0 <= number < len(self._states):
            raise DraftError(f"This draft has no state {number}: the last is {len(self) - 1}.")
        return self._states[number]

    def entries(self) -> list[Entry]:
        """All states, the oldest first."""
        return [
            Entry(number, time, self._described(number)) for number, time in enumerate(self._times)
        ]

    def take(self, step: Step, time: float, group: int = 0) -> bool:
        """One step further; False for a change that changes nothing, which makes no state. Changes
        of one `group` (0 is none) that follow each other make one state, and are undone together.
        Raises DraftError, and stays as it is, where it cannot be taken."""
        match step:
            case Undo():
                if not self._past:
                    raise DraftError("There is nothing to undo.")
                self._future.append(self._at)
                self._at = self._past.pop()
                self._continued = False
            case Redo():
                if not self._future:
                    raise DraftError("There is nothing to redo.")
                self._past.append(self._at)
                self._at = self._future.pop()
                self._continued = False
            case Restore():
                return self._add(self.state(step.state), step, time, group)
            case _:
                return self._add(step.applied(self.draft), step, time, group)
        return True

    def _add(self, draft: Draft, step: Change | Restore, time: float, group: int) -> bool:
        if draft == self.draft:
            return False
        in_group = group > 0 and group == self._groups[self._at]
        if self._continued and (in_group or _goes_on(self._steps[self._at], step)):
            self._states[self._at], self._times[self._at] = draft, time
            if isinstance(step, Insert | Split | AddSection):
                self.largest_id = max(self.largest_id, draft.largest_id)
            if isinstance(step, Append):
                self._steps[self._at] = step
            return True
        self._origins.append(self._at)
        self._past.append(self._at)
        self._future.clear()
        self._at = len(self._states)
        self._states.append(draft)
        self._times.append(time)
        self._steps.append(step)
        self._groups.append(group)
        self._continued = True
        if isinstance(step, Insert | Split | AddSection):
            self.largest_id = max(self.largest_id, draft.largest_id)
        return True

    def _described(self, number: int) -> str:
        if self._groups[number]:
            return _together(diff(self._states[self._origins[number]], self._states[number]))
        match step := self._steps[number]:
            case None:
                return "begun"
            case Restore():
                return f"state {step.state} restored"
            case _:
                return step.described(self._states[self._origins[number]])


def _together(changes: Diff) -> str:
    """Several changes in a few words."""
    added = [line for line in changes.added if line.text]
    changed = [line for _, line in changes.changed if line.text]
    told = [
        f"{len(lines)} {'line' if len(lines) == 1 else 'lines'} {what}{_by(lines)}"
        for lines, what in (
            (added, "added"),
            (changed, "changed"),
            (changes.removed, "deleted"),
        )
        if lines
    ]
    return ", ".join(told) or "lines moved"


def _by(lines: Sequence[Line]) -> str:
    authors = [span.author for line in lines for span in line.spans]
    return " by the model" if any(map(model_of, authors)) else ""


def _goes_on(last: Change | Restore | None, step: Change | Restore) -> bool:
    match last, step:
        case Typed(), Typed():
            return step.goes_on and step.line == last.line
        case Append(), Append():
            return step.line == last.line and step.author == last.author
        case Write(), Append():
            return step.line == last.line
    return False


# --- Two states compared ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two states; a line is the same one where its id is.

    `changed` holds a line before and after, `moved` the ids of lines that stand elsewhere among
    those that both states have, and `title`, `sections` (the names) and `form` what was and what
    is, None where nothing changed.
    """

    added: tuple[Line, ...]
    removed: tuple[Line, ...]
    changed: tuple[tuple[Line, Line], ...]
    moved: tuple[int, ...]
    title: tuple[str, str] | None
    sections: tuple[tuple[str, ...], tuple[str, ...]] | None
    form: tuple[str, str] | None


def diff(before: Draft, after: Draft) -> Diff:
    """What leads from one state to another."""
    old, new = ({line.id: line for line in draft.lines} for draft in (before, after))
    names = tuple(tuple(section.name for section in draft.sections) for draft in (before, after))
    first, second = (
        [
            (section.id, line.id)
            for section in draft.sections
            for line in section.lines
            if line.id in old and line.id in new
        ]
        for draft in (before, after)
    )
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    stayed = {place for block in blocks for place in second[block.b : block.b + block.size]}
    return Diff(
        added=tuple(line for line in after.lines if line.id not in old),
        removed=tuple(line for line in before.lines if line.id not in new),
        changed=tuple(
            (old[line.id], line) for line in after.lines if line.id in old and line != old[line.id]
        ),
        moved=tuple(place[1] for place in second if place not in stayed),
        title=None if before.title == after.title else (before.title, after.title),
        sections=None if names[0] == names[1] else (names[0], names[1]),
        form=None if before.form == after.form else (before.form, after.form),
    )


# --- Texts and spans ----------------------------------------------------------------------------


def _checked_unicode(text: str) -> str:
    """A text that every file can hold. Half a surrogate pair is no character."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise DraftError("The text holds half a character (a lone surrogate): leave that out.")
    return text


def _checked_text(text: str, what: str) -> str:
    if "\n" in text or "\r" in text:
        raise DraftError(f"{what} cannot hold a line end: give its lines one by one.")
    return _checked_unicode(text)


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        if merged and (merged[-1].author is span.author or merged[-1].author == span.author):
            merged[-1] = Span(merged[-1].text + span.text, span.author)
        else:
            merged.append(span)
    return tuple(merged)


def _cut(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """The spans of the characters start to end."""
    cut: list[Span] = []
    place = 0
    for span in spans:
        first, last = max(start - place, 0), min(end - place, len(span.text))
        if first < last:
            whole = last - first == len(span.text)
            cut.append(span if whole else Span(span.text[first:last], span.author))
        place += len(span.text)
    return cut


def _author_of_change(spans: Sequence[Span], start: int, end: int) -> Author:
    """Who wrote what a person put in the place of the characters start to end: a model's text was
    edited where a part of it was replaced and another stands beside, or where it goes on on both
    sides."""
    before = after = None
    replaced: list[Model | None] = []
    place = 0
    for span in spans:
        first, place = place, place + len(span.text)
        if first < start <= place:
            before = model_of(span.author)
        if first < end and start < place:
            replaced.append(model_of(span.author))
        if first <= end < place:
            after = model_of(span.author)
    if start == end:
        return Edited(before) if before is not None and before == after else Person()
    for beside in (before, after):
        if beside is not None and beside in replaced:
            return Edited(beside)
    return Person()


def _inserted(draft: Draft, section_id: int, at: int, new: tuple[Line, ...]) -> Draft:
    section = draft.section_place(section_id)
    lines = draft.sections[section].lines
    if not 0 <= at <= len(lines):
        raise DraftError(f"There is no place {at} for a line in a section of {len(lines)}.")
    return draft.with_lines(section, (*lines[:at], *new, *lines[at:])).checked()


def _section_inserted(draft: Draft, section: Section, at: int) -> Draft:
    if not 0 <= at <= len(draft.sections):
        raise DraftError(f"There is no place {at} for a section in this draft.")
    return draft.with_sections((*draft.sections[:at], section, *draft.sections[at:])).checked()


def _lines(numbers: Iterable[int]) -> str:
    """ "line 3", "lines 3 to 5" or "3 lines"."""
    found = sorted(numbers)
    if len(found) == 1:
        return f"line {found[0]}"
    if found == list(range(found[0], found[0] + len(found))):
        return f"lines {found[0]} to {found[-1]}"
    return f"{len(found)} lines"


def _section_name(name: str) -> str:
    return f"section {name}".rstrip()
