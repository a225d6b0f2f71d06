"""The stream shows what was written, wrapped exactly, while it grows, scrolls and is resized."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from tui.display import visible
from tui.panes.lyric_stream import CURSOR, Flow, LyricStream, StreamEntry, wrap

# What wraps differently meets: narrow, wide, marks, spaces, closing punctuation, pictures, lines.
lyric_text = st.text(
    st.one_of(
        st.sampled_from("ab中文，（） \n\u0301\u0e31👍🏽한\u1161\x1b[/\u202e\u200d\t"),
        st.characters(exclude_categories=()),
    ),
    max_size=80,
)
widths = st.integers(1, 24)


# Wrapping, without a screen


@given(lyric_text, widths)
def test_rows_are_the_line_and_fit(text: str, width: int) -> None:
    line = visible(text)
    rows = wrap(line, width)
    assert "".join(rows) == line
    for row in rows:
        shown = row[:-1] if row.endswith(" ") else row  # one space may hang over the edge
        assert cell_len(shown) <= max(2, width)
        assert width < 2 or cell_len(shown) <= width
        assert not row or get_character_cell_size(row[0]) > 0


@given(lyric_text, lyric_text, widths)
def test_one_character_at_a_time_gives_the_same_rows_as_all_at_once(
    prompt: str, text: str, width: int
) -> None:
    at_once = Flow(width, prompt)
    at_once.add(text)
    growing = Flow(width, prompt)
    for character in text:
        growing.add(character)
    assert growing.rows == at_once.rows
    joined = "".join(row.text for row in at_once.rows)
    assert joined == visible(prompt + text, newlines=True).replace("\n", "")
    in_prompt = sum(row.prompt for row in at_once.rows)
    assert in_prompt == len(visible(prompt, newlines=True).replace("\n", ""))


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        ("想要一条河流", 5, ["想要", "一条", "河流"]),
        ("想要一条河流", 6, ["想要一", "条河流"]),
        ("a想要一", 4, ["a想", "要一"]),
        ("love me tender", 7, ["love me ", "tender"]),
        ("love me tender", 8, ["love me ", "tender"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("我love你", 5, ["我", "love", "你"]),
        ("我爱你，他", 6, ["我爱", "你，他"]),
        ("他说（好的", 6, ["他说", "（好的"]),
        ("！！！！", 4, ["！！", "！！"]),
        ("e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]),
        ("a  b", 2, ["a  ", "b"]),
        ("", 3, [""]),
        ("中文", 1, ["中", "文"]),
    ],
)
def test_wrapping(text: str, width: int, rows: list[str]) -> None:
    assert wrap(text, width) == rows


# On a screen


class Terminal:
    """The cells that a terminal would show after what was written to it."""

    TOKENS = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[\d;]*m|\n|([^\x1b\n])")

    def __init__(self, width: int, height: int) -> None:
        self.cells = [[" "] * width for _ in range(height)]

    def write(self, data: str) -> None:
        x = y = 0
        for token in self.TOKENS.finditer(data):
            if token[1]:
                x, y = int(token[2]) - 1, int(token[1]) - 1
            elif token[3] and y < len(self.cells):
                x = self._put(self.cells[y], x, token[3])

    def _put(self, row: list[str], x: int, character: str) -> int:
        size = get_character_cell_size(character)
        if size == 0:
            row[x - 1 if row[x - 1] else x - 2] += character
            return x
        if x + size > len(row):
            return x + size  # written for a wider terminal, just before a resize reaches the app
        if row[x] == "":
            row[x - 1] = " "  # half of a wide character is overwritten: the other half goes
        if x + size < len(row) and row[x + size] == "":
            row[x + size] = " "
        row[x : x + size] = [character] + [""] * (size - 1)
        return x + size

    def rows(self, width: int | None = None) -> list[str]:
        return ["".join(row[:width]).rstrip() for row in self.cells]


class StreamApp(App[None]):
    """One stream; what would go to the terminal is recorded."""

    def __init__(self, pane: LyricStream) -> None:
        super().__init__()
        self.pane = pane
        self.written = 0
        self.terminal = Terminal(1, 1)

    def compose(self) -> ComposeResult:
        yield Static("title", id="title")
        yield self.pane

    def _display(self, screen: object, renderable: object) -> None:
        if renderable is None:
            return
        data = renderable.render_segments(self.console)  # type: ignore[attr-defined]
        if (len(self.terminal.cells[0]), len(self.terminal.cells)) != self.size:
            self.terminal = Terminal(*self.size)
        self.terminal.write(data)
        self.written += len(data.encode())


def expected_screen(app: StreamApp) -> list[str]:
    """The whole screen, drawn anew."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


