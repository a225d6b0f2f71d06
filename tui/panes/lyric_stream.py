"""The generator's text as it is written: entries that stream, wrapped by terminal cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, ClassVar, Literal, NamedTuple

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui.display import visible

SECONDS_BETWEEN_FLUSHES = 1 / 20
CURSOR = "▌"
# Signs beside the colours, so that a screen without colours tells a header from a lyric.
HEADER_SIGN = "▸ "
NOTE_SIGN = "◂ "

# Punctuation that a row neither starts nor ends with, as in printed Chinese.
_NOT_FIRST = frozenset("，。、！？；：）》〉」』】〕”’…—·～,.!?;:)]}%")
_NOT_LAST = frozenset("（《〈「『【〔“‘([{")


@dataclass(frozen=True)
class StreamEntry:
    """One text as it was written: raw, not yet made safe for a screen."""

    header: str
    prompt: str
    text: str
    note: str = ""


class Row(NamedTuple):
    """One row of the screen."""

    kind: Literal["header", "text", "note"]
    text: str
    cells: int = 0
    prompt: int = 0
    """How many of its characters, from the left, are the prompt's."""
    cursor: bool = False


_BLANK = Row("text", "")


def wrap(text: str, width: int) -> list[str]:
    """One line of visible text as rows of at most `width` cells; joined, they are the text.

    Breaks after a space or beside a wide character where it can, else anywhere; a mark stays with
    its character, and the one space that a break falls on may hang over the edge. Only the last
    row can change when text is appended, so a growing line is wrapped anew from there.
    """
    if 2 * len(text) <= width or (len(text) <= width and text.isascii()):
        return [text]
    rows: list[str] = []
    start = cells = 0  # of the row that is being filled
    good = good_cells = 0  # the last good place to break it, and the cells before that place
    last_size = 0
    for index, character in enumerate(text):
        size = get_character_cell_size(character)
        if size == 0:
            continue
        before = text[index - 1] if index > start else ""
        if before == " " or (
            before
            and (size == 2 or last_size == 2)
            and character not in _NOT_FIRST
            and before not in _NOT_LAST
        ):
            good, good_cells = index, cells
        if cells and cells + size > width:
            bears_mark = get_character_cell_size(text[index + 1 : index + 2] or "a") == 0
            if character == " " and cells <= width and not bears_mark:
                cells, last_size = width + 1, 1
                continue
            if good > start:
                rows.append(text[start:good])
                start, cells = good, cells - good_cells
            if cells and cells + size > width:
                rows.append(text[start:index])
                start, cells = index, 0
        cells, last_size = cells + size, size
    rows.append(text[start:])
    return rows


class Flow:
    """A raw text that grows, as the rows that show it."""

    def __init__(self, width: int, prompt: str = "") -> None:
        self._width = width
        self.rows: list[Row] = [_BLANK]
        self.add(prompt)
        self.rows = [row._replace(prompt=len(row.text)) for row in self.rows]

    def add(self, text: str) -> None:
        last = self.rows.pop()
        # The last character is shown again with what follows it, which may be a mark for it.
        context = _last_grapheme(last.text)
        shown = visible(context + text, newlines=True)[len(context) :]
        prompt = last.prompt
        for line in (last.text + shown).split("\n"):
            for piece in wrap(line, self._width):
                in_prompt = min(prompt, len(piece))
                prompt -= in_prompt
                self.rows.append(Row("text", piece, cell_len(piece), in_prompt))


def _last_grapheme(text: str) -> str:
    start = len(text) - 1
    while start > 0 and get_character_cell_size(text[start]) == 0:
        start -= 1
    return text[max(0, start) :]


def _rows(kind: Literal["header", "note"], sign: str, text: str, width: int) -> list[Row]:
    if not text:
        return []
    return [Row(kind, piece, cell_len(piece)) for piece in wrap(sign + visible(text), width)]


