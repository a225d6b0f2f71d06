"""The line of figures repaints what changed, cell by cell, and obeys nothing that it shows."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.geometry import Region

from tui.panes.live_line import LiveLine, Part

SIZE = (40, 3)


class LineApp(App[None]):
    """A line alone on the screen, and a record of what it asks to have painted again."""

    def __init__(self) -> None:
        super().__init__()
        self.line = LiveLine()
        self.painted: list[Region] = []

    def compose(self) -> ComposeResult:
        yield self.line

    def on_mount(self) -> None:
        refresh = self.line.refresh

        def spied(*regions: Region, **options: bool) -> LiveLine:
            self.painted.extend(regions)
            return refresh(*regions, **options)

        self.line.refresh = spied  # type: ignore[method-assign]

    def drawn(self) -> str:
        return self.line.render_line(0).text


async def test_it_says_its_parts_side_by_side() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        app.line.show([Part("step "), Part("12", "bold", 4), Part("loss", "dim")])
        assert app.line.text == "step 12  loss"
        assert app.drawn() == "step 12  loss".ljust(SIZE[0])


async def test_only_what_changed_is_painted_again() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        app.line.show([Part("step "), Part("12", width=6), Part("loss 1.25")])
        app.painted.clear()
        app.line.show([Part("step "), Part("13", width=6), Part("loss 1.25")])
        assert app.painted == [Region(6, 0, 1, 1)]
        app.painted.clear()
        app.line.show([Part("step "), Part("24", width=6), Part("loss 1.26")])
        assert app.painted == [Region(5, 0, 2, 1), Region(19, 0, 1, 1)]


async def test_the_same_again_paints_nothing() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        parts = [Part("training", "good", 12), Part("1.5k")]
        app.line.show(parts)
        app.painted.clear()
        app.line.show(list(parts))
        assert app.painted == []


async def test_another_colour_is_a_change() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        app.line.show([Part("saving", "good")])
        app.painted.clear()
        app.line.show([Part("saving", "bad")])
        assert app.painted == [Region(0, 0, 6, 1)]


async def test_a_shorter_line_leaves_nothing_behind() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        app.line.show([Part("a long line of words")])
        app.painted.clear()
        app.line.show([Part("a")])
        assert app.painted == [Region(1, 0, 19, 1)]
        assert app.drawn().rstrip() == "a"


async def test_wide_characters_and_marks_are_counted_in_cells() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        app.line.show([Part("想要 "), Part("e\u0301 "), Part("7")])
        assert app.line.text == "想要 e\u0301 7"
        strip = app.line.render_line(0)
        assert strip.cell_length == SIZE[0]
        app.painted.clear()
        app.line.show([Part("想要 "), Part("e\u0301 "), Part("8")])
        assert app.painted == [Region(7, 0, 1, 1)]


async def test_what_is_too_long_is_cut_at_the_edge() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        app.line.show([Part("中" * 30)])
        assert app.line.render_line(0).cell_length == SIZE[0]
        app.line.show([Part("a" + "中" * 30)])
        assert app.line.render_line(0).cell_length == SIZE[0]


async def test_what_a_terminal_would_obey_is_shown() -> None:
    app = LineApp()
    async with app.run_test(size=SIZE):
        app.line.show([Part("a\x1b[2J[/ [bold]\u202e\x9b", "bold")])
        assert app.drawn().rstrip() == "a␛[2J[/ [bold]‹U+202E›‹9B›"
