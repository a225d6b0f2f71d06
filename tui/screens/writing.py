"""The Writing screen: a song under a writer's hands, with the network at the elbow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer

from engine.config import GenerationConfig
from engine.errors import FormError, LyricError, PromptError
from engine.events import Character, LineCandidate, RunState
from engine.session import Engine
from engine.writing.draft import Line, Person
from engine.writing.form import Form
from engine.writing.journal import Drafts
from engine.writing.originality import Copy
from engine.writing.request import LineRequest
from tui import display, keys
from tui.desk import Desk, indexes
from tui.gutter import Beside, beside, counter
from tui.keys import Situation
from tui.panes.candidate_list import CandidateList, Offer
from tui.panes.key_bar import KeyBar
from tui.panes.live_line import LiveLine, Part
from tui.panes.live_page import LivePage
from tui.panes.lyric_sheet import LyricSheet, SheetLine
from tui.screens import writing_dialogs as dialogs
from tui.screens.help import Help
from tui.screens.network_hand import Around, around
from tui.screens.timing import Timing
from tui.slow_line import SlowLineCompositor

CHARACTERS_PER_SECOND = 60  # the pace at which the network's words appear
LINES = 4  # that the network writes on without a form
PAUSE = 0.25  # seconds without a key before copies and choices are looked up
WIDE = 110  # columns from which the candidates stand beside the song
HINT = "type your first line, or press ctrl+g and the network begins"


class Writing(Screen[None]):
    """One song. Every change is written down before it is shown; the network is asked beside it."""

    CSS_PATH = "../styles/writing.tcss"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings(keys.WRITING))
    AUTO_FOCUS = "LyricSheet"

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._compositor = SlowLineCompositor()
        self._engine, self._drafts = engine, Drafts()
        self._desk: Desk | None = None
        self._ahead: list[tuple[str, str]] = []  # keys pressed before a song was open
        self._config = GenerationConfig()
        self._form: Form | None = None
        self._writing: object | None = None  # what the network is at; another one ends it
        self._doing = ""
        self._offers: tuple[LineCandidate, ...] = ()
        self._offered: Around | None = None  # where they belong
        self._asked: LineRequest | None = None  # what they are an answer to
        self._from_the_rhyme = False  # lines that were written from their end are shown so, too
        self._offered_text = ""
        self._next = 0
        self._copies: dict[str, tuple[Copy, ...]] = {}
        self._reasons: dict[str, tuple[Character, ...]] = {}  # by line
        self._sounds = False  # the dictionaries are there
        self._beside: list[Beside] = []
        self._trouble = ""
        self._still: Timer | None = None  # until the keys have been still for a while

    def compose(self) -> ComposeResult:
        yield LiveLine(id="where")
        with Horizontal(id="desk"):
            with Vertical(id="paper"):
                yield LyricSheet(self._act, HINT, id="sheet")
                yield LiveLine(id="note")
            with Vertical(id="side"):
                yield CandidateList(self._choose, id="candidates")
                yield LivePage(9, id="why")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self._show()
        self._start(self._begin())
        self.set_interval(1, self._show_where)

    async def _begin(self) -> None:
        """Opens the song that was changed last, or a new one, then gets the dictionaries ready."""
        listed = await asyncio.to_thread(self._drafts.listed)
        readable = next((one.name for one in listed if not one.problem), None)
        self._open(readable)
        texts = [line.text for line in self._song_lines()]
        await asyncio.to_thread(beside, ["明月", *texts], [0] * (len(texts) + 1), None)
        self._sounds = True

    def _open(self, name: str | None, title: str = "") -> None:
        """Takes up a song by its name, or a new one, in place of the one before."""
        self._stop()
        before = self._desk
        opened = self._drafts.create(title) if name is None else self._drafts.open(name)
        self._desk = Desk(opened)
        if before is not None:
            before.draft.close()
        for warning in opened.warnings:
            self._complain(warning)
        ahead, self._ahead = self._ahead, []
        for pressed in ahead:
            self._act(*pressed)
        self._show()

    def leave(self) -> None:
        """Closes the song before the app ends. What the disk did not take was told before."""
        self._stop()
        if self._desk is not None:
            with contextlib.suppress(LyricError):
                self._desk.draft.close()
            self._desk = None

    def on_screen_resume(self) -> None:
        self._copies.clear()  # another network may lie open now
        self._show()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < WIDE, "narrow")
        self._show()

    # -- guards -----------------------------------------------------------------------------

    @property
    def situation(self) -> Situation:
        return Situation(writing=self._writing is not None)

    @property
    def actions(self) -> tuple[keys.Action, ...]:
        """The rows of the table that are for this screen."""
        return keys.WRITING

    def _start(self, work: Coroutine[Any, Any, None], group: str = "") -> None:
        """Runs something beside the screen; what a person may meet becomes a notification."""

        async def guarded() -> None:
            try:
                await work
            except LyricError as error:
                self._complain(str(error))
            self._show()

        self.run_worker(guarded(), group=group or "default", exclusive=bool(group))

    def _try(self, change: Callable[[], object]) -> None:
        try:
            change()
        except LyricError as error:
            self._complain(str(error))
        self._show()

    def _complain(self, sentence: str) -> None:
        self.notify(display.visible(sentence), severity="error", timeout=8, markup=False)

    # -- the editor -------------------------------------------------------------------------

    def _act(self, name: str, text: str) -> None:
        """What a key of the editor does."""
        desk = self._desk
        if desk is None:
            self._ahead.append((name, text))
            return
        self._stop()
        page = self.query_one(LyricSheet).page
        changes: dict[str, Callable[[], None]] = {
            "type": lambda: desk.type(text),
            "paste": lambda: desk.paste(text),
            "enter": desk.enter,
            "backspace": desk.backspace,
            "delete": desk.delete,
            "left": desk.left,
            "right": desk.right,
            "up": lambda: desk.down(-1),
            "down": desk.down,
            "home": desk.home,
            "end": desk.end,
            "pageup": lambda: desk.down(-page),
            "pagedown": lambda: desk.down(page),
        }
        self._try(changes[name])

    def _with_desk(self, change: Callable[[Desk], object]) -> None:
        self._stop()
        desk = self._desk
        if desk is not None:
            self._try(lambda: change(desk))

    def action_undo(self) -> None:
        self._with_desk(Desk.undo)

    def action_redo(self) -> None:
        self._with_desk(Desk.redo)

    def action_lock(self) -> None:
        self._with_desk(Desk.toggle_lock)

    def action_remove(self) -> None:
        self._with_desk(Desk.remove_line)

    def action_line_up(self) -> None:
        self._with_desk(lambda desk: desk.move_line(-1))

    def action_line_down(self) -> None:
        self._with_desk(lambda desk: desk.move_line(1))

    def action_back(self) -> None:
        if self._writing is not None:
            self._stop()
            self._show()
        elif self.has_class("choosing"):
            self._put_candidates_away()
        else:
            self.app.pop_screen()

    # -- the network ------------------------------------------------------------------------

    def _stop(self) -> None:
        self._writing, self._doing = None, ""

    def _write(self, doing: str, work: Callable[[Desk, object], Coroutine[Any, Any, None]]) -> None:
        """Has the network at something that escape, or any key of the editor, ends."""
        desk = self._desk
        if desk is None or desk.current is None:
            return
        mine = object()
        self._writing, self._doing = mine, doing

        async def written() -> None:
            try:
                await work(desk, mine)
            finally:
                if self._writing is mine:
                    self._stop()

        self._start(written())
        self._show()

    async def _candidates(
        self, desk: Desk, place: Around, besides: tuple[str, ...], count: int
    ) -> tuple[LineRequest, tuple[LineCandidate, ...]]:
        """What is asked for a line, and what was found."""
        form = self._form
        if form is not None and place.index >= len(form.lines):
            raise FormError(
                f"This is line {place.index + 1} and the form has {len(form.lines)}: change the "
                "form with F2, or take lines out."
            )
        asked = LineRequest(
            self._config,
            form=desk.song.form if form is not None else "",
            index=place.index,
            before=place.before,
            others=place.others,
            beginning=place.beginning,
            besides=besides,
            count=count,
        )
        found = await self._engine.candidates(**asked.arguments())
        if not found:
            raise PromptError("The network found no other line: raise the temperature with F8.")
        return asked, found

    def action_go_on(self) -> None:
        self._write("writing", self._go_on)

    async def _go_on(self, desk: Desk, mine: object) -> None:
        """Line after line from the cursor on: to the form's end, or a few."""
        group = desk.draft.new_group()
        line, written = desk.current, 0
        if line is not None and (line.locked or self._is_full(line)):
            line = None
        while self._writing is mine and (self._form is not None or written < LINES):
            if line is None:
                made = self._next_line(desk, group)
                if made is None:
                    break
                line = desk.song.line(made)
            place = around(desk.song, line.id, len(line.text))
            asked, (found,) = await self._candidates(desk, place, (), 1)
            if self._writing is not mine:
                return
            await self._stream(desk, mine, group, line, asked, found)
            line, written = None, written + 1
        if not written and self._writing is mine:
            raise FormError(
                "All lines of the form are written: write one anew with ctrl+r, or change the "
                "form with F2."
            )

    def _is_full(self, line: Line) -> bool:
        """Whether nothing is to be added to a line in its form."""
        if self._form is None or not line.text.strip():
            return False
        index = indexes(self._song_lines())[line.id]
        demand = self._form.lines[index] if index < len(self._form.lines) else None
        if demand is None or not demand.length:
            return True
        length = counter([one.text for one in self._song_lines()], self._form)(line.text)
        return length is None or length >= sum(demand.length)

    def _next_line(self, desk: Desk, group: int) -> int | None:
        """Room for a line below the cursor's; None where the form has no more."""
        lines = self._song_lines()
        current = desk.current
        if current is None:
            return None
        number = sum(bool(line.text.strip()) for line in lines)
        if self._form is not None and number >= len(self._form.lines):
            return None
        section, at = desk.song.place(current.id)
        below = desk.song.sections[section].lines[at + 1 :]
        index = indexes(lines)[current.id] + bool(current.text.strip())
        apart = self._form is not None and self._form.breaks_before(index)
        if len(below) == 1 and not below[0].text and not below[0].locked and not apart:
            return below[0].id
        with desk.draft.as_one(group):
            return desk.line_for_more(current.id, apart=apart and bool(current.text))

    async def _stream(
        self,
        desk: Desk,
        mine: object,
        group: int,
        line: Line,
        asked: LineRequest,
        found: LineCandidate,
    ) -> None:
        """Writes a line character by character: as it is read, or from its end on."""
        author = asked.author(found)
        kept = len(asked.beginning)
        if line.text[kept:]:
            with desk.draft.as_one(group):
                desk.write(line.id, kept, "", author)
        desk.go_to(line.id, kept)
        characters, beginning = found.characters[kept:], found.characters[:kept]
        for number in range(1, len(characters) + 1):
            if self._writing is not mine:
                return
            with desk.draft.as_one(group):
                if found.backward and self._from_the_rhyme:
                    shown = characters[-number:]
                    desk.write(line.id, kept, "".join(one.text for one in shown), author)
                else:
                    shown = characters[:number]
                    desk.draft.append(line.id, shown[-1].text, author)
                    desk.go_to(line.id, kept + number)
            self._reasons[desk.song.line(line.id).text] = beginning + shown
            self._show()
            await asyncio.sleep(1 / CHARACTERS_PER_SECOND)

    def action_again(self) -> None:
        self._write("rewriting", self._again)

    async def _again(self, desk: Desk, mine: object) -> None:
        line = desk.current
        assert line is not None
        desk.song.unlocked(line.id)
        place = around(desk.song, line.id, self._kept(desk, line))
        asked, (found,) = await self._candidates(desk, place, (line.text, ""), 1)
        if self._writing is mine:
            await self._stream(desk, mine, desk.draft.new_group(), line, asked, found)

    def action_all_again(self) -> None:
        self._write("rewriting all", self._all_again)

    async def _all_again(self, desk: Desk, mine: object) -> None:
        """Every unlocked line anew, from above; those that are still to come are no rhymes yet."""
        group = desk.draft.new_group()
        to_come = [line.id for line in desk.song.lines if line.text.strip() and not line.locked]
        if not to_come:
            raise FormError("There is no line to write anew: unlock one with ctrl+l.")
        while to_come and self._writing is mine:
            line = desk.song.line(to_come[0])
            place = around(desk.song, line.id, 0, without=to_come)
            asked, (found,) = await self._candidates(desk, place, (line.text, ""), 1)
            if self._writing is mine:
                await self._stream(desk, mine, group, line, asked, found)
            to_come = to_come[1:]

    def _kept(self, desk: Desk, line: Line) -> int:
        """What stands before a cursor inside a line stays; at either end all is written anew."""
        return desk.column if desk.column < len(line.text) else 0

    # -- candidates -------------------------------------------------------------------------

    def action_candidates(self) -> None:
        self._write("looking for lines", self._offer)

    async def _offer(self, desk: Desk, mine: object) -> None:
        if await self._look_for_offers(desk, mine):
            self._next = 0
            pane = self.query_one(CandidateList)
            self.add_class("choosing")
            pane.offer([self._offer_of(one) for one in self._offers])
            self.set_focus(pane)

    async def _look_for_offers(self, desk: Desk, mine: object) -> bool:
        line = desk.current
        assert line is not None
        desk.song.unlocked(line.id)
        place = around(desk.song, line.id, self._kept(desk, line))
        shown: tuple[str, ...] = (line.text, "")
        if self._offered is not None and self._offered.line == line.id:
            shown += tuple(one.text for one in self._offers)
        asked, found = await self._candidates(desk, place, shown, 8)
        if self._writing is not mine:
            return False
        self._offers, self._offered, self._asked = found, place, asked
        return True

    def _offer_of(self, found: LineCandidate) -> Offer:
        assert self._offered is not None
        lines = sorted({**self._offered.others, self._offered.index: found.text}.items())
        which, texts = [index for index, _ in lines], [text for _, text in lines]
        stands = which.index(self._offered.index)
        letter = beside(texts, which, self._form)[stands].letter if self._sounds else ""
        rhyme = f" · rhymes {letter}" if letter else ""
        return Offer(
            found.text,
            f"{found.nats:.2f} nats a character · {found.copied:.0%} copied{rhyme}",
            f"{found.nats:.2f} {found.copied:>4.0%} {letter or ' '}",
        )

    def _choose(self, place: int) -> None:
        self._with_desk(lambda desk: self._take(desk, place))
        self._put_candidates_away()

    def _take(self, desk: Desk, number: int) -> None:
        """Puts a candidate in the place of its line."""
        assert self._offered is not None
        assert self._asked is not None
        found, place = self._offers[number], self._offered
        kept = len(place.beginning)
        text = "".join(character.text for character in found.characters[kept:])
        desk.write(place.line, kept, text, self._asked.author(found))
        self._offered_text = desk.song.line(place.line).text
        self._reasons[self._offered_text] = found.characters
        desk.go_to(place.line, len(self._offered_text))
        self._next = number + 1

    def _put_candidates_away(self) -> None:
        self.remove_class("choosing")
        self.set_focus(self.query_one(LyricSheet))

    def action_next(self) -> None:
        desk = self._desk
        if (
            desk is not None
            and self._offered is not None
            and desk.line == self._offered.line
            and self._next < len(self._offers)
            and (self._next == 0 or self._offered_text == getattr(desk.current, "text", ""))
        ):
            self._with_desk(lambda desk: self._take(desk, self._next))
        else:
            self._write("looking for lines", self._take_first)

    async def _take_first(self, desk: Desk, mine: object) -> None:
        if await self._look_for_offers(desk, mine):
            self._take(desk, 0)

    def action_fill(self) -> None:
        self._from_the_rhyme = not self._from_the_rhyme
        self._show()

    def action_warmer(self) -> None:
        self._change_temperature(0.05)

    def action_cooler(self) -> None:
        self._change_temperature(-0.05)

    def _change_temperature(self, by: float) -> None:
        temperature = min(max(round(self._config.temperature + by, 2), 0.0), 5.0)
        self._config = self._config.changed(temperature=temperature)
        self._show()

    # -- dialogs ----------------------------------------------------------------------------

    def action_form(self) -> None:
        def accept(given: tuple[str, int] | None) -> None:
            if given is not None:
                self._config = self._config.changed(max_copy=given[1])
                self._with_desk(lambda desk: desk.draft.set_form(given[0]))

        self._stop()
        self.app.push_screen(dialogs.form(self._form, self._config.max_copy), accept)

    def action_rhymes(self) -> None:
        desk = self._desk
        if desk is not None and desk.current is not None:
            self._start(self._rhymes(desk, desk.current.text[: desk.column] or desk.current.text))

    async def _rhymes(self, desk: Desk, wanted: str) -> None:
        lines = [line.text for line in desk.song.lines if line.text.strip()]
        wanted = wanted.strip() or (lines[-1] if lines else "")
        found = await self._engine.rhyming(wanted)

        def accept(word: str | None) -> None:
            if word:
                self._act("type", word)

        if self.app.screen is self:
            self.app.push_screen(dialogs.rhymes(wanted, found), accept)

    def action_history(self) -> None:
        def accept(state: int | None) -> None:
            if state is not None:
                self._with_desk(lambda desk: desk.restore(state))

        self._stop()
        if self._desk is not None:
            self.app.push_screen(dialogs.History(self._desk.draft), accept)

    def action_export(self) -> None:
        def accept(path: str | None) -> None:
            if path is not None:
                self.notify(display.visible(f"Written to {path}."), timeout=4, markup=False)

        self._stop()
        if self._desk is not None:
            self.app.push_screen(dialogs.export_form(self._desk.song), accept)

    def action_drafts(self) -> None:
        self._start(self._choose_draft())

    async def _choose_draft(self) -> None:
        listed = await asyncio.to_thread(self._drafts.listed)

        def accept(chosen: str | None) -> None:
            if chosen is not None:
                names = {one.name for one in listed}
                name, title = (chosen, "") if chosen in names else (None, chosen.strip())
                if self._desk is None or name != self._desk.draft.name:
                    self._try(lambda: self._open(name, title))

        if self.app.screen is self:
            self.app.push_screen(dialogs.drafts(listed), accept)

    def action_times(self) -> None:
        self._stop()
        if self._desk is not None:
            self.app.push_screen(Timing(self._desk.draft))

    def action_rename(self) -> None:
        def accept(title: str | None) -> None:
            if title is not None:
                self._with_desk(lambda desk: desk.draft.set_title(title))

        if self._desk is not None:
            self.app.push_screen(dialogs.ask("The song's title", self._desk.song.title), accept)

    def action_section(self) -> None:
        def accept(name: str | None) -> None:
            if name is not None:
                self._with_desk(lambda desk: desk.begin_section(name))

        desk = self._desk
        if desk is not None and desk.current is not None:
            section, at = desk.song.place(desk.line)
            name = "" if at else desk.song.sections[section].name
            self.app.push_screen(dialogs.ask("The section that begins here", name), accept)

    def action_help(self) -> None:
        self.app.push_screen(Help())

    # -- showing ----------------------------------------------------------------------------

    def _song_lines(self) -> tuple[Line, ...]:
        return () if self._desk is None else self._desk.song.lines

    def _show(self) -> None:
        if not self.is_mounted:
            return
        desk = self._desk
        if desk is not None:
            self._form = dialogs.form_of(desk.song.form)
            self._show_song(desk)
            self._show_why(desk)
            self._look_up(desk)
        self._show_where()
        self.query_one(KeyBar).show(keys.bar(keys.WRITING, self.situation))

    def _show_song(self, desk: Desk) -> None:
        song, lines = desk.song, desk.song.lines
        which = indexes(lines)
        at = [which[line.id] for line in lines]
        self._beside = (
            beside([line.text for line in lines], at, self._form)
            if self._sounds
            else [Beside()] * len(lines)
        )
        shown: list[SheetLine] = []
        number = cursor = 0
        for place, section in enumerate(song.sections):
            if place or section.name:
                shown.append(SheetLine(heading=section.name))
            for line in section.lines:
                if line.id == desk.line:
                    cursor = len(shown)
                shown.append(self._sheet_line(line, self._beside[number]))
                number += 1
        self.query_one(LyricSheet).show(shown, cursor, desk.column)

    def _sheet_line(self, line: Line, gutter: Beside) -> SheetLine:
        copies = self._copies.get(line.text, ())
        return SheetLine(
            tuple((span.text, span.author.by) for span in line.spans),
            tuple((copy.start, copy.end) for copy in copies),
            gutter.length,
            gutter.off,
            gutter.letter,
            line.locked,
        )

    def _show_where(self) -> None:
        desk = self._desk
        if desk is None:
            self.query_one("#where", LiveLine).show([Part(" opening", "dim")])
            return
        draft = desk.draft
        if draft.trouble != self._trouble:
            self._trouble = draft.trouble
            if draft.trouble:
                self._complain(draft.trouble)
        saved = Part("read only " if draft.read_only else "saved ", "good")
        if draft.trouble:
            saved = Part("not saved ", "bad")
        parts = [
            Part(f" {desk.song.title or 'untitled'} ", "bold"),
            Part("· ", "dim"),
            saved,
            Part(f"· temperature {self._config.temperature:.2f} ", "dim"),
        ]
        if self._from_the_rhyme:
            parts.append(Part("· from the rhyme ", "dim"))
        if self._form is not None:
            written = sum(bool(line.text.strip()) for line in desk.song.lines)
            parts.append(Part(f"· form: {written} of {len(self._form.lines)} lines ", "dim"))
        if desk.current is not None and desk.current.locked:
            parts.append(Part("· this line is locked ", "bold"))
        if self._doing:
            parts.append(Part(f"· {self._doing}… ", "good"))
        snapshot = self._engine.snapshot
        if snapshot is not None and snapshot.state is RunState.TRAINING:
            share = snapshot.step / max(snapshot.total_steps, 1)
            parts.append(Part(f"· training {share:.0%}", "dim"))
        self.query_one("#where", LiveLine).show(parts)

    def _show_why(self, desk: Desk) -> None:
        line = desk.current
        note: list[Part] = []
        why: list[list[Part]] = []
        if line is not None:
            for copy in self._copies.get(line.text, ()):
                but = " but for one" if copy.changed is not None else ""
                told = f"{copy.end - copy.start} characters stand in {copy.title}{but}  "
                note.append(Part(told, "dim"))
            place = min(desk.column, len(line.text) - 1)
            reasons = self._reasons.get(line.text, ())
            if 0 <= place < len(reasons):
                person = isinstance(_author_at(line, place), Person)
                why = _why(line.text[place], reasons[place], person=person)
        self.query_one("#note", LiveLine).show(note)
        self.query_one("#why", LivePage).show(why)

    # -- what is looked up once the keys are still ------------------------------------------

    def _look_up(self, desk: Desk) -> None:
        missing = [line.text for line in desk.song.lines if line.text not in self._copies]
        line = desk.current
        unexplained = line is not None and line.text and line.text not in self._reasons
        if self._still is not None:
            self._still.stop()
            self._still = None
        if (missing or unexplained) and self._writing is None:
            self._still = self.set_timer(PAUSE, partial(self._begin_to_look, desk))

    def _begin_to_look(self, desk: Desk) -> None:
        self.run_worker(self._looked_up(desk), group="looking up", exclusive=True)

    async def _looked_up(self, desk: Desk) -> None:
        if self._desk is not desk:
            return
        missing = list({line.text for line in desk.song.lines} - self._copies.keys())
        line = desk.current
        try:
            found = await self._engine.copies(missing)
            self._copies.update(zip(missing, found, strict=True))
            if line is not None and line.text and line.text not in self._reasons:
                before = around(desk.song, line.id, 0).before
                self._reasons[line.text] = await self._engine.explained(before, line.text)
        except LyricError:  # no network lies open: there is nothing to compare with
            return
        self._show_song(desk)
        self._show_why(desk)


def _author_at(line: Line, place: int) -> object:
    for span in line.spans:
        if place < len(span.text):
            return span.author
        place -= len(span.text)
    return None


def _why(text: str, character: Character, *, person: bool) -> list[list[Part]]:
    """What the network makes of a character, and what else might have stood there."""
    name = display.character_name(text)
    head = "you wrote" if person else "why"
    lines = [
        [Part(f"{head} ", "dim"), Part(name, "bold")],
        [Part(f"the network gave it {_share(character.probability)}", "dim")],
    ]
    if character.forbidden > 0.005:
        lines.append([Part(f"the form took away {_share(character.forbidden)}", "dim")])
    lines.append([])
    for choice in character.choices:
        bar = "▇" * round(20 * choice.probability)
        kind = "bold" if choice.text == text else "plain" if choice.allowed else "dim"
        named = display.fit(display.character_name(choice.text), 3)
        lines.append(
            [
                Part(f"{named} ", kind),
                Part(f"{_share(choice.probability):>5} "),
                Part(bar if choice.allowed else f"{bar} forbidden".lstrip(), "dim"),
            ]
        )
    return lines


def _share(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.01 else "< 1%"