class _Entry:
    """An entry and its rows. The rows change in `update` only, so that what the screen asks for
    between two flushes is what the last flush laid out."""

    def __init__(self, entry: StreamEntry, is_open: bool) -> None:
        self.header = entry.header
        self.prompt = entry.prompt
        self.note = entry.note
        self.is_open = is_open
        self._text = ""
        self._fresh = [entry.text]
        self._width = 0
        self._head: list[Row] = []
        self._flow = Flow(1)
        self._foot: list[Row] = []
        self._body_height = 0
        self._shows_cursor = False

    def write(self, text: str) -> None:
        self._fresh.append(text)

    @property
    def text(self) -> str:
        return self._text + "".join(self._fresh)

    def value(self) -> StreamEntry:
        return StreamEntry(self.header, self.prompt, self.text, self.note)

    def update(self, width: int) -> None:
        fresh = "".join(self._fresh)
        self._fresh.clear()
        self._text += fresh
        if width != self._width:
            self._width = width
            self._head = _rows("header", HEADER_SIGN, self.header, width)
            self._flow = Flow(width, self.prompt)
            self._flow.add(self._text)
        elif fresh:
            self._flow.add(fresh)
        self._foot = _rows("note", NOTE_SIGN, self.note, width)

        self._shows_cursor = self.is_open
        self._body_height = len(self._flow.rows)
        if not self.is_open:  # A model that stops at a line's end leaves no blank rows behind.
            while self._body_height and not self._flow.rows[self._body_height - 1].text:
                self._body_height -= 1

    @property
    def height(self) -> int:
        return len(self._head) + self._body_height + len(self._foot)

    def row(self, index: int) -> Row:
        if index < len(self._head):
            return self._head[index]
        index -= len(self._head)
        if index < self._body_height:
            row = self._flow.rows[index]
            ends_here = index == self._body_height - 1
            return row._replace(cursor=True) if ends_here and self._shows_cursor else row
        return self._foot[index - self._body_height]

    def characters_before(self, index: int) -> int:
        return sum(len(self.row(i).text) for i in range(min(index, self.height)))

    def row_at_character(self, character: int) -> int:
        ends = accumulate(len(self.row(i).text) for i in range(self.height))
        return next((i for i, end in enumerate(ends) if end > character), self.height - 1)


