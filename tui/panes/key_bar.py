"""The keys that do something now, on as many lines as the screen allows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

GAP = "  "
MOST_LINES = 2
LAST = 2  # so many pairs at the end, how to leave and where help is, always have a place


class KeyBar(Static):
    """Shows (key, word) pairs; the ones that do not fit are under F1."""

    DEFAULT_CSS = """
    KeyBar { height: auto; width: 1fr; padding: 0 1; color: $text-muted; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id)
        self._keys: tuple[tuple[str, str], ...] = ()

    def show(self, keys: Sequence[tuple[str, str]]) -> None:
        """Replaces the pairs; nothing is painted when they are the same."""
        if tuple(keys) != self._keys:
            self._keys = tuple(keys)
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        keys, width = list(self._keys), self.content_size.width
        while len(lines := _lines(keys, width)) > MOST_LINES and len(keys) > LAST:
            del keys[-LAST - 1]
        self.update(Content("\n").join(lines[:MOST_LINES]))


def _lines(keys: Sequence[tuple[str, str]], width: int) -> list[Content]:
    """The pairs side by side, on as many lines as they need."""
    lines: list[Content] = [Content()]
    for key, word in keys:
        pair = Content.assemble((key, "bold $text-accent"), " ", word)
        used = lines[-1].cell_length
        if used and used + cell_len(GAP) + pair.cell_length > width:
            lines.append(pair)
        else:
            lines[-1] = pair if not used else Content.assemble(lines[-1], GAP, pair)
    return lines
