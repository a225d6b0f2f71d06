"""Several lines of figures, each of which writes only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.panes.live_line import LiveLine, Part


class LivePage(Vertical):
    """Shows as many lines as it has room for."""

    DEFAULT_CSS = "LivePage { height: auto; width: 1fr; overflow: hidden; }"

    def __init__(self, lines: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._count = lines

    def compose(self) -> ComposeResult:
        for _ in range(self._count):
            yield LiveLine()

    @property
    def text(self) -> str:
        """What it says."""
        return "\n".join(line.text for line in self.query(LiveLine)).rstrip()

    def show(self, lines: Sequence[Sequence[Part]]) -> None:
        """Replaces all lines."""
        for number, line in enumerate(self.query(LiveLine)):
            line.show(lines[number] if number < len(lines) else ())
