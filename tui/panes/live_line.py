"""One line of figures that writes to the terminal only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.display import visible


class Part(NamedTuple):
    """A piece of the line. `kind` is plain, dim, bold, good or bad; `width` pads it, so that what
    follows keeps its place when the figure changes."""

    text: str
    kind: str = "plain"
    width: int = 0


class LiveLine(Widget):
    """Shows parts side by side, cut at the widget's width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "live-line--plain",
        "live-line--dim",
        "live-line--bold",
        "live-line--good",
        "live-line--bad",
    }
    DEFAULT_CSS = """
    LiveLine {
        height: 1;
        width: 1fr;
        & > .live-line--plain { color: $foreground; }
        & > .live-line--dim { color: $text-muted; }
        & > .live-line--bold { color: $text-accent; text-style: bold; }
        & > .live-line--good { color: $text-success; text-style: bold; }
        & > .live-line--bad { color: $text-error; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._cells: list[tuple[str, str]] = []

    @property
    def text(self) -> str:
        """What the line says."""
        return "".join(character for character, _ in self._cells).rstrip()

    def show(self, parts: Sequence[Part]) -> None:
        """Replaces the line; only cells that differ are painted again."""
        cells = [cell for part in parts for cell in _cells_of(part)]
        before, self._cells = self._cells, cells
        length = max(len(before), len(cells))
        empty = ("", "")
        old = before + [empty] * (length - len(before))
        new = cells + [empty] * (length - len(cells))
        changed = [index for index in range(length) if old[index] != new[index]]
        for start, end in _runs(changed):
            self.refresh(Region(start, 0, end - start, 1))

    def render_line(self, y: int) -> Strip:
        segments: list[Segment] = []
        if y == 0:
            for character, kind in self._cells:
                style = self.get_component_rich_style(f"live-line--{kind}")
                if segments and segments[-1].style == style:
                    segments[-1] = Segment(segments[-1].text + character, style)
                else:
                    segments.append(Segment(character, style))
        width = self.size.width
        return Strip(segments).adjust_cell_length(width, self.rich_style)


def _cells_of(part: Part) -> list[tuple[str, str]]:
    """One entry a terminal cell: a wide character is followed by an empty one, and a mark stands
    with the character that bears it."""
    text = visible(part.text)
    if part.width:
        text = set_cell_size(text, part.width)
    cells: list[tuple[str, str]] = []
    base = 0
    for character in text:
        size = cell_len(character)
        if size == 0 and cells:
            cells[base] = (cells[base][0] + character, part.kind)
            continue
        base = len(cells)
        cells.append((character, part.kind))
        cells.extend([("", part.kind)] * (size - 1))
    return cells


def _runs(indexes: list[int], gap: int = 4) -> list[tuple[int, int]]:
    """Changed cells as half-open runs; near ones are joined, since moving the cursor costs about
    as much as writing a few cells."""
    runs: list[tuple[int, int]] = []
    for index in indexes:
        if runs and index - runs[-1][1] < gap:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
