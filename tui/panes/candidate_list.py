"""Ways to write a line, to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual.binding import Binding, BindingType

from tui.display import fit
from tui.panes.live_line import Part
from tui.panes.live_page import LivePage

MOST = 8


class Offer(NamedTuple):
    """One way to write a line, and what is to be known of it, long and short."""

    text: str
    note: str
    short: str


class CandidateList(LivePage, can_focus=True):
    """Calls `take` with the place, from 0, of the one that is chosen: with up, down and enter or
    by its digit. At once, so that what is typed behind it lands in the song."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "go(-1)", show=False),
        Binding("down", "go(1)", show=False),
        Binding("enter", "take", show=False),
        *(Binding(str(number), f"take({number})", show=False) for number in range(1, MOST + 1)),
    ]

    def __init__(self, take: Callable[[int], None], *, id: str | None = None) -> None:
        super().__init__(2 * MOST + 2, id=id)
        self._take = take
        self._offers: Sequence[Offer] = ()
        self._at = 0

    def offer(self, offers: Sequence[Offer]) -> None:
        """Replaces what there is to choose from."""
        self._offers, self._at = offers, 0
        self._show()

    def on_resize(self) -> None:
        self._show()

    def action_go(self, by: int) -> None:
        if self._offers:
            self._at = (self._at + by) % len(self._offers)
            self._show()

    def action_take(self, number: int = 0) -> None:
        place = number - 1 if number else self._at
        if place < len(self._offers):
            self._take(place)

    def _show(self) -> None:
        lines: list[list[Part]] = [[Part("candidates", "bold")]] if self._offers else []
        roomy = self.size.height > 2 * len(self._offers)
        for place, offer in enumerate(self._offers):
            chosen = place == self._at
            sign = Part("▸" if chosen else " ", "bold")
            number = Part(f"{place + 1} ", "dim")
            kind = "bold" if chosen else "plain"
            if roomy:
                lines.append([sign, number, Part(offer.text, kind)])
                lines.append([Part("   "), Part(offer.note, "dim")])
            else:
                room = self.size.width - cell_len(offer.short) - 5
                text = Part(fit(offer.text, room), kind)
                lines.append([sign, number, text, Part("  " + offer.short, "dim")])
        self.show(lines)
