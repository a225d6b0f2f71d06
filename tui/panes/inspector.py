"""The inspector: a run's vocabulary, its tensors, and the shapes that a batch takes on its way.

It takes values and knows nothing of the engine. Only lines in view are made, so that a vocabulary
of any size opens at once; what is shown again unchanged writes nothing, and no timer runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

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
MOST_PASTED = 200  # characters that a paste adds to a query

VocabularyRow = tuple[int, str, int]  # id, character, count
LetterRow = tuple[str, str, int]  # a letter of symbolic shapes, its meaning, its size here

Part = tuple[str, str]  # a text that is safe to show, and its component class
Line = list[Part]

_BRANCH = "├▸ "  # before what leads aside in the diagram


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

    def __init__(self, rows: Sequence[VocabularyRow] = (), total: int = 0) -> None:
        self.rows = tuple(rows)
        self.total = total
        self.most = max((row[2] for row in self.rows), default=0)

    @cached_property
    def _positions(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Where each id, each character, and each character as it is shown stands."""
        ids, characters, names = {}, {}, {}
        for position, (number, character, _) in enumerate(self.rows):
            ids[str(number)] = characters[character] = position
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
                found.add(ids.get(query.lstrip("0") or "0"))
            elif found == {None}:
                found = {positions.get(c) for c in query for positions in (characters, names)}
        return sorted(position for position in found if position is not None)


