"""For slow lines: writes the cells that changed, not the line that they stand in.

Textual 8.2 sends a changed span from the left edge of its widget on (its issue 5625), so that a
curve costs more the further right it has grown. Cut at the span instead, a training screen writes
about a third.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.strip import Strip


class SlowLineCompositor(Compositor):
    """Textual's compositor, with narrower partial updates."""

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        if update is None:
            return None
        return NarrowUpdate(update.chops, update.spans, update.chop_ends)


class NarrowUpdate(ChopsUpdate):
    """A partial update cut at both ends of its spans."""

    def render_segments(self, console: Console) -> str:
        written: list[str] = []
        for y, start, end in self.spans:
            for strip_end, (x, strip) in zip(
                self.chop_ends[y], self.chops[y].items(), strict=False
            ):
                if strip is None or x >= end or strip_end <= start:
                    continue
                first, last = whole_characters(strip, max(start - x, 0), min(end, strip_end) - x)
                written.append(Control.move_to(x + first, y).segment.text)
                written.append(strip.crop(first, last).render(console))
        return "".join(written)


def whole_characters(strip: Strip, start: int, end: int) -> tuple[int, int]:
    """The cells from `start` to `end`, widened so that no wide character is cut in two."""
    if len(strip.text) == strip.cell_length:
        return start, end
    first, last, position = start, end, 0
    for character in strip.text:
        after = position + cell_len(character)
        if position < start < after:
            first = position
        if position < end < after:
            last = after
        position = after
    return first, last
