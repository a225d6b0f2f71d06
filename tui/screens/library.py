"""The Library: what there is to learn from, and what each text holds before it is used."""

from __future__ import annotations

import asyncio
import os
import shlex
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import unquote, urlsplit

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config import CorpusConfig
from engine.corpus import library, recent
from engine.corpus.decoding import Candidate, EncodingError, UndecodedError
from engine.errors import LyricError
from engine.session import Engine
from engine.training.plan import suggestion
from tui import charts, display, keys
from tui.display import content
from tui.panes.generator import LineInput
from tui.screens.help import Help

if TYPE_CHECKING:
    from engine.corpus.summary import CorpusSummary

PAUSE = 0.2  # seconds without another key before a text is looked into
MOST_COMMON = 12
_SIDE_BY_SIDE = 72  # columns from which list and report stand side by side

_KEYS = [("enter", "learns"), ("tab", "moves"), *keys.bar(keys.LIBRARY, keys.Situation())]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A text to learn from, and how it is read."""

    path: str
    config: CorpusConfig


@dataclass(frozen=True, slots=True)
class Book:
    """A line of the list; `value` is a path, or the name of a set that is not here yet."""

    kind: Literal["shipped", "recent", "fetched", "to fetch"]
    value: str
    title: str
    note: str


def books() -> list[Book]:
    """Everything there is to choose from. Raises CorpusError for a broken catalogue."""
    from engine.corpus import catalogue

    shipped = [
        Book("shipped", str(corpus.path), corpus.title, corpus.description)
        for corpus in library.shipped()
    ]
    used = [Book("recent", str(path), path.name, str(path.parent)) for path in recent.paths()]
    sets = []
    for entry in catalogue.entries():
        path = catalogue.fetched(entry.name)
        if path is None:
            note = f"{display.bytes_(entry.bytes)} to fetch · {entry.description}"
            sets.append(Book("to fetch", entry.name, entry.title, note))
        else:
            sets.append(Book("fetched", str(path), entry.title, entry.description))
    return [*used, *shipped, *sets]


class Library(ModalScreen[Chosen | None]):
    """Returns the chosen text, or None. Whatever has the cursor, or is typed, is looked into
    beside the list; where the encoding of a file is not sure, or on F3, the candidates are to
    choose from there, each with what the text would be."""

    CSS_PATH = "../styles/library.tcss"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings(keys.LIBRARY))

    def __init__(self, engine: Engine, config: CorpusConfig, asked: str = "") -> None:
        super().__init__()
        self._engine, self._asked = engine, asked
        self._config = config.model_copy(update={"encoding": None})  # that of another text
        self._books: list[Book] = []
        self._wanted = ""  # the path that is looked into
        self._known: tuple[str, CorpusConfig] | None = None  # what the newest report is of
        self._report = ""
        self._candidates: tuple[Candidate, ...] = ()  # for the path that is looked into
        self._encodings: dict[str, str | None] = {}  # that a person chose for a path
        self._earlier: dict[str, str | None] = {}  # those before a choice that is not tried yet
        self._by_key = False  # the encodings are shown because a person asked for them
        self._before: Widget | None = None  # what had the focus before them
        self._choosing = False  # what was entered is used once it is known to be readable
        self._fetching = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="library"):
            yield Static(content("What to learn from"), classes="title")
            with Horizontal(id="columns"):
                with Vertical(id="choice"):
                    yield OptionList(id="books", markup=False)
                    yield LineInput(
                        self._asked, placeholder="or type or paste a file or folder", id="path"
                    )
                with VerticalScroll(id="about", can_focus=False):
                    yield Static("", id="report", markup=False)
                    yield OptionList(id="encodings", markup=False)
                    yield Static("", id="preview", markup=False)
            yield Static(
                content(" · ".join(f"{key} {word}" for key, word in _KEYS)), classes="note"
            )

    def on_mount(self) -> None:
        self.query_one("#encodings").display = False
        self._list()
        if self._asked:
            self.query_one("#path").focus()
            self._look_into(self._asked)
        else:
            books = self.query_one("#books", OptionList)
            books.focus()
            books.highlighted = 0 if self._books else None

    def on_resize(self, event: events.Resize) -> None:
        self.query_one(".library").set_class(event.size.width < _SIDE_BY_SIDE, "tight")

    def _list(self) -> None:
        try:
            self._books = books()
        except LyricError as error:
            self._say(str(error), bad=True)
        place = self.query_one("#books", OptionList)
        place.clear_options()
        for book in self._books:
            mark = {"recent": "used: ", "to fetch": "↓ "}.get(book.kind, "")
            place.add_option(
                Option(Content.assemble(content(mark + book.title), "\n  ", content(book.note)))
            )

    # -- what is chosen ---------------------------------------------------------------------

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_list.id == "encodings":
            if event.option_list.display and event.option_index < len(self._candidates):
                self._preview(self._candidates[event.option_index].preview)
            return
        book = self._books[event.option_index]
        if book.kind == "to fetch":
            self._wanted = ""
            self.workers.cancel_group(self, "survey")  # or its report would take this one's place
            self._say(f"{book.title}\n\n{book.note}\n\nenter downloads it")
        else:
            self._look_into(book.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_list.id == "encodings":
            self._earlier.setdefault(self._wanted, self._encodings.get(self._wanted))
            self._encodings[self._wanted] = self._candidates[event.option_index].encoding
            self._look_into(self._wanted, at_once=True)
            return
        book = self._books[event.option_index]
        if book.kind == "to fetch":
            self._fetch(book)
        else:
            self._choose(book.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if path := dropped(event.value):
            self._look_into(path)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if path := dropped(event.value):
            self._choose(path)

    def _choose(self, path: str) -> None:
        config = self._config_of(path)
        if self._known == (path, config):
            self.dismiss(Chosen(path, config))
        else:
            self._choosing = True
            self._look_into(path, at_once=True)

    def _config_of(self, path: str) -> CorpusConfig:
        return self._config.changed(encoding=self._encodings.get(path))

    def action_clean(self) -> None:
        cleaned = self._config.cleaned()
        if self._config == cleaned:
            plain = CorpusConfig()
            steps = ("trailing_space", "blank_lines", "credits", "duplicates")
            self._config = self._config.changed(**{step: getattr(plain, step) for step in steps})
        else:
            self._config = cleaned
        if self._wanted:
            self._look_into(self._wanted, at_once=True)

    def action_encoding(self) -> None:
        if self._wanted and not self.query_one("#encodings").display:
            self.run_worker(self._show_encodings(self._wanted), group="survey", exclusive=True)

    def action_help(self) -> None:
        self.app.push_screen(Help())

    def action_cancel(self) -> None:
        if self._by_key and self.query_one("#encodings").display:
            self._look_into(self._wanted, at_once=True)
        else:
            self.dismiss(None)

    # -- looking into a text ----------------------------------------------------------------

    def _look_into(self, path: str, *, at_once: bool = False) -> None:
        if path != self._wanted:
            self._wanted, self._candidates = path, ()
        self.run_worker(
            self._survey(path, 0.0 if at_once else PAUSE), group="survey", exclusive=True
        )

    async def _survey(self, path: str, pause: float) -> None:
        await asyncio.sleep(pause)
        config = self._config_of(path)
        if self._known == (path, config):
            self._say(self._report)
            return
        choosing, self._choosing = self._choosing, False
        self._say("…")
        try:
            found = await self._engine.survey(path, config)
        except EncodingError as error:
            self._candidates, self._by_key = error.candidates, False
            self._offer_encodings(
                "It is not sure which encoding this file is in. Choose the one that reads well:"
            )
            return
        except LyricError as error:
            tried = path in self._earlier
            if tried:
                self._encodings[path] = self._earlier.pop(path)
            if tried and self._candidates:
                self._offer_encodings(str(error), bad=True)
            else:
                bad = choosing or os.path.lexists(os.path.expanduser(path))
                self._say(_advised(error), bad=bad)
            return
        self._earlier.pop(path, None)
        self._known = (path, config)
        if choosing:
            self.dismiss(Chosen(path, config))
            return
        width = self.query_one("#about").size.width - 4
        self._report = report(found, width, cleaned=config == config.cleaned())
        self._say(self._report)

    async def _show_encodings(self, path: str) -> None:
        try:
            self._candidates = await self._engine.encodings(path)
        except LyricError as error:
            self._say(str(error), bad=True)
            return
        self._by_key = True
        self._offer_encodings("Choose the encoding that reads well; escape leaves it as it was:")

    def _offer_encodings(self, text: str, *, bad: bool = False) -> None:
        self._say(text, bad=bad)
        encodings = self.query_one("#encodings", OptionList)
        encodings.clear_options()
        for candidate in self._candidates:
            encodings.add_option(Option(f"{candidate.encoding}  {candidate.confidence:.0%}"))
        names = [candidate.encoding for candidate in self._candidates]
        chosen = self._encodings.get(self._wanted)
        encodings.display = True
        encodings.highlighted = names.index(chosen) if chosen in names else 0
        self._before = self.focused
        self.set_focus(encodings)
        if not bad:  # a small screen has room for the list and its preview, or for the sentence
            self.call_after_refresh(encodings.scroll_visible, animate=False, top=True)

    def _say(self, text: str, *, bad: bool = False) -> None:
        encodings = self.query_one("#encodings")
        if encodings.has_focus:
            self.set_focus(self._before)
        encodings.display = False
        self.query_one("#about").scroll_home(animate=False)
        self._preview("")
        report = self.query_one("#report", Static)
        report.set_class(bad, "bad")
        report.update(content(text, newlines=True))

    def _preview(self, text: str) -> None:
        self.query_one("#preview", Static).update(content(text, newlines=True))

    # -- fetching a set ---------------------------------------------------------------------

    def _fetch(self, book: Book) -> None:
        """Downloads beside the screen. Leaving does not wait for it: what has come stays, and the
        next time goes on there."""
        if self._fetching:
            return
        from engine.corpus import catalogue

        self._fetching = book.value
        loop = asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            share = done / total if total else 1.0
            text = f"{book.title}\n\nfetching: {display.bytes_(done)} ({share:.0%})"
            loop.call_soon_threadsafe(self._say_if_there, text)

        def work() -> None:
            try:
                catalogue.fetch(book.value, progress=tell)
                loop.call_soon_threadsafe(self._fetched, "")
            except LyricError as error:
                loop.call_soon_threadsafe(self._fetched, str(error))
            except RuntimeError:
                pass  # the app has ended

        threading.Thread(target=work, daemon=True).start()

    def _say_if_there(self, text: str) -> None:
        if self.is_attached:
            self._say(text)

    def _fetched(self, problem: str) -> None:
        name, self._fetching = self._fetching, ""
        if not self.is_attached:
            return
        if problem:
            self._say(problem, bad=True)
            return
        at = next(index for index, book in enumerate(self._books) if book.value == name)
        self._list()
        self.query_one("#books", OptionList).highlighted = at


def dropped(text: str) -> str:
    """The path in what was typed, pasted, or dropped on the terminal, which may have put it into
    quotes, escaped its spaces, or made it an address."""
    text = text.strip()
    if text.startswith("file://"):
        return unquote(urlsplit(text).path)
    if os.path.lexists(os.path.expanduser(text)):
        return text
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that is not closed
        return text
    return words[0] if len(words) == 1 and os.path.lexists(words[0]) else text


def _advised(error: LyricError) -> str:
    """The sentence of an error, with the key that leads to other encodings where these may help."""
    if isinstance(error, UndecodedError):
        return error.advising(f"with {keys.named(keys.LIBRARY, 'encoding').shown}")
    return str(error)


def report(found: CorpusSummary, width: int, *, cleaned: bool) -> str:
    """What a text holds, for the column of so many cells beside the list."""
    from engine.corpus.cleaning import STEPS

    preset, minutes = suggestion(found.characters)
    scripts = {"Han": found.han, "Latin": found.latin, "other": found.other}
    sure = "" if found.confidence >= 0.995 else f", {found.confidence:.0%} sure"
    lines = [
        Path(found.name).name,
        "",
        f"songs       {display.count(found.songs)}",
        f"lines       {display.count(found.lines)}",
        f"characters  {display.count(found.characters)}",
        f"vocabulary  {display.count(found.vocabulary_size)}",
        f"encoding    {found.encoding}{sure}",
        "script      "
        + ", ".join(f"{name} {share:.0%}" for name, share in scripts.items() if share),
        f"to learn    preset {preset}, about {minutes:g} min",
        "",
    ]
    copies = found.copies + (found.near_copies or 0)
    if copies:
        lines.append(f"{display.count(copies)} songs are copies or nearly so of another")
    for step, count in found.cleaning.items():
        done = "cleaned" if step in found.changed else "kept"
        lines.append(f"{display.count(count)} {STEPS[step]}: {done}")
    if not cleaned and found.cleaning.keys() - set(found.changed) - {"labels", "repeats"}:
        lines.append(f"{keys.named(keys.LIBRARY, 'clean').shown} cleans")
    counts = found.line_lengths[1:]
    longest = max(length for length, count in enumerate(counts, start=1) if count)
    common = " ".join(display.character_name(one) for one, _ in found.most_common[:MOST_COMMON])
    lines += [
        "",
        "lines by their characters",
        *charts.histogram(counts[: max(longest, 8)], width, 4),
        "",
        f"most common: {common}",
    ]
    return "\n".join(lines).replace("\n\n\n", "\n\n")