async def shown(pilot: Pilot[None]) -> list[str]:
    """Flush, paint, and the rows of the pane as the terminal has them; the title is not in them."""
    app = pilot.app
    assert isinstance(app, StreamApp)
    app.pane.flush()
    await pilot.pause()
    assert app.terminal.rows() == expected_screen(app), "a partial update left something stale"
    return app.terminal.rows(app.size.width - 1)[1:]  # without the title and the scrollbar


def content_rows(rows: list[str]) -> list[str]:
    return [row for row in rows if row]


async def test_an_entry_streams() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(40, 10)) as pilot:
        entry = app.pane.begin("step 1,200 · seed 7", "想要")
        assert content_rows(await shown(pilot)) == ["▸ step 1,200 · seed 7", "想要" + CURSOR]
        app.pane.write(entry, "一条")
        app.pane.write(entry, "河流\n想要")
        assert content_rows(await shown(pilot))[1:] == ["想要一条河流", "想要" + CURSOR]
        app.pane.end(entry, "stopped")
        assert content_rows(await shown(pilot))[1:] == ["想要一条河流", "想要", "◂ stopped"]
        assert app.pane.text_of(entry) == "一条河流\n想要"
        assert app.pane.entries == (
            StreamEntry("step 1,200 · seed 7", "想要", "一条河流\n想要", "stopped"),
        )


@pytest.mark.parametrize("width", [9, 10, 11, 12, 13])
async def test_chinese_wraps_by_cells_at_every_width(width: int) -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(width, 30)) as pilot:
        entry = app.pane.begin("s")
        app.pane.write(entry, "想要一条河流" * 5)
        app.pane.end(entry)
        rows = content_rows(await shown(pilot))[1:]
        per_row = (width - 2) // 2  # a column for the scrollbar, one for the cursor
        assert [len(row) for row in rows[:-1]] == [per_row] * (len(rows) - 1)
        assert "".join(rows) == "想要一条河流" * 5


async def test_hostile_text_is_shown_and_obeyed_nowhere() -> None:
    app = StreamApp(LyricStream("[nothing] yet [/"))
    async with app.run_test(size=(60, 12)) as pilot:
        assert content_rows(await shown(pilot)) == ["[nothing] yet [/"]
        entry = app.pane.begin("[/red] \x1b[2J\nheader", "\u202e[/")
        app.pane.write(entry, "\x1b]0;title\x07[Chorus] [/b]\u2066\ud800\r\n\x9b31m")
        app.pane.end(entry, "\x1b[1m[/]")
        assert content_rows(await shown(pilot)) == [
            "▸ [/red] ␛[2J␊header",
            "‹U+202E›[/␛]0;title␇[Chorus] [/b]‹U+2066›‹U+D800›␍",
            "‹9B›31m",
            "◂ ␛[1m[/]",
        ]
        assert app.pane.text_of(entry).startswith("\x1b]0;title")


async def test_entries_keep_their_order_while_both_stream() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(30, 14)) as pilot:
        first = app.pane.begin("first")
        app.pane.write(first, "one ")
        second = app.pane.begin("second")
        app.pane.write(second, "alpha ")
        assert (await shown(pilot))[:5] == [
            *("▸ first", "one " + CURSOR, "", "▸ second", "alpha " + CURSOR),
        ]
        app.pane.write(first, "two\nthree")
        app.pane.write(second, "beta")
        app.pane.end(first)
        rows = await shown(pilot)
        assert rows[:6] == ["▸ first", "one two", "three", "", "▸ second", "alpha beta" + CURSOR]


async def test_marks_and_wide_characters_arrive_alone() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(12, 10)) as pilot:
        entry = app.pane.begin("", "e")
        for character in "\u0301ab中\u0301文字xe\u0301":
            app.pane.write(entry, character)
            await shown(pilot)
        app.pane.end(entry)
        assert content_rows(await shown(pilot)) == ["e\u0301ab中\u0301文字", "xe\u0301"]