class LyricStream(ScrollView):
    """The texts that a model wrote, the newest last, growing while it writes.

    Any number of entries may be open at once. What is written waits until the next flush, 20 times
    a second at most; nothing runs while nothing waits. To be called from the event loop's thread.
    """

    # Dragging would need an offset in every segment; the command line and export give the text.
    ALLOW_SELECT: ClassVar[bool] = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lyric-stream--header",
        "lyric-stream--prompt",
        "lyric-stream--text",
        "lyric-stream--cursor",
        "lyric-stream--note",
    }
    DEFAULT_CSS = """
    LyricStream {
        width: 1fr;
        height: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .lyric-stream--header { color: $text-muted; }
        & > .lyric-stream--prompt { color: $text-accent; text-style: bold underline; }
        & > .lyric-stream--text { color: $foreground; }
        & > .lyric-stream--cursor { color: $accent; }
        & > .lyric-stream--note { color: $text-muted; text-style: italic; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+home", "scroll_home", "Scroll Home", show=False),
        Binding("ctrl+end", "scroll_end", "Scroll End", show=False),
    ]

    def __init__(
        self,
        placeholder: str = "",
        *,
        max_entries: int = 500,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._placeholder = placeholder
        self._max_entries = max_entries
        self._entries: dict[int, _Entry] = {}
        self._next_id = 0
        self._waiting: set[_Entry] = set()
        self._timer: Timer | None = None
        self._following = True
        self._is_settling = False
        self._scrollbar_is_stale = False
        # What the last flush laid out: the screen is drawn from here, never from what waits.
        self._width = 0
        self._shown: list[_Entry] = []
        self._tops: list[int] = []
        self._empty_rows: list[Row] = []
        self._painted: dict[int, Row] = {}

    # What it takes

    def begin(self, header: str, prompt: str = "") -> int:
        """Open an entry below the others and return its number."""
        return self._append(StreamEntry(header, prompt, ""), is_open=True)

    def write(self, entry: int, text: str) -> None:
        """Let an entry grow. One that is gone (dropped, cleared) takes nothing and says nothing,
        since its writer cannot know."""
        if (found := self._entries.get(entry)) is not None and text:
            found.write(text)
            self._wait_for(found)

    def end(self, entry: int, note: str = "") -> None:
        """Close an entry: its cursor goes, and a note may stand below it."""
        if (found := self._entries.get(entry)) is not None:
            found.is_open = False
            found.note = note
            self._scrollbar_is_stale = True
            self._wait_for(found)

    def clear(self) -> None:
        """Forget all entries, open ones too."""
        self._entries.clear()
        self._waiting.clear()
        self._following = True
        self._scrollbar_is_stale = True
        self._wake()

    def load(self, entries: Sequence[StreamEntry]) -> None:
        """Show these closed entries instead of all others."""
        self.clear()
        for entry in entries[-self._max_entries :]:
            self._append(entry, is_open=False)

    def text_of(self, entry: int) -> str:
        """The raw text of an entry, without its prompt. KeyError if it is gone."""
        return self._entries[entry].text

    @property
    def entries(self) -> tuple[StreamEntry, ...]:
        return tuple(entry.value() for entry in self._entries.values())

    @property
    def following(self) -> bool:
        """Whether the view stays at the end while text arrives."""
        return self._following

    def flush(self) -> None:
        """Show now what is waiting."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        # One column stays free for the cursor, so that it never needs a row of its own. It also
        # forgives a terminal that draws a character wider than it is counted.
        width = self.scrollable_content_region.width - 1
        if width < 1:
            return  # No room yet; the resize that gives it room flushes.
        is_rewrapped = width != self._width
        self._width = width
        # A reader's place is a row of an entry, whatever grows or goes above it; where the rows
        # themselves change it is the text that the row begins with.
        entry, row = (None, 0) if self._following else self._entry_at(self.scroll_offset.y)
        character = entry.characters_before(row) if entry and is_rewrapped else 0
        for changed in self._entries.values() if is_rewrapped else self._waiting:
            changed.update(width)
        self._waiting.clear()
        self._shown = list(self._entries.values())
        heights = (shown.height + (index > 0) for index, shown in enumerate(self._shown))
        *self._tops, height = accumulate(heights, initial=0)
        if not self._shown:
            self._empty_rows = _rows("note", "", self._placeholder, width)
            height = len(self._empty_rows)
        if self._following:
            top = height
        elif entry in self._shown:
            row = entry.row_at_character(character) if is_rewrapped else row
            number = self._shown.index(entry)
            top = self._tops[number] + (number > 0) + row
        else:
            top = 0
        self._settle(height, top)

    # How it behaves

    def on_resize(self) -> None:
        self._scrollbar_is_stale = True
        self.flush()

    def action_scroll_end(self) -> None:
        self._following = True
        self._scrollbar_is_stale = True
        self.flush()

    def scroll_to(
        self,
        x: float | None = None,
        y: float | None = None,
        *,
        animate: bool = True,
        **options: Any,
    ) -> None:
        # Never animated: a slow line would carry every frame, and rows that arrive in the
        # meantime would make the animation end short of the bottom.
        super().scroll_to(x, y, animate=False, **options)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        # In place of ScrollView's own watcher, which repaints every cell.
        if not self._is_settling:
            self._following = round(new_value) >= self.max_scroll_y
            self._show_scrollbar()
            self._repaint()

    def render_line(self, y: int) -> Strip:
        row = self._row(self.scroll_offset.y + y)
        self._painted[y] = row
        style = self.get_visual_style(f"lyric-stream--{row.kind}").rich_style
        text = row.text
        cells = row.cells
        if row.cursor and cells > self._width and text.endswith(" "):
            text, cells = text[:-1], cells - 1  # The cursor takes the place of a hanging space.
        segments: list[Segment] = []
        if row.prompt:
            prompt_style = self.get_visual_style("lyric-stream--prompt").rich_style
            segments.append(Segment(text[: row.prompt], prompt_style))
        if text[row.prompt :]:
            segments.append(Segment(text[row.prompt :], style))
        if row.cursor:
            cursor_style = self.get_visual_style("lyric-stream--cursor").rich_style
            segments.append(Segment(CURSOR, cursor_style))
        return Strip(segments, cells + row.cursor)

    # Inside

    def _append(self, entry: StreamEntry, *, is_open: bool) -> int:
        number = self._next_id
        self._next_id += 1
        self._entries[number] = _Entry(entry, is_open)
        for oldest in list(islice(self._entries, max(0, len(self._entries) - self._max_entries))):
            self._waiting.discard(self._entries.pop(oldest))
        self._scrollbar_is_stale = True
        self._wait_for(self._entries[number])
        return number

    def _wait_for(self, entry: _Entry) -> None:
        self._waiting.add(entry)
        self._wake()

    def _wake(self) -> None:
        if self._timer is None and self.is_running:
            self._timer = self.set_timer(SECONDS_BETWEEN_FLUSHES, self.flush)

    def _settle(self, height: int, top: int) -> None:
        """Take on the new height, and bring row `top` to the top of the view or near it."""
        # Not by assignment: that lays out the whole screen and repaints this widget whole, for
        # each row that arrives.
        self.set_reactive(Widget.virtual_size, Size(self._width, height))
        had_scrollbar = self.show_vertical_scrollbar
        self._refresh_scrollbars()
        self._is_settling = True
        try:
            self.scroll_to(y=top, force=True)
        finally:
            self._is_settling = False
        self._following = self._following or self.scroll_offset.y >= self.max_scroll_y
        # A scrollbar repaints all its rows. While text streams its thumb would creep by an eighth
        # of a cell; it catches up when an entry begins or ends, or when the view is scrolled.
        if self._scrollbar_is_stale or had_scrollbar != self.show_vertical_scrollbar:
            self._scrollbar_is_stale = False
            self._show_scrollbar()
        self._repaint()

    def _show_scrollbar(self) -> None:
        if self.show_vertical_scrollbar:
            scrollbar = self.vertical_scrollbar
            scrollbar.window_virtual_size = self.virtual_size.height
            scrollbar.window_size = self.scrollable_content_region.height
            scrollbar.position = self.scroll_y

    def _repaint(self) -> None:
        """Refresh what differs from what was painted last, and no cell to the right of it."""
        top = self.scroll_offset.y
        regions: list[Region] = []
        for y in range(self.size.height):
            row = self._row(top + y)
            painted = self._painted.get(y)
            if painted is None:
                regions.append(Region(0, y, self.size.width, 1))
            elif painted != row:
                # One cell more, or the crop would cut off marks on the last character.
                reach = max(painted.cells + painted.cursor, row.cells + row.cursor) + 1
                regions.append(Region(0, y, min(reach, self.size.width), 1))
        if regions:
            self.refresh(*regions)

    def _row(self, index: int) -> Row:
        entry, index = self._entry_at(index)
        if entry is None:
            return self._empty_rows[index] if index < len(self._empty_rows) else _BLANK
        return entry.row(index) if 0 <= index < entry.height else _BLANK

    def _entry_at(self, index: int) -> tuple[_Entry | None, int]:
        """The entry that a row of the whole belongs to, and which of its rows that is: -1 is the
        blank row above it."""
        if not self._shown:
            return None, index
        number = bisect_right(self._tops, index) - 1
        return self._shown[number], index - self._tops[number] - (number > 0)
