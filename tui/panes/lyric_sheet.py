"""The song on paper: its lines with what they count and rhyme on beside them, and the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, groupby
from typing import ClassVar, Literal, NamedTuple

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widget import Widget

from tui.display import fit, visible
from tui.panes.lyric_stream import wrap

Hand = Literal["person", "model", "edited"]
LOCK = "▪"
LETTERS = 6  # colours for rhyme letters
GUTTER = 12  # cells: the length, the rhyme letter, the lock
_MOVES = ("left", "right", "up", "down", "home", "end", "pageup", "pagedown")
_EDITS = ("enter", "backspace", "delete")


class SheetLine(NamedTuple):
    """One line: its pieces by who wrote them, the copied characters as (start, end), and what
    stands beside it. `off` says that the length is not the one asked for. A heading is the name of
    the section that follows, and nothing that the cursor goes to."""

    pieces: tuple[tuple[str, Hand], ...] = ()
    copied: tuple[tuple[int, int], ...] = ()
    length: str = ""
    off: bool = False
    letter: str = ""
    locked: bool = False
    heading: str | None = None

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)


class Run(NamedTuple):
    """Cells of one style; a style's name may have "copied" or "cursor" behind it."""

    text: str
    style: str


Row = tuple[Run, ...]


class LyricSheet(Widget, can_focus=True):
    """Shows lines and a cursor, and hands every key of an editor to `act(name, text)`: "type" and
    "paste" with a text, or the key's own name. Only rows that changed are painted."""

    ALLOW_SELECT: ClassVar[bool] = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"lyric-sheet--{name}"
        for name in (
            "person", "model", "edited", "copied", "gutter", "off", "lock", "heading", "hint",
            *(f"letter{number}" for number in range(LETTERS)),
        )
    }  # fmt: skip
    DEFAULT_CSS = """
    LyricSheet {
        width: 1fr;
        height: 1fr;
        & > .lyric-sheet--person { color: $foreground; }
        & > .lyric-sheet--model { color: $text-primary; text-style: italic; }
        & > .lyric-sheet--edited { color: $text-primary; text-style: bold; }
        & > .lyric-sheet--copied { color: $text-warning; text-style: underline; }
        & > .lyric-sheet--gutter { color: $text-muted; }
        & > .lyric-sheet--off { color: $text-warning; text-style: bold; }
        & > .lyric-sheet--lock { color: $text-accent; text-style: bold; }
        & > .lyric-sheet--heading { color: $text-accent; text-style: bold; }
        & > .lyric-sheet--hint { color: $text-muted; }
        & > .lyric-sheet--letter0 { color: #7dcfff; }
        & > .lyric-sheet--letter1 { color: #9ece6a; }
        & > .lyric-sheet--letter2 { color: #e0af68; }
        & > .lyric-sheet--letter3 { color: #f7768e; }
        & > .lyric-sheet--letter4 { color: #bb9af7; }
        & > .lyric-sheet--letter5 { color: #ff9e64; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"act('{key}')", show=False) for key in (*_MOVES, *_EDITS)
    ]

    def __init__(
        self, act: Callable[[str, str], None], hint: str = "", *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._act, self._hint = act, hint
        self._lines: Sequence[SheetLine] = ()
        self._cursor = (0, 0)
        self._rows: list[Row] = []
        self._place = Offset(0, 0)  # of the cursor, among the rows
        self._top = 0
        self._painted: dict[int, Row] = {}

    def show(self, lines: Sequence[SheetLine], line: int, column: int) -> None:
        """Replaces the song; the cursor stands in that line, before that character."""
        self._lines, self._cursor = lines, (line, column)
        self._lay_out()

    @property
    def rows(self) -> list[str]:
        """What the rows say, from the top of the song."""
        return ["".join(run.text for run in row).rstrip() for row in self._rows]

    @property
    def page(self) -> int:
        """The lines that a page up or down goes."""
        return max(1, self.size.height - 2)

    # -- keys -------------------------------------------------------------------------------

    def action_act(self, name: str) -> None:
        self._act(name, "")

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        return character is not None and character.isprintable()

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character:
            event.stop()
            event.prevent_default()
            self._act("type", event.character)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self._act("paste", event.text)

    def on_mouse_scroll_down(self) -> None:
        self._scroll_by(2)

    def on_mouse_scroll_up(self) -> None:
        self._scroll_by(-2)

    def _scroll_by(self, rows: int) -> None:
        self._top = min(max(self._top + rows, 0), max(0, len(self._rows) - self.size.height))
        self._repaint()

    # -- layout -----------------------------------------------------------------------------

    def on_resize(self) -> None:
        self._painted.clear()
        self._lay_out()
        self.refresh()

    def on_focus(self) -> None:
        self._lay_out()

    def on_blur(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        width, height = self.size.width - GUTTER - 1, self.size.height
        if width < 2 or not height:
            return
        rows: list[Row] = []
        at, column = self._cursor
        for number, line in enumerate(self._lines):
            if line.heading is not None:
                rows += _heading_rows(line.heading, self.size.width, first=not rows)
                continue
            laid = _line_rows(line, width)
            if number == at:
                row, character, cells = _find(line.text, column, width)
                self._place = Offset(GUTTER + cells, len(rows) + row)
                laid = (*laid[:row], _with_cursor(laid[row], character), *laid[row + 1 :])
                if self._hint and len(self._lines) == 1 and not line.text:
                    laid = ((*laid[0], Run(" " + self._hint, "hint")),)
            rows += laid
        self._rows = rows
        y = self._place.y
        self._top = min(max(self._top, y - height + 2), max(0, y - 1))
        self._repaint()
        if self.has_focus:  # where an input method shows what is being composed
            self.app.cursor_position = self.content_region.offset + self._place - (0, self._top)

    def _repaint(self) -> None:
        regions = [
            Region(0, y, self.size.width, 1)
            for y in range(self.size.height)
            if self._painted.get(y, None) != self._row(y)
        ]
        if regions:
            self.refresh(*regions)

    def _row(self, y: int) -> Row:
        return self._rows[self._top + y] if self._top + y < len(self._rows) else ()

    def render_line(self, y: int) -> Strip:
        row = self._row(y)
        self._painted[y] = row
        return Strip([Segment(run.text, self._style(run.style)) for run in row])

    def _style(self, name: str) -> Style:
        kind, *more = name.split()
        style = self.get_component_rich_style(f"lyric-sheet--{kind}")
        if "copied" in more:
            style += self.get_component_rich_style("lyric-sheet--copied", partial=True)
        if "cursor" in more:
            style += Style(reverse=True)
        return style


@lru_cache(4096)
def _line_rows(line: SheetLine, width: int) -> tuple[Row, ...]:
    """A line as rows, its gutter beside the first."""
    marks: list[str] = [hand for text, hand in line.pieces for _ in text]
    for start, end in line.copied:
        for place in range(start, min(end, len(marks))):
            if not marks[place].endswith("copied"):
                marks[place] += " copied"
    shown, ends = _shown(line.text)
    starts = [0, *ends]
    styles = [mark for mark, a, b in zip(marks, starts, ends, strict=False) for _ in range(b - a)]
    rows: list[Row] = []
    place = 0
    for piece in wrap(shown, width):
        pairs = list(zip(piece, styles[place : place + len(piece)], strict=True))
        runs = [
            Run("".join(character for character, _ in group), style)
            for style, group in groupby(pairs, key=lambda pair: pair[1])
        ]
        rows.append((*(_gutter(line) if not rows else (Run(" " * GUTTER, "gutter"),)), *runs))
        place += len(piece)
    return tuple(rows)


def _gutter(line: SheetLine) -> Row:
    letter = (ord(line.letter[:1] or "A") - ord("A")) % LETTERS
    return (
        Run(fit(line.length, 6, align="right") + " ", "off" if line.off else "gutter"),
        Run(fit(line.letter, 3), f"letter{letter}"),
        Run((LOCK if line.locked else " ") + " ", "lock"),
    )


def _heading_rows(name: str, width: int, *, first: bool) -> list[Row]:
    rows: list[Row] = [] if first else [(Run(" ", "gutter"),)]
    if name:
        rows.append((Run(" " * GUTTER, "gutter"), Run(fit(name, width - GUTTER), "heading")))
    return rows


@lru_cache(4096)
def _shown(text: str) -> tuple[str, tuple[int, ...]]:
    """A text as it is shown, and where each of its characters ends there."""
    shown = visible(text)
    if shown == text:
        return text, tuple(range(1, len(text) + 1))
    return shown, tuple(len(visible(text[:end])) for end in range(1, len(text) + 1))


def _find(text: str, column: int, width: int) -> tuple[int, int, int]:
    """Where a character of a line is shown: the row, the character of the row, the cells before."""
    shown, ends = _shown(text)
    place = ends[column - 1] if column else 0
    pieces = wrap(shown, width)
    starts = list(accumulate(map(len, pieces[:-1]), initial=0))
    row = max(number for number, start in enumerate(starts) if start <= place)
    inside = place - starts[row]
    return row, inside, cell_len(pieces[row][:inside])


def _with_cursor(row: Row, character: int) -> Row:
    """The row with the character of its text there turned over, marks included, or a cell behind
    it."""
    gutter = 1 if len(row) == 1 or row[0].text == " " * GUTTER else 3
    runs: list[Run] = list(row[:gutter])
    place, done = 0, False
    for run in row[gutter:]:
        at = character - place
        place += len(run.text)
        if done or not 0 <= at < len(run.text):
            runs.append(run)
            continue
        end = at + 1
        while end < len(run.text) and get_character_cell_size(run.text[end]) == 0:
            end += 1
        parts = (
            (run.text[:at], run.style),
            (run.text[at:end], run.style + " cursor"),
            (run.text[end:], run.style),
        )
        runs += [Run(text, style) for text, style in parts if text]
        done = True
    return tuple(runs) if done else (*runs, Run(" ", "person cursor"))