async def test_following_stops_when_the_view_leaves_the_end() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(30, 8)) as pilot:
        pane = app.pane
        pane.focus()
        entry = pane.begin("s")
        pane.write(entry, "\n".join(str(n) for n in range(40)))
        assert (await shown(pilot))[-1] == "39" + CURSOR
        assert pane.following

        await pilot.press("pageup")
        before = await shown(pilot)
        assert not pane.following
        assert before[0] == "26"
        pane.write(entry, "\nmore\nand more")
        assert await shown(pilot) == before
        assert not pane.following

        await pilot.press("end")
        assert (await shown(pilot))[-1] == "and more" + CURSOR
        assert pane.following
        pane.write(entry, "\nlast")
        assert (await shown(pilot))[-1] == "last" + CURSOR

        await pilot.press("up")
        assert not pane.following
        await pilot.press("down")
        assert pane.following
        await pilot.press("home")
        assert (await shown(pilot))[0] == "▸ s"
        await pilot.press("ctrl+end")
        assert pane.following
        await pilot.press("ctrl+home")
        assert not pane.following
        while not pane.following:
            await pilot.press("pagedown")
        assert (await shown(pilot))[-1] == "last" + CURSOR


async def test_a_reader_keeps_the_place_when_other_entries_grow_or_go() -> None:
    app = StreamApp(LyricStream(max_entries=3))
    async with app.run_test(size=(30, 8)) as pilot:
        pane = app.pane
        first = pane.begin("first")
        second = pane.begin("second")
        pane.write(second, "\n".join(f"line {n}" for n in range(20)))
        await shown(pilot)
        pane.scroll_to(y=8)
        before = await shown(pilot)
        assert before[0] == "line 4"
        pane.write(first, "it\ngrows\nabove")
        assert await shown(pilot) == before
        pane.begin("third")
        pane.begin("fourth")
        assert await shown(pilot) == before
        assert [entry.header for entry in pane.entries] == ["second", "third", "fourth"]
        pane.begin("fifth")
        assert (await shown(pilot))[0] == "▸ third"


async def test_resizing_wraps_anew() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(30, 8)) as pilot:
        entry = app.pane.begin("s", "想要")
        app.pane.write(entry, "一条河流流过你住的小城里去")
        assert content_rows(await shown(pilot)) == [
            *("▸ s", "想要一条河流流过你住的小城里", "去" + CURSOR),
        ]
        await pilot.resize_terminal(15, 8)
        assert content_rows(await shown(pilot)) == [
            *("▸ s", "想要一条河流", "流过你住的小", "城里去" + CURSOR),
        ]
        app.pane.write(entry, "！")
        await pilot.resize_terminal(40, 8)
        assert content_rows(await shown(pilot)) == [
            *("▸ s", "想要一条河流流过你住的小城里去！" + CURSOR),
        ]


async def test_resizing_keeps_the_end_or_the_place() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(30, 8)) as pilot:
        pane = app.pane
        entry = pane.begin("s")
        lines = [f"{n} " + "想要一条河流" * 3 for n in range(20)]
        pane.write(entry, "\n".join(lines))
        await shown(pilot)
        await pilot.resize_terminal(17, 5)
        assert (await shown(pilot))[-1].endswith("条河流" + CURSOR)
        assert pane.following
        await pilot.resize_terminal(60, 12)
        pane.scroll_to(y=6)
        assert (await shown(pilot))[0] == lines[5]
        await pilot.resize_terminal(25, 9)
        assert (await shown(pilot))[0].startswith("5 想要")
        assert not pane.following


async def test_load_clear_and_entries_that_are_gone() -> None:
    app = StreamApp(LyricStream("Nothing yet.", max_entries=2))
    async with app.run_test(size=(40, 12)) as pilot:
        pane = app.pane
        entry = pane.begin("s")
        entries = [StreamEntry(f"h{n}", "p", f"t{n}", "note" * (n == 2)) for n in range(3)]
        pane.load(entries)
        assert pane.entries == tuple(entries[1:])
        assert (await shown(pilot))[:6] == ["▸ h1", "pt1", "", "▸ h2", "pt2", "◂ note"]
        pane.write(entry, "late")
        pane.end(entry, "late")
        assert pane.entries == tuple(entries[1:])
        with pytest.raises(KeyError):
            pane.text_of(entry)
        pane.clear()
        assert content_rows(await shown(pilot)) == ["Nothing yet."]
        assert pane.entries == ()
        assert pane.following


async def test_what_is_written_before_there_is_a_screen_is_shown_when_there_is() -> None:
    pane = LyricStream()
    entry = pane.begin("early")
    pane.write(entry, "bird")
    app = StreamApp(pane)
    async with app.run_test(size=(40, 12)) as pilot:
        assert content_rows(await shown(pilot)) == ["▸ early", "bird" + CURSOR]


