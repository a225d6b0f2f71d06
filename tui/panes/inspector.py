"""The inspector: a run's vocabulary, its tensors, and the shapes that a batch takes on its way.

It takes values and knows nothing of the engine. Only lines in view are made, so that a vocabulary
of any size opens at once; what is shown again unchanged writes nothing, and no timer runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Click, Paste, Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.display import bytes_, character_name, content, count, fit, visible

TABS = ("vocabulary", "tensors", "shapes")

Part = tuple[str, str]  # a text that is safe to show, and its component class
Line = list[Part]


@dataclass(frozen=True)
class TensorRow:
    """A parameter of the network. `shape` is written out: "(1536, 64)"."""

    name: str
    meaning: str
    symbolic_shape: str
    shape: str
    parameters: int
    bytes: int


@dataclass(frozen=True)
class FlowRow:
    """A tensor on a batch's way; `operation` made it from the row above. A `branch` leads aside."""

    name: str
    operation: str
    symbolic_shape: str
    shape: str
    branch: bool = False


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────


class Entries:
    """A vocabulary's entries (id, character, count), and where to find one."""

    def __init__(self, rows: Sequence[tuple[int, str, int]] = (), total: int = 0) -> None:
        self.rows = tuple(rows)
        self.total = total
        self.most = max((row[2] for row in self.rows), default=0)

    @cached_property
    def _positions(self) -> tuple[dict[int, int], dict[str, int], dict[str, int]]:
        """Where each id, each character, and each character as it is shown stands."""
        ids, characters, names = {}, {}, {}
        for position, (number, character, _) in enumerate(self.rows):
            ids[number] = characters[character] = position
            names[character_name(character)] = position
        return ids, characters, names

    def find(self, query: str) -> Sequence[int]:
        """The positions of the entries that a query means, in order.

        It means the entry with that code point (U+4E2D), that id, or that character, as it is or
        as it is shown (⏎); failing all of these, each character of the query.
        """
        if not query:
            return range(len(self.rows))
        ids, characters, names = self._positions
        found: set[int | None]
        if code := re.fullmatch(r"\s*[Uu]\+([0-9A-Fa-f]{1,6})\s*", query):
            number = int(code[1], 16)
            found = {characters.get(chr(number)) if number < 0x110000 else None}
        else:
            found = {characters.get(query), names.get(query)}
            if query.isascii() and query.isdigit():
                found.add(ids.get(int(query)))
            elif found == {None}:
                found = {positions.get(c) for c in query for positions in (characters, names)}
        return sorted(position for position in found if position is not None)