def bar(share: float, cells: int) -> str:
    """A bar of a length from 0 to 1, in eighths of a cell; what is not nothing can be seen."""
    eighths = max(round(share * cells * 8), 1 if share > 0 and cells > 0 else 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def percent(part: int, whole: int) -> str:
    """A share: "12.34%", and "<0.01%" for what would be written as zero."""
    if whole <= 0:
        return "–"
    share = 100 * part / whole
    return "<0.01%" if 0 < share < 0.005 else f"{share:.2f}%"


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────


class Layout(NamedTuple):
    """A page's lines at some width; those of the body are made when they come into view."""

    length: int
    line: Callable[[int], Line]
    head: Sequence[Line] = ()
    foot: Sequence[Line] = ()

    @classmethod
    def of(cls, body: Sequence[Line], **fixed: Sequence[Line]) -> Layout:
        return cls(len(body), body.__getitem__, **fixed)


class InspectorPage(ScrollView, can_focus=False):
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
    InspectorPage {
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
        self._layout = Layout.of(())
        self._laid_out_for = Size()

    # What a page has to say

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to show yet."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop all data."""
        raise NotImplementedError

    def lay_out(self, width: int) -> Layout:
        """The lines, each at most `width` cells wide."""
        raise NotImplementedError

    # What the inspector does with it

    def clear(self, placeholder: str) -> None:
        if not self.is_blank or placeholder != self._placeholder:
            self._placeholder = placeholder
            self.forget()
            self.update()

    def update(self) -> None:
        """Show what has changed."""
        width = self.scrollable_content_region.width
        self._laid_out_for = self.size if width > 0 else Size()
        if width < 1:
            self._layout = Layout.of(())
            return  # No room yet; the resize that gives it room updates.
        self._layout = self._sentence(width) if self.is_blank else self.lay_out(width)
        lines = self._layout.length + len(self._layout.head) + len(self._layout.foot)
        self.virtual_size = Size(width, lines)
        self.scroll_to(y=self.scroll_y)  # Fewer lines may end above the view.
        self.refresh()

    def _sentence(self, width: int) -> Layout:
        lines = content(self._placeholder).wrap(width)
        above = max(0, (self.size.height - len(lines)) // 2)
        texts = [fit(line.plain.rstrip(), width, align="center") for line in lines]
        return Layout.of([[]] * above + [[(text, "dim")] for text in texts])

    @property
    def page_height(self) -> int:
        """The lines between head and foot."""
        return max(1, self.size.height - len(self._layout.head) - len(self._layout.foot))

    # Textual

    def on_resize(self, event: Resize) -> None:
        if self.size != self._laid_out_for:
            self.update()

    def scroll_to(self, x: float | None = None, y: float | None = None, **options: Any) -> None:
        # Never animated: a slow line would carry every frame. By force, because where the lines
        # have become so few that all fit, the view must still go back to the first.
        super().scroll_to(x, y, **{**options, "animate": False, "force": True})

    def render_line(self, y: int) -> Strip:
        length, line, head, foot = self._layout
        index = y - len(head) + self.scroll_offset.y
        below = y - max(self.size.height - len(foot), len(head))
        if y < len(head):
            parts = head[y]
        elif below >= 0:
            parts = foot[below]
        else:
            parts = line(index) if index < length else []
        segments = [
            Segment(text, self.get_component_rich_style(f"inspector--{component}"))
            for text, component in parts
        ]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)


class VocabularyPage(InspectorPage):
    """A vocabulary as a table, or those of its entries that a query means."""

    def __init__(self, placeholder: str, id: str) -> None:
        super().__init__(placeholder, id)
        self._entries = Entries()
        self._found: Sequence[int] = ()
        self._query = ""
        self._id_cells = self._count_cells = self._bar_cells = 0

    def show(self, rows: Sequence[VocabularyRow], total: int) -> None:
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
    def is_blank(self) -> bool:
        return not self._entries.rows

    def forget(self) -> None:
        self._entries = Entries()

    def lay_out(self, width: int) -> Layout:
        entries = self._entries
        self._found = entries.find(self._query)
        self._id_cells = max(4, len(str(max(row[0] for row in entries.rows))))
        self._count_cells = max(6, len(count(entries.most)))
        head = "".join(text for text, _ in self._columns("character", "id", "count", "share"))
        self._bar_cells = max(0, width - cell_len(head) - 2)
        size = f"{count(len(entries.rows))} entries"
        if not self._query:
            foot = f"{size}, {count(entries.total)} characters"
        elif self._found:
            foot = f"{count(len(self._found))} of {size}"
        else:
            foot = f"none of {size} is {self._query}"
        return Layout(
            len(self._found),
            self._row,
            head=[[(fit(head, width), "head")]],
            foot=[[(fit(foot, width), "dim")]],
        )

    def _row(self, index: int) -> Line:
        number, character, occurrences = self._entries.rows[self._found[index]]
        share = percent(occurrences, self._entries.total)
        length = bar(occurrences / max(1, self._entries.most), self._bar_cells)
        name = character_name(character)
        return [
            *self._columns(name, str(number), count(occurrences), share),
            (f"  {length}", "bar"),
        ]

    def _columns(self, character: str, number: str, occurrences: str, share: str) -> Line:
        return [
            (fit(character, 10), "name"),
            (f" {fit(number, self._id_cells, align='right')}", "dim"),
            (f"  {fit(occurrences, self._count_cells, align='right')}", "text"),
            (f"  {fit(share, 7, align='right')}", "dim"),
        ]


class TensorsPage(InspectorPage):
    """The parameters of a network."""

    def __init__(self, placeholder: str, id: str) -> None:
        super().__init__(placeholder, id)
        self._rows: tuple[TensorRow, ...] = ()

    def show(self, rows: Sequence[TensorRow]) -> None:
        if tuple(rows) != self._rows:
            self._rows = tuple(rows)
            self.update()

    @property
    def is_blank(self) -> bool:
        return not self._rows

    def forget(self) -> None:
        self._rows = ()

    def lay_out(self, width: int) -> Layout:
        titles = _titles([(row.name, row.symbolic_shape, row.shape) for row in self._rows], width)
        body: list[Line] = []
        for row, title in zip(self._rows, titles, strict=True):
            size = _size(row.parameters, row.bytes)
            spare = width - sum(cell_len(text) for text, _ in title[-1])
            if len(title) > 1 and spare >= len(size) + 2:  # there is room beside the shapes
                title[-1].append((fit(size, spare, align="right"), "dim"))
                size = ""
            body += [*title, *_left_and_right(row.meaning, size, width)]
        parameters = sum(row.parameters for row in self._rows)
        left = f"{count(len(self._rows))} tensors"
        right = _size(parameters, sum(row.bytes for row in self._rows))
        foot = f"{left}{fit(right, width - len(left), align='right')}"
        return Layout.of(body, foot=[[(foot, "name")]])


class ShapesPage(InspectorPage):
    """What a batch becomes on its way from ids to loss, as a diagram from top to bottom."""

    def __init__(self, placeholder: str, id: str) -> None:
        super().__init__(placeholder, id)
        self._rows: tuple[FlowRow, ...] = ()
        self._letters: tuple[LetterRow, ...] = ()

    def show(self, rows: Sequence[FlowRow], letters: Sequence[LetterRow]) -> None:
        if (tuple(rows), tuple(letters)) != (self._rows, self._letters):
            self._rows, self._letters = tuple(rows), tuple(letters)
            self.update()

    @property
    def is_blank(self) -> bool:
        return not self._rows

    def forget(self) -> None:
        self._rows = ()

    def lay_out(self, width: int) -> Layout:
        names = [_BRANCH * row.branch + row.name for row in self._rows]
        shapes = [(row.symbolic_shape, row.shape) for row in self._rows]
        titles = _titles([(n, *s) for n, s in zip(names, shapes, strict=True)], width)
        body: list[Line] = []
        for row, title in zip(self._rows, titles, strict=True):
            if row.branch:
                name = title[0].pop(0)[0]
                title[0][:0] = [(_BRANCH, "dim"), (name.removeprefix(_BRANCH), "name")]
            elif row.operation:
                body.append([(fit(f"↓ {row.operation}", width), "dim")])
            body += title
        if self._letters:
            body += [[], *_legend(self._letters, width)]
        return Layout.of(body)


def _titles(rows: Sequence[tuple[str, str, str]], width: int) -> list[list[Line]]:
    """Name, symbolic and actual shape in three columns; where that is too wide, the shapes stand
    on a line of their own."""
    names, symbols, shapes = (
        max(cell_len(visible(row[column])) for row in rows) for column in range(3)
    )
    titles: list[list[Line]] = []
    for name, symbolic, shape in rows:
        symbol_part = (fit(symbolic, symbols), "symbol")
        shape_part = (f" {fit(shape, shapes, align='right')}", "text")
        if names + 1 + symbols + 1 + shapes <= width:
            name_part = (fit(name, width - symbols - 1 - shapes), "name")
            titles.append([[name_part, symbol_part, shape_part]])
        else:
            name_part = (fit(name, width), "name")
            titles.append([[name_part], [("  ", "text"), symbol_part, shape_part]])
    return titles


def _size(parameters: int, size: int) -> str:
    return f"{count(parameters)} {fit(bytes_(size), 8, align='right')}"


def _left_and_right(left: str, right: str, width: int) -> list[Line]:
    """A text of as many lines as it needs, and a short one at the right end of the last."""
    lines = [f"  {line.plain.rstrip()}" for line in content(left).wrap(max(1, width - 2))]
    if right and width - cell_len(lines[-1]) < len(right) + 2:
        lines.append("")
    lines[-1] += fit(right, width - cell_len(lines[-1]), align="right")
    return [[(line, "dim")] for line in lines]


def _legend(letters: Sequence[LetterRow], width: int) -> list[Line]:
    """What the letters stand for, in as many columns as fit."""
    words = max(cell_len(visible(word)) for _, word, _ in letters)
    digits = max(len(count(size)) for _, _, size in letters)
    gap = 4
    columns = max(1, (width + gap) // (2 + words + 2 + digits + gap))
    lines: list[Line] = []
    for start in range(0, len(letters), columns):
        line: Line = []
        for letter, word, size in letters[start : start + columns]:
            line.append((fit(letter, 2), "symbol"))
            line.append((f"{fit(word, words)}  {count(size):>{digits}}{' ' * gap}", "dim"))
        lines.append(line)
    return lines


# ── The widget ───────────────────────────────────────────────────────────────────────────────────


class SearchInput(Input):
    """A line to type a query in. What is pasted is shown as it is in the table, never obeyed."""

    def _on_paste(self, event: Paste) -> None:
        # In place of Input's own handler, which takes any text as it is.
        event.stop()
        event.prevent_default()
        pasted = event.text.strip("\r\n") or event.text[:1]
        self.replace(character_name(pasted[:MOST_PASTED]), *sorted(self.selection))


class Inspector(Widget, can_focus=True):
    """Vocabulary, tensors and shapes of a run, behind three tabs."""

    DEFAULT_CSS = """
    Inspector {
        width: 1fr;
        height: 1fr;
        layout: vertical;
        & .inspector--tabs { height: 1; background: $surface; }
        & .inspector--tab { width: auto; margin-right: 2; color: $text-muted; }
        & .inspector--tab.-active { color: $foreground; text-style: bold underline; }
        & .inspector--search { height: 1; display: none; }
        & .inspector--search.-open { display: block; }
        & .inspector--search Static { width: 2; color: $text-accent; text-style: bold; }
        & .inspector--search SearchInput { width: 1fr; }
        & InspectorPage { display: none; }
        & InspectorPage.-active { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search"),
        Binding("escape", "end_search", "End search"),
        Binding("right", "next_tab", "Next tab", show=False),
        Binding("left", "previous_tab", "Previous tab", show=False),
        Binding("up", "scroll_up", "Scroll Up", show=False),
        Binding("down", "scroll_down", "Scroll Down", show=False),
        Binding("pageup", "page_up", "Page Up", show=False),
        Binding("pagedown", "page_down", "Page Down", show=False),
        Binding("home", "scroll_home", "Scroll Home", show=False),
        Binding("end", "scroll_end", "Scroll End", show=False),
    ]

    def __init__(
        self,
        placeholder: str = "",
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._tab = TABS[0]
        self._tabs = {
            tab: Static(tab, id=f"inspector-tab-{tab}", classes="inspector--tab", markup=False)
            for tab in TABS
        }
        self._vocabulary = VocabularyPage(placeholder, "inspector-vocabulary")
        self._tensors = TensorsPage(placeholder, "inspector-tensors")
        self._shapes = ShapesPage(placeholder, "inspector-shapes")
        self._pages: dict[str, InspectorPage] = dict(
            zip(TABS, (self._vocabulary, self._tensors, self._shapes), strict=True)
        )
        self._input = SearchInput(
            placeholder="a character, an id, or U+4E2D", compact=True, select_on_focus=False
        )
        self._input.cursor_blink = False
        self._search = Horizontal(
            Static("/", markup=False), self._input, classes="inspector--search"
        )
        self._searching = False
        self.show_tab(self._tab)

    def compose(self) -> ComposeResult:
        yield Horizontal(*self._tabs.values(), classes="inspector--tabs")
        yield self._search
        yield from self._pages.values()

    # What it takes

    def show_vocabulary(self, rows: Sequence[VocabularyRow], total: int) -> None:
        """Show (id, character, count) in this order; shares are of `total` characters."""
        self._vocabulary.show(rows, total)

    def show_tensors(self, rows: Sequence[TensorRow]) -> None:
        """Show the network's parameters."""
        self._tensors.show(rows)

    def show_flow(self, rows: Sequence[FlowRow], letters: Sequence[LetterRow] = ()) -> None:
        """Show what a batch becomes from row to row, and below it what the letters of the
        symbolic shapes stand for: (letter, meaning, size)."""
        self._shapes.show(rows, letters)

    def clear(self, placeholder: str) -> None:
        """Forget everything; each tab says this sentence until it has something to show."""
        self.end_search()
        for page in self._pages.values():
            page.clear(placeholder)

    @property
    def tab(self) -> str:
        """The tab that is shown, one of `TABS`."""
        return self._tab

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front. ValueError for a name that is not in `TABS`."""
        if name not in TABS:
            raise ValueError(f"no tab is called {name!r}; there are {', '.join(TABS)}")
        self._tab = name
        if self._input.has_focus:
            self.focus()
        for tab in TABS:
            self._tabs[tab].set_class(tab == name, "-active")
            self._pages[tab].set_class(tab == name, "-active")
        self._search.set_class(self._searching and name == "vocabulary", "-open")

    def next_tab(self) -> None:
        """Bring the next tab to the front; after the last comes the first."""
        self._turn(1)

    def previous_tab(self) -> None:
        """Bring the tab before this one to the front."""
        self._turn(-1)

    def search(self) -> None:
        """Open the search in the vocabulary, or go back to it."""
        if self._vocabulary.is_blank:
            return
        self._searching = True
        self.show_tab("vocabulary")
        self._input.focus()

    def end_search(self) -> None:
        """Close the search and show the whole vocabulary again."""
        self._searching = False
        self._input.value = ""
        self._vocabulary.find("")
        self.show_tab(self._tab)

    # Inside

    @property
    def _page(self) -> InspectorPage:
        return self._pages[self._tab]

    def _turn(self, by: int) -> None:
        self.show_tab(TABS[(TABS.index(self._tab) + by) % len(TABS)])

    @on(Input.Changed)
    def _find(self, event: Input.Changed) -> None:
        event.stop()
        self._vocabulary.find(event.value)

    @on(Input.Submitted)
    def _leave_input(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus()

    @on(Click, ".inspector--tab")
    def _choose(self, event: Click) -> None:
        self.show_tab(next(name for name, tab in self._tabs.items() if tab is event.widget))

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._searching if action == "end_search" else True

    def action_search(self) -> None:
        self.search()

    def action_end_search(self) -> None:
        self.end_search()

    def action_next_tab(self) -> None:
        self.next_tab()

    def action_previous_tab(self) -> None:
        self.previous_tab()

    def action_scroll_up(self) -> None:
        self._page.scroll_to(y=self._page.scroll_y - 1)

    def action_scroll_down(self) -> None:
        self._page.scroll_to(y=self._page.scroll_y + 1)

    def action_page_up(self) -> None:
        self._page.scroll_to(y=self._page.scroll_y - self._page.page_height)

    def action_page_down(self) -> None:
        self._page.scroll_to(y=self._page.scroll_y + self._page.page_height)

    def action_scroll_home(self) -> None:
        self._page.scroll_to(y=0)

    def action_scroll_end(self) -> None:
        self._page.scroll_to(y=self._page.max_scroll_y)