async def test_what_arrives_behind_another_screen_or_while_hidden() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(40, 12)) as pilot:
        entry = app.pane.begin("s")
        await shown(pilot)
        await app.push_screen(Screen())
        app.pane.write(entry, "behind")
        app.pane.flush()
        await pilot.pause()
        await app.pop_screen()
        assert content_rows(await shown(pilot)) == ["▸ s", "behind" + CURSOR]
        app.pane.display = False
        await pilot.pause()
        app.pane.write(entry, ", hidden")
        assert content_rows(await shown(pilot)) == []
        app.pane.display = True
        await pilot.pause()
        assert content_rows(await shown(pilot)) == ["▸ s", "behind, hidden" + CURSOR]
        app.theme = "textual-light"
        app.pane.write(entry, "!")
        assert content_rows(await shown(pilot)) == ["▸ s", "behind, hidden!" + CURSOR]


class FlushCounter(LyricStream):
    flushes = 0
    flushed = asyncio.Event()

    def flush(self) -> None:
        super().flush()
        self.flushes += 1
        self.flushed.set()


async def test_many_writes_make_one_flush_and_then_nothing_runs() -> None:
    app = StreamApp(pane := FlushCounter())
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        entry = pane.begin("s")
        pane.flush()
        pane.flushes, pane.flushed = 0, asyncio.Event()
        for character in "想要一条河流" * 10:
            pane.write(entry, character)
        assert pane.flushes == 0
        await asyncio.wait_for(pane.flushed.wait(), 10)
        assert pane.flushes == 1
        assert pane._timer is None
        await pilot.pause()
        assert "想要一条河流" in app.terminal.rows()[2]


async def test_streaming_writes_only_what_changes() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(120, 40)) as pilot:
        entry = app.pane.begin("step 1,200")
        await shown(pilot)
        app.written = 0
        app.pane.write(entry, "想要")
        await shown(pilot)
        assert 0 < app.written < 120  # the row up to the cursor, not its 118 columns
        app.written = 0
        await shown(pilot)
        assert app.written == 0
        app.pane.write(entry, "\n一" * 60)
        await shown(pilot)
        app.pane.write(entry, "\n一")  # by now the scrollbar has its colours
        await shown(pilot)
        app.written = 0
        app.pane.write(entry, "\n二三")
        await shown(pilot)
        assert app.written < 300  # scrolled by a row, and most rows look as before


async def test_a_hundred_thousand_characters() -> None:
    app = StreamApp(LyricStream())
    async with app.run_test(size=(60, 20)) as pilot:
        entry = app.pane.begin("s")
        for _ in range(100_000):
            app.pane.write(entry, "中")
        rows = await shown(pilot)
        assert rows[0] == "中" * 29
        assert len(app.pane.text_of(entry)) == 100_000
        for _ in range(200):
            app.pane.write(entry, "文")
            app.pane.flush()
        assert (await shown(pilot))[-1].endswith("文" + CURSOR)


async def test_no_color() -> None:
    app = StreamApp(LyricStream())
    app.no_color = True
    from textual.filter import Monochrome

    app._filters.append(Monochrome())
    async with app.run_test(size=(40, 8)) as pilot:
        entry = app.pane.begin("s", "p")
        app.pane.write(entry, "text\n\n")
        app.pane.end(entry, "stopped")
        assert (await shown(pilot))[:4] == ["▸ s", "ptext", "◂ stopped", ""]


def pieces(source: random.Random) -> Iterator[str]:
    while True:
        yield "".join(source.choices("ab中文， \n\u0301👍\x1b", k=source.randint(1, 30)))


@pytest.mark.parametrize("seed", range(4))
async def test_the_terminal_never_shows_anything_stale(seed: int) -> None:
    """Random writes, scrolls and sizes: after each, `shown` compares with the screen drawn anew."""
    source = random.Random(seed)
    texts = pieces(source)
    app = StreamApp(LyricStream(max_entries=4))
    async with app.run_test(size=(30, 12)) as pilot:
        pane = app.pane
        pane.focus()
        entries = [pane.begin("first")]
        for _ in range(50):
            match source.randint(0, 9):
                case 0:
                    entries.append(pane.begin(f"step {len(entries)}", next(texts)))
                case 1:
                    pane.end(source.choice(entries), source.choice(["", "stopped"]))
                case 2:
                    keys = ["pageup", "pagedown", "home", "end", "up", "down"]
                    await pilot.press(source.choice(keys))
                case 3:
                    await pilot.resize_terminal(source.randint(8, 40), source.randint(4, 16))
                case _:
                    pane.write(source.choice(entries[-3:]), next(texts))
            await shown(pilot)


def test_a_pane_brings_neither_the_engine_nor_torch() -> None:
    code = (
        "import sys, tui.panes.lyric_stream;"
        "sys.exit(any(m.split('.')[0] in ('engine', 'torch') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