def bar(share: float, cells: int) -> str:
    """A bar of a length from 0 to 1, in eighths of a cell; what is not nothing can be seen."""
    eighths = max(round(share * cells * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def percent(part: int, whole: int) -> str:
    """A share: "12.34%", and "<0.01%" for what would be written as zero."""
    if whole <= 0:
        return "–"
    share = 100 * part / whole
    return "<0.01%" if 0 < share < 0.005 else f"{share:.2f}%"


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────


class Page(ScrollView, can_focus=False):
    """Lines that scroll between a head and a foot that stay; a sentence while there are none."""

    ALLOW_SELECT: ClassVar[bool] = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "inspector--head",
        "inspector--name",
        "inspector--symbol",
        "inspector--text",
        "inspector--dim",
        "inspector--bar",
    }
    DEFAULT_CSS = """
    Page {
        width: 1fr;
        height: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .inspector--head { color: $text-muted; text-style: underline; }
        & > .inspector--name { color: $foreground; text-style: bold; }
        & > .inspector--symbol { color: $text-accent; }
        & > .inspector--text { color: $foreground; }
        & > .inspector--dim { color: $text-muted; }
        & > .inspector--bar { color: $primary; }
    }
    """

    def __init__(self, placeholder: str, id: str) -> None:
        super().__init__(id=id)
        self._placeholder = placeholder
        self._head: list[Line] = []
        self._body: Sequence[Line] = ()
        self._foot: list[Line] = []

    # What a page is made of

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show yet."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop all data."""
        raise NotImplementedError

    def lay_out(self, width: int) -> None:
        """Make head, body and foot for so many cells."""
        raise NotImplementedError

    # What the inspector does with it

    def clear(self, placeholder: str) -> None:
        if not self.is_empty or placeholder != self._placeholder:
            self._placeholder = placeholder
            self.forget()
            self.update()

    def update(self) -> None:
        """Show what has changed."""
        width = self.scrollable_content_region.width
        if width < 1:
            return  # No room yet; the resize that gives it room updates.
        if self.is_empty:
            self._head, self._foot = [], []
            wrapped = content(self._placeholder).wrap(width) if self._placeholder else []
            above = max(0, (self.size.height - len(wrapped)) // 2)
            texts = [fit(line.plain.strip(), width, align="center") for line in wrapped]
            self._body = [[]] * above + [[(text, "dim")] for text in texts]
        else:
            self.lay_out(width)
        self.virtual_size = Size(width, len(self._head) + len(self._body) + len(self._foot))
        self.scroll_to(y=self.scroll_y)  # A shorter body may end above the view.
        self.refresh()

    def scroll_by(self, lines: int) -> None:
        self.scroll_to(y=self.scroll_y + lines)

    @property
    def body_height(self) -> int:
        """The lines of the body that are in view."""
        return max(1, self.size.height - len(self._head) - len(self._foot))

    # Textual

    def on_resize(self, event: Resize) -> None:
        self.update()

    def scroll_to(
        self, x: float | None = None, y: float | None = None, *, animate: bool = True, **options: Any
    ) -> None:
        # Never animated: a slow line would carry every frame.
        super().scroll_to(x, y, animate=False, **options)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        below = y - max(height - len(self._foot), len(self._head))
        index = y - len(self._head) + self.scroll_offset.y
        if y < len(self._head):
            line = self._head[y]
        elif below >= 0:
            line = self._foot[below]
        else:
            line = self._body[index] if index < len(self._body) else []
        segments = [
            Segment(text, self.get_component_rich_style(f"inspector--{component}"))
            for text, component in line
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)


class VocabularyPage(Page):
    """A vocabulary as a table, or those of its entries that a query means."""

    def __init__(self, placeholder: str, id: str) -> None:
        super().__init__(placeholder, id)
        self._entries = Entries()
        self._query = ""

    def show(self, rows: Sequence[tuple[int, str, int]], total: int) -> None:
        entries = Entries(rows, total)
        if (entries.rows, total) != (self._entries.rows, self._entries.total):
            self._entries = entries
            self.update()

    def find(self, query: str) -> None:
        """Show only the entries that a query means; "" shows all."""
        if query != self._query:
            self._query = query
            self.update()
            self.scroll_to(y=0)

    @property
    def is_empty(self) -> bool:
        return not self._entries.rows

    def forget(self) -> None:
        self._entries = Entries()

    def lay_out(self, width: int) -> None:
        found = self._entries.find(self._query)
        table = self._body = _Table(self._entries, found, width)
        self._head = [table.head]
        of_all = count(len(self._entries.rows))
        foot = f"{of_all} entries · {count(self._entries.total)} characters"
        if self._query:
            foot = f"{count(len(found))} of {of_all} entries"
            if not found:
                self._body = [[(fit(f"No entry matches {self._query}", width), "text")]]
        self._foot = [[(fit(foot, width), "dim")]]


class _Table(Sequence[Line]):
    """The lines of a vocabulary's table, each made when it is asked for."""

    def __init__(self, entries: Entries, positions: Sequence[int], width: int) -> None:
        self._entries, self._positions = entries, positions
        largest = max((row[0] for row in entries.rows), default=0)
        self._id_cells = max(4, len(str(largest)))
        self._count_cells = max(5, len(count(entries.most)))
        fixed = 10 + 2 + self._id_cells + 2 + self._count_cells + 2 + 7
        self._bar_cells = max(0, width - fixed - 2)
        self._width = width

    @property
    def head(self) -> Line:
        row = self._columns("character", "id", "count", "share")
        return [(fit("".join(text for text, _ in row), self._width), "head")]

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Any) -> Any:
        number, character, occurrences = self._entries.rows[self._positions[index]]
        row = self._columns(
            character_name(character),
            str(number),
            count(occurrences),
            percent(occurrences, self._entries.total),
        )
        if self._entries.most > 0:
            row.append((f"  {bar(occurrences / self._entries.most, self._bar_cells)}", "bar"))
        return row

    def _columns(self, character: str, number: str, occurrences: str, share: str) -> Line:
        return [
            (fit(character, 10), "name"),
            (f"  {fit(number, self._id_cells, align='right')}", "dim"),
            (f"  {fit(occurrences, self._count_cells, align='right')}", "text"),
            (f"  {fit(share, 7, align='right')}", "dim"),
        ]


class TensorsPage(Page):
    """The parameters of a network."""

    def __init__(self, placeholder: str, id: str) -> None:
        super().__init__(placeholder, id)
        self._rows: tuple[TensorRow, ...] = ()

    def show(self, rows: Sequence[TensorRow]) -> None:
        if tuple(rows) != self._rows:
            self._rows = tuple(rows)
            self.update()

    @property
    def is_empty(self) -> bool:
        return not self._rows

    def forget(self) -> None:
        self._rows = ()

    def lay_out(self, width: int) -> None:
        titles = _aligned([(row.name, row.symbolic_shape, row.shape) for row in self._rows], width)
        body: list[Line] = []
        for row, title in zip(self._rows, titles, strict=True):
            body += title
            size = f"{count(row.parameters)} · {bytes_(row.bytes)}"
            *lines, last = [line.plain for line in content(row.meaning).wrap(max(1, width - 2))]
            body += [[(f"  {line}", "dim")] for line in lines]
            room = width - 2 - cell_len(last)
            if room < len(size) + 2:
                body.append([(f"  {last}", "dim")])
                last, room = "", width - 2
            body.append([(f"  {last}{fit(size, room, align='right')}", "dim")])
        parameters = sum(row.parameters for row in self._rows)
        total = bytes_(sum(row.bytes for row in self._rows))
        self._body = body
        left, right = f"{len(self._rows)} tensors", f"{count(parameters)} parameters · {total}"
        self._foot = [[(f"{left}{fit(right, width - len(left), align='right')}", "name")]]


class ShapesPage(Page):
    """What a batch becomes on its way from ids to loss, as a diagram from top to bottom."""

    def __init__(self, placeholder: str, id: str) -> None:
        super().__init__(placeholder, id)
        self._rows: tuple[FlowRow, ...] = ()
        self._letters: tuple[tuple[str, str, int], ...] = ()

    def show(self, rows: Sequence[FlowRow], letters: Sequence[tuple[str, str, int]]) -> None:
        if (tuple(rows), tuple(letters)) != (self._rows, self._letters):
            self._rows, self._letters = tuple(rows), tuple(letters)
            self.update()

    @property
    def is_empty(self) -> bool:
        return not self._rows

    def forget(self) -> None:
        self._rows = ()

    def lay_out(self, width: int) -> None:
        names = [f"├─▸ {row.name}" if row.branch else row.name for row in self._rows]
        shapes = [(row.symbolic_shape, row.shape) for row in self._rows]
        titles = _aligned(
            [(name, *shape) for name, shape in zip(names, shapes, strict=True)], width
        )
        body: list[Line] = []
        for index, (row, title) in enumerate(zip(self._rows, titles, strict=True)):
            if index and not row.branch:
                body.append([(fit(f"↓ {row.operation}", width), "dim")])
            body += title
        self._body = [*body, [], *_legend(self._letters, width)] if self._letters else body


def _aligned(rows: Sequence[tuple[str, str, str]], width: int) -> list[list[Line]]:
    """Names, symbolic and actual shapes in three columns; where that is too wide, the shapes on a
    line below."""
    names, symbols, shapes = (
        max((cell_len(visible(row[column])) for row in rows), default=0) for column in range(3)
    )
    spare = width - names - symbols - shapes
    lines: list[list[Line]] = []
    for name, symbolic, shape in rows:
        symbol_part = (fit(symbolic, symbols), "symbol")
        shape_part = (f"  {fit(shape, shapes, align='right')}", "text")
        if spare >= 4:
            lines.append([[(fit(name, width - symbols - shapes - 2), "name"), symbol_part, shape_part]])
        else:
            lines.append([[(fit(name, width), "name")], [("  ", "text"), symbol_part, shape_part]])
    return lines


def _legend(letters: Sequence[tuple[str, str, int]], width: int) -> list[Line]:
    """What the letters stand for, in as many columns as fit."""
    digits = max(len(count(size)) for _, _, size in letters)
    words = max(cell_len(visible(word)) for _, word, _ in letters)
    columns = max(1, min(len(letters), (width + 3) // (4 + words + 2 + digits + 3)))
    lines: list[Line] = []
    for start in range(0, len(letters), columns):
        line: Line = []
        for letter, word, size in letters[start : start + columns]:
            line.append((f"{fit(letter, 2)}", "symbol"))
            line.append((f"{fit(word, words)}  {count(size):>{digits}}     ", "dim"))
        lines.append(line)
    return lines


# ── The widget ───────────────────────────────────────────────────────────────────────────────────


class SearchInput(Input):
    """A line to type a query in. What is pasted is shown as it is in the table, never obeyed."""

    def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        pasted = event.text.strip("\r\n") or event.text[:1]
        self.replace(character_name(pasted), *sorted(self.selection))


class Inspector(Widget, can_focus=True):
    """Vocabulary, tensors and shapes of a run, behind three tabs."""

    DEFAULT_CSS = """
    Inspector {
        width: 1fr;
        height: 1fr;
        layout: vertical;
        & .inspector--tabs { height: 1; }
        & .inspector--tab { width: auto; margin-right: 2; color: $text-muted; }
        & .inspector--tab.-active { color: $foreground; text-style: bold underline; }
        & .inspector--search { height: 1; display: none; }
        & .inspector--search.-open { display: block; }
        & .inspector--search Static { width: 2; color: $text-accent; text-style: bold; }
        & .inspector--search SearchInput { width: 1fr; }
        & Page { display: none; }
        & Page.-active { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search"),
        Binding("escape", "end_search", "End search"),
        Binding("right", "next_tab", "Next tab", show=False),
        Binding("left", "previous_tab", "Previous tab", show=False),
        Binding("up", "scroll(-1)", "Up", show=False),
        Binding("down", "scroll(1)", "Down", show=False),
        Binding("pageup", "scroll_page(-1)", "Page up", show=False),
        Binding("pagedown", "scroll_page(1)", "Page down", show=False),
        Binding("home", "top", "First", show=False),
        Binding("end", "bottom", "Last", show=False),
    ]
