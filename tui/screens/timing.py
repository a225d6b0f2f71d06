"""Tap to time: the song is played elsewhere, and a key at each line's beginning says when it is
sung, which is what a file of LRC needs; or at each word's, for enhanced LRC."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.writing.draft import Line
from engine.writing.journal import OpenDraft
from tui.display import content

_TICK = 0.1  # seconds between two pictures of the running clock
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# What is tapped by itself: a Chinese character, or a word of other letters.
_WORD = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+(?:['’-][^\W_{_HAN}]+)*")


class Timing(ModalScreen[None]):
    """A clock beside the lines: enter starts and stops it, space stamps a line and goes on to the
    next, backspace takes the last stamp back. With w, each word is stamped, and the line with its
    first. `clock` gives seconds."""

    CSS_PATH = "../styles/writing.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("enter", "run_or_stop", "Start", show=False, priority=True),
        Binding("space", "stamp", "Stamp", show=False, priority=True),
        Binding("backspace", "take_back", "Take back", show=False, priority=True),
        Binding("w", "words_or_lines", "Words", show=False),
    ]

    def __init__(self, song: OpenDraft, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._song, self._clock = song, clock
        self._lines = [line.id for line in song.draft.lines if line.text.strip()]
        self._by_words = False
        self._before = 0.0  # seconds that the clock ran until it was last started
        self._started: float | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="history timing"):
            yield Static(content("When each line is sung"), classes="title")
            yield Static(self._face(), id="clock", markup=False)
            yield OptionList(*map(self._option, self._lines), markup=False)
            yield Static(self._hint(), classes="note", id="hint")

    def on_mount(self) -> None:
        self._list.highlighted = 0 if self._lines else None
        self._timer = self.set_interval(_TICK, self._show, pause=True)

    @property
    def seconds(self) -> float:
        """What the clock shows."""
        return self._before + (0.0 if self._started is None else self._clock() - self._started)

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def action_run_or_stop(self) -> None:
        assert self._timer is not None
        if self._started is None:
            self._started = self._clock()
            self._timer.resume()
        else:
            self._before, self._started = self.seconds, None
            self._timer.pause()
        self._show()

    def action_words_or_lines(self) -> None:
        self._by_words = not self._by_words
        self.query_one("#hint", Static).update(self._hint())
        if (place := self._list.highlighted) is not None:
            self._redraw(place)

    def action_stamp(self) -> None:
        """The first tap starts the clock where nobody did: the first line is then sung at 0."""
        place = self._list.highlighted
        if place is None:
            return
        if self._started is None:
            self.action_run_or_stop()
        line, now = self._song.draft.line(self._lines[place]), round(self.seconds, 2)
        starts = _starts(line.text) if self._by_words else []
        done = len(line.words) % len(starts) if starts else 0  # a line that is done begins anew
        if starts:
            words = (*line.words[:done], (starts[done], now))
            self._song.set_stamp(line.id, line.stamp if done else now, words)
        else:
            self._song.set_stamp(line.id, now)
        over = done + 1 >= len(starts)
        self._list.highlighted = min(place + over, len(self._lines) - 1)
        self._redraw(place)

    def action_take_back(self) -> None:
        place = self._list.highlighted
        if place is None:
            return
        if not (self._by_words and self._song.draft.line(self._lines[place]).words):
            if not place:
                return
            place -= 1
            self._list.highlighted = place
        line = self._song.draft.line(self._lines[place])
        kept = line.words[:-1] if self._by_words else line.words
        self._song.set_stamp(line.id, line.stamp if self._by_words and kept else None, kept)
        self._redraw(place)

    def _redraw(self, place: int) -> None:
        """The line at a place, the one at the cursor, and the clock."""
        for one in {place, self._list.highlighted or 0}:
            self._list.replace_option_prompt_at_index(one, self._prompt(self._lines[one]))
        self._show()

    def _show(self) -> None:
        self.query_one("#clock", Static).update(self._face())

    def _face(self) -> Content:
        running = "running" if self._started is not None else "stopped"
        return content(f"{_minutes(self.seconds)}  {running}")

    def _option(self, line: int) -> Option:
        return Option(self._prompt(line))

    def _prompt(self, line_id: int) -> Content:
        line: Line = self._song.draft.line(line_id)
        stamp = "        " if line.stamp is None else _minutes(line.stamp)
        starts = _starts(line.text) if self._by_words else []
        if not 0 < len(line.words) < len(starts):
            return content(f"{stamp}  {line.text}")
        next_ = starts[len(line.words)]  # from here on nothing is stamped yet
        return content(f"{stamp}  {line.text[:next_]}").append(
            content(line.text[next_:]).stylize("dim")
        )

    def _hint(self) -> Content:
        what, other = ("word", "lines") if self._by_words else ("line", "words")
        return content(
            f"enter starts and stops the clock · space stamps the {what} · backspace takes one back"
            f" · w stamps {other} · escape ends"
        )


def _starts(text: str) -> list[int]:
    """Where the words of a line begin."""
    return [word.start() for word in _WORD.finditer(text)]


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes:02d}:{rest / 100:05.2f}"
