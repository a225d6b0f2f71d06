"""The inspector shows its rows, finds any character, and obeys nothing that the data holds."""

from __future__ import annotations

import random
import subprocess
import sys
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.filter import Monochrome
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tui.panes import inspector
from tui.panes.inspector import TABS, Entries, FlowRow, Inspector, TensorRow, bar, percent

HOSTILE = ["\x1b", "[", "]", "\\", "\n", "\t", "\r", "\x9b", "\x7f", "\u202e", "\u2066", "\u0301"]
HOSTILE += ["\u200b", "\ufeff", " ", "\u3000", "\xa0", "\u0e31", "👍", "/", "\U0010ffff"]

SIZES = [(60, 30), (48, 20), (40, 8)]
each_size = pytest.mark.parametrize("size", SIZES)


def vocabulary(characters: list[str]) -> list[tuple[int, str, int]]:
    """Rows with <unk> first, the commonest next, as an engine gives them."""
    counts = [0, *(1_000_000 // (rank + 1) for rank in range(len(characters)))]
    return [(n, c, k) for n, (c, k) in enumerate(zip(["<unk>", *characters], counts, strict=True))]


SOME = vocabulary(["\n", "，", "海", "a", "7", " "])
CHINESE = vocabulary([chr(0x6000 + n) for n in range(6088)])  # 6,089 with <unk>
STACKED = "all three stacked: reset, update, new"
TENSORS = [
    TensorRow(
        "embedding.weight", "one row a character", "(V, E)", "(6089, 64)", 389_696, 1_558_784
    ),
    TensorRow(
        *("layers.0.weight_ih_l0", f"input to gates, {STACKED}", "(3H, E)", "(1152, 64)"),
        *(73_728, 294_912),
    ),
    TensorRow("output.bias", "bias of the logits", "(V)", "(6089)", 6_089, 24_356),
]
FLOW = [
    FlowRow("ids", "", "(B, T)", "(32, 64)"),
    FlowRow("input rows", "each id picks its row", "(B, T, E)", "(32, 64, 64)"),
    FlowRow("layer 1 output", "gru, character by character", "(B, T, D·H)", "(32, 64, 384)"),
    FlowRow("final state h", "the last step", "(L·D, B, H)", "(1, 32, 384)", branch=True),
    FlowRow("logits", "output weights", "(B, T, V)", "(32, 64, 6089)"),
    FlowRow("loss", "cross-entropy", "()", "()"),
]
LETTERS = [("B", "batch", 32), ("T", "time", 64), ("V", "vocabulary", 6089), ("H", "hidden", 384)]


# Finding, without a screen


def found(rows: list[tuple[int, str, int]], query: str) -> list[str]:
    return [rows[position][1] for position in Entries(rows).find(query)]


@pytest.mark.parametrize(
    ("query", "characters"),
    [
        ("", [row[1] for row in SOME]),
        ("海", ["海"]),
        ("U+6D77", ["海"]),
        ("u+6d77 ", ["海"]),
        ("U+61", ["a"]),
        ("3", ["海"]),
        ("7", ["7"]),  # the character; there is no id 7
        ("5", ["7"]),
        ("0", ["<unk>"]),
        ("0003", ["海"]),
        ("12", []),
        ("<unk>", ["<unk>"]),
        (" ", [" "]),
        ("␠", [" "]),
        ("⏎", ["\n"]),
        ("\n", ["\n"]),
        ("a海", ["海", "a"]),  # in the vocabulary's order
        ("海海", ["海"]),
        ("大海", ["海"]),
        ("大", []),
        ("A", []),
        ("U+110000", []),
        ("U+4E2D", []),
        ("U+", []),
        ("²", []),
        pytest.param("9" * 6000, [], id="long"),
    ],
)
def test_what_a_query_means(query: str, characters: list[str]) -> None:
    assert found(SOME, query) == characters


def test_a_digit_is_a_character_and_an_id() -> None:
    rows = vocabulary(["a", "1", "2"])
    assert found(rows, "1") == ["a", "1"]
    assert found(rows, "2") == ["1", "2"]


def test_every_entry_is_found_by_all_its_names() -> None:
    rows = vocabulary(list(dict.fromkeys([*HOSTILE, *"abc中文", *(row[1] for row in CHINESE[1:])])))
    entries = Entries(rows)
    for number, character, _ in rows[1:]:
        assert number in entries.find(character)
        assert number in entries.find(str(number))
        assert entries.find(f"U+{ord(character):04X}") == [number]


@given(st.text(st.characters(exclude_categories=())))
def test_any_query_has_an_answer(query: str) -> None:
    assert set(Entries(SOME).find(query)) <= set(range(len(SOME)))


def test_shares_and_bars() -> None:
    shares = [percent(part, 100_000) for part in (0, 1, 4, 5, 12_345, 100_000)]
    assert shares == ["0.00%", "<0.01%", "<0.01%", "0.01%", "12.35%", "100.00%"]
    assert percent(3, 0) == "–"
    assert [bar(share, 4) for share in (0, 1e-9, 0.25, 0.5 + 1 / 32, 1)] == [
        *("", "▏", "█", "██▏", "████"),
    ]
    assert bar(1, 0) == ""


# On the screen


class InspectorApp(App[None]):
    """One inspector; the bytes that would go to the terminal are counted."""

    def __init__(self, pane: Inspector) -> None:
        super().__init__()
        self.pane = pane
        self.written = 0

    def compose(self) -> ComposeResult:
        yield self.pane

    def _display(self, screen: object, renderable: object) -> None:
        if renderable is not None:
            data = renderable.render_segments(self.console)  # type: ignore[attr-defined]
            self.written += len(data.encode())
        super()._display(screen, renderable)  # type: ignore[arg-type]


async def shown(pilot: Pilot[None]) -> list[str]:
    """The rows on the screen below the tabs, without the scrollbar."""
    await pilot.pause()
    strips = pilot.app.screen._compositor.render_strips()
    width = pilot.app.size.width
    assert all(strip.cell_length == width for strip in strips)
    return [strip.crop(0, width - 1).text.rstrip() for strip in strips][1:]


def show_all(pane: Inspector, rows: list[tuple[int, str, int]]) -> None:
    pane.show_vocabulary(rows, sum(count for _, _, count in rows))
    pane.show_tensors(TENSORS)
    pane.show_flow(FLOW, LETTERS)


async def filled(pilot: Pilot[None], rows: list[tuple[int, str, int]] = SOME) -> Inspector:
    pane = pilot.app.query_one(Inspector)
    show_all(pane, rows)
    pane.focus()
    await pilot.pause()
    return pane


@each_size
async def test_the_vocabulary(size: tuple[int, int]) -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=size) as pilot:
        await filled(pilot)
        rows = await shown(pilot)
        assert rows[0].split() == ["character", "id", "count", "share"]
        assert rows[1].split() == ["<unk>", "0", "0", "0.00%"]
        assert rows[2].split()[:4] == ["⏎", "1", "1,000,000", "40.82%"]
        assert rows[3].split()[:4] == ["，", "2", "500,000", "20.41%"]
        assert rows[4].split()[:4] == ["海", "3", "333,333", "13.61%"]
        assert rows[-1] == "7 entries, 2,449,999 characters"
        assert len({cell_len(row[: row.index("%")]) for row in rows[1:5]}) == 1
        if size[0] >= 48:
            bars = [row[row.index("%") + 1 :].strip() for row in rows[2:5]]
            assert bars[0] == "█" * len(bars[0])
            assert len(bars[0]) > len(bars[1]) > len(bars[2]) > 0


@each_size
async def test_searching(size: tuple[int, int]) -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=size) as pilot:
        pane = await filled(pilot, CHINESE)
        everything = await shown(pilot)
        await pilot.press("pagedown", "pagedown")
        sea = CHINESE[ord("海") - 0x6000 + 1]

        await pilot.press("slash")
        search = app.query_one(Input)
        assert search.has_focus
        assert search.cursor_blink is False
        await pilot.press("海")
        rows = await shown(pilot)
        assert rows[0].startswith("/ 海")
        assert rows[2].split()[:2] == ["海", str(sea[0])]
        assert rows[-1] == "1 of 6,089 entries"

        for query in (str(sea[0]), "U+6D77"):
            await pilot.press("ctrl+u", *query)
            rows = await shown(pilot)
            assert rows[2].split()[:2] == ["海", str(sea[0])]
            assert rows[3] == ""

        await pilot.press("ctrl+u", "x")
        rows = await shown(pilot)
        assert rows[2] == ""
        assert rows[-1] == "none of 6,089 entries is x"

        await pilot.press("escape")
        assert await shown(pilot) == everything
        assert app.focused is pane


async def test_the_filter_stays_until_escape() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(60, 20)) as pilot:
        pane = await filled(pilot)
        await pilot.press("slash", *"海a/", "enter")
        assert app.focused is pane
        rows = await shown(pilot)
        assert rows[0].startswith("/ 海a/")
        assert [row.split()[0] for row in rows[2:4]] == ["海", "a"]
        await pilot.press("right")
        assert not any(row.startswith("/") for row in await shown(pilot))
        await pilot.press("left")
        assert await shown(pilot) == rows
        await pilot.press("slash", "7")
        assert (await shown(pilot))[0].startswith("/ 海a/7")
        # Another vocabulary is searched at once for the same.
        pane.show_vocabulary(vocabulary(["x", "7"]), 1)
        assert (await shown(pilot))[2].split()[0] == "7"
        await pilot.press("enter", "escape")
        assert (await shown(pilot))[0].startswith("character")
        assert app.focused is pane
        await pilot.press("escape")  # nothing to end: for others to use


async def test_searching_from_another_tab_and_leaving_by_one() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(60, 20)) as pilot:
        pane = await filled(pilot)
        pane.show_tab("shapes")
        pane.search()
        await pilot.press("海")
        assert pane.tab == "vocabulary"
        assert (await shown(pilot))[-1] == "1 of 7 entries"
        pane.show_tab("tensors")
        await pilot.pause()
        assert app.focused is pane
        pane.end_search()
        pane.show_tab("vocabulary")
        assert (await shown(pilot))[0].startswith("character")


async def test_there_is_nothing_to_search_yet() -> None:
    app = InspectorApp(Inspector("nothing yet"))
    async with app.run_test(size=(60, 20)) as pilot:
        app.pane.search()
        rows = await shown(pilot)
        assert not isinstance(app.focused, Input)
        assert [row.strip() for row in rows if row] == ["nothing yet"]


@pytest.mark.parametrize(
    ("pasted", "shown_as", "count"),
    [
        ("\x1b", "␛", 1),
        ("\n", "⏎", 1),
        ("\u202e", "‹U+202E›", 1),
        ("a海\n", "a海", 2),
        ("海\x1b[2J", "海␛[2J", 2),
        ("[/b]a", "[/b]a", 1),
    ],
)
async def test_pasting(pasted: str, shown_as: str, count: int) -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(60, 12)) as pilot:
        rows = vocabulary(["\n", "海", "a", "\x1b", "\u202e"])
        await filled(pilot, rows)
        await pilot.press("slash")
        app.query_one(Input).post_message(Paste(pasted))
        screen = await shown(pilot)
        assert screen[0] == f"/ {shown_as}"
        assert screen[-1] == f"{count} of 6 entries"
        app.query_one(Input).post_message(Paste("字" * 100_000))
        await pilot.pause()
        assert len(app.query_one(Input).value) < 1000


@each_size
async def test_hostile_characters_are_literal_everywhere(size: tuple[int, int]) -> None:
    app = InspectorApp(Inspector("[red]\x1b[2J[/] \u202ex"))
    text = "[/b]\x1b[2J\u202e\n\u0301[red]"
    async with app.run_test(size=size) as pilot:
        pane = app.pane
        screens = ["\n".join(await shown(pilot))]
        assert "[red]␛[2J[/] ‹U+202E›x" in screens[0]
        rows = vocabulary(HOSTILE)
        pane.show_vocabulary(rows, 10)
        pane.show_tensors([TensorRow(text, text, text, text, 1, 4)])
        pane.show_flow(
            [FlowRow(text, text, text, text), FlowRow(text, text, text, text, True)],
            [(text, text, 1)],
        )
        pane.focus()
        for tab in TABS:
            pane.show_tab(tab)
            for _ in range(8):
                screens.append("\n".join(await shown(pilot)))
                await pilot.press("pagedown")
        pane.search()
        await pilot.press("[", "/", "b", "]")
        screens.append("\n".join(await shown(pilot)))
        everything = "\n".join(screens)
        for character in everything:
            assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        names = {line.split()[0] for line in everything.splitlines() if line.split()}
        expected = {"␛", "[", "]", "\\", "⏎", "␉", "␍", "‹9B›", "␡", "‹U+202E›", "◌\u0301", "␠"}
        assert expected | {"‹U+3000›", "‹U+10FFFF›", "👍", "<unk>"} <= names
        assert "[/b]␛[2J‹U+202E›␊" in everything.replace("\n  ", "")


async def test_six_thousand_rows_are_reached_by_key() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(48, 20)) as pilot:
        await filled(pilot, CHINESE)
        first = await shown(pilot)
        assert [row.split()[1] for row in first[1:-1]] == [str(n) for n in range(17)]
        await pilot.press("down")
        assert (await shown(pilot))[1].split()[:2] == ["怀", "1"]
        await pilot.press("pagedown")  # no row is skipped
        assert (await shown(pilot))[1].split()[1] == "18"
        await pilot.press("pageup", "up", "up")
        assert await shown(pilot) == first
        await pilot.press("end")
        last = await shown(pilot)
        assert [row.split()[1] for row in last[1:-1]] == [str(n) for n in range(6072, 6089)]
        assert last[-1].startswith("6,089 entries")
        await pilot.press("home")
        assert await shown(pilot) == first


async def test_only_rows_in_view_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    original = inspector.VocabularyPage._row

    def counting(page: inspector.VocabularyPage, index: int) -> inspector.Line:
        nonlocal made
        made += 1
        return original(page, index)

    monkeypatch.setattr(inspector.VocabularyPage, "_row", counting)
    app = InspectorApp(Inspector())
    async with app.run_test(size=(48, 20)) as pilot:
        await filled(pilot, CHINESE)
        await pilot.press("slash", "海")
        await pilot.pause()
        assert 0 < made < 200


@each_size
async def test_the_tensors(size: tuple[int, int]) -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=size) as pilot:
        pane = await filled(pilot)
        pane.show_tab("tensors")
        rows = await shown(pilot)
        text = " ".join(" ".join(rows).split())
        if size[0] > 40:
            assert text.startswith(
                "embedding.weight (V, E) (6089, 64) one row a character 389,696 "
            )
        else:  # the shapes have a line of their own, with room beside them
            assert rows[1].split()[-3:] == ["389,696", "1.6", "MB"]
            assert rows[2] == "  one row a character"
        assert "1.6 MB" in text
        assert "layers.0.weight_ih_l0 (3H, E) (1152, 64)" in text
        assert rows[-1].split() == ["3", "tensors", "469,513", "1.9", "MB"]
        await pilot.press("end")
        rows = await shown(pilot)
        text = " ".join(" ".join(rows).split())
        numbers, meaning = "6,089 24.4 kB", "bias of the logits"
        last = [meaning, numbers] if size[0] > 40 else [numbers, meaning]
        assert " ".join(["output.bias (V) (6089)", *last]) in text
        assert "73,728 294.9 kB" in text
        assert rows[-1].startswith("3 tensors")


async def test_long_names_get_a_line_of_their_own() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(40, 20)) as pilot:
        long = replace(TENSORS[1], name="layers.10.weight_ih_l0_reverse", shape="(32768, 16384)")
        app.pane.show_tensors([long])
        app.pane.show_tab("tensors")
        rows = await shown(pilot)
        assert rows[0] == long.name
        assert rows[1].split() == ["(3H,", "E)", "(32768,", "16384)"]
        text = " ".join(" ".join(rows).split())
        assert f"{long.meaning} 73,728 294.9 kB" in text
        app.pane.show_tensors([replace(long, name="", meaning="")])
        assert "73,728" in " ".join(await shown(pilot))


async def test_the_shapes() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(60, 30)) as pilot:
        pane = await filled(pilot)
        pane.show_tab("shapes")
        rows = [" ".join(row.split()) for row in await shown(pilot)]
        assert rows[:13] == [
            "ids (B, T) (32, 64)",
            "↓ each id picks its row",
            "input rows (B, T, E) (32, 64, 64)",
            "↓ gru, character by character",
            "layer 1 output (B, T, D·H) (32, 64, 384)",
            "├▸ final state h (L·D, B, H) (1, 32, 384)",
            "↓ output weights",
            "logits (B, T, V) (32, 64, 6089)",
            "↓ cross-entropy",
            "loss () ()",
            "",
            "B batch 32 T time 64",
            "V vocabulary 6,089 H hidden 384",
        ]
        pane.show_flow(FLOW[:1])
        assert [row for row in await shown(pilot) if row] == [(await shown(pilot))[0]]


async def test_the_shapes_on_a_small_screen() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(40, 8)) as pilot:
        pane = await filled(pilot)
        pane.show_tab("shapes")
        rows = [" ".join(row.split()) for row in await shown(pilot)]
        assert rows[:3] == ["ids", "(B, T) (32, 64)", "↓ each id picks its row"]
        seen = list(rows)
        for _ in range(5):
            await pilot.press("pagedown")
            seen += [" ".join(row.split()) for row in await shown(pilot)]
        assert "├▸ final state h" in seen
        assert "H hidden 384" in seen[-1]


async def test_tabs() -> None:
    app = InspectorApp(Inspector("nothing yet"))
    async with app.run_test(size=(60, 20)) as pilot:
        pane = await filled(pilot, CHINESE)

        def active() -> list[str]:
            """Told without any colour: bold and underlined."""
            tabs = app.query(Static).filter(".inspector--tab")
            return [
                str(tab.content)
                for tab in tabs
                if tab.rich_style.bold and tab.rich_style.underline and tab.display
            ]

        assert TABS == ("vocabulary", "tensors", "shapes")
        firsts = {"vocabulary": "character", "tensors": "embedding.weight", "shapes": "ids"}
        await pilot.press("down")
        order = []
        for key in ("right", "right", "right", "left", "left"):
            await pilot.press(key)
            order.append(pane.tab)
            assert active() == [pane.tab]
            assert (await shown(pilot))[0].split()[0] == firsts[pane.tab]
        assert order == ["tensors", "shapes", "vocabulary", "shapes", "tensors"]
        pane.next_tab()
        assert pane.tab == "shapes"
        assert await pilot.click("#inspector-tab-vocabulary")
        assert pane.tab == "vocabulary"
        assert (await shown(pilot))[1].split()[1] == "1", "each tab keeps its place"
        with pytest.raises(ValueError, match="no tab is called 'weights'"):
            pane.show_tab("weights")


async def test_clear_and_what_comes_one_by_one() -> None:
    app = InspectorApp(Inspector("nothing yet"))
    async with app.run_test(size=(60, 20)) as pilot:
        pane = app.pane
        assert [row.strip() for row in await shown(pilot) if row] == ["nothing yet"]
        await filled(pilot, CHINESE)
        await pilot.press("end", "slash", "海")
        sentence = "There is no network yet: press space, and one is trained on your own songs."
        pane.clear(sentence)
        for tab in TABS:
            pane.show_tab(tab)
            rows = [row.strip() for row in await shown(pilot) if row]
            assert " ".join(rows) == sentence
            assert len(rows) == 2
        assert app.focused is pane
        pane.show_tensors(TENSORS)
        pane.show_tab("tensors")
        assert (await shown(pilot))[0].startswith("embedding.weight")
        pane.show_tab("vocabulary")
        assert "".join(await shown(pilot)).strip().startswith("There is no network")
        pane.show_vocabulary(SOME, 10)
        assert (await shown(pilot))[1].startswith("<unk>")


async def test_what_is_shown_before_there_is_a_screen() -> None:
    pane = Inspector()
    pane.show_vocabulary(SOME, 10)
    pane.show_tensors(TENSORS)
    pane.show_flow(FLOW)
    pane.show_tab("shapes")
    app = InspectorApp(pane)
    async with app.run_test(size=(60, 20)) as pilot:
        assert (await shown(pilot))[0].startswith("ids")
        pane.show_tab("vocabulary")
        assert (await shown(pilot))[1].startswith("<unk>")


async def test_nothing_is_written_when_nothing_changes() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(60, 20)) as pilot:
        pane = await filled(pilot, CHINESE)
        await pilot.press("slash", "海")
        await pilot.pause()
        for tab in TABS:
            pane.show_tab(tab)
            await pilot.pause()
            app.written = 0
            show_all(pane, list(CHINESE))
            pane.show_tab(tab)
            await pilot.pause()
            assert app.written == 0, tab
        pane.search()
        await pilot.pause()
        assert app.query_one(Input).has_focus
        for widget in app.query("*"):
            assert not any(timer._active.is_set() for timer in widget._timers), widget
        pane.clear("gone")
        await pilot.pause()
        app.written = 0
        pane.clear("gone")
        await pilot.pause()
        assert app.written == 0


async def test_new_counts_keep_the_place() -> None:
    app = InspectorApp(Inspector())
    async with app.run_test(size=(48, 20)) as pilot:
        pane = await filled(pilot, CHINESE)
        await pilot.press("pagedown")
        before = await shown(pilot)
        pane.show_vocabulary([(n, c, k + 1) for n, c, k in CHINESE], 10**9)
        after = await shown(pilot)
        assert [row.split()[:2] for row in after[1:-1]] == [row.split()[:2] for row in before[1:-1]]
        assert after != before
        pane.show_vocabulary(SOME, 10)  # shorter than the place
        assert (await shown(pilot))[1].startswith("<unk>")


async def test_no_color() -> None:
    app = InspectorApp(Inspector())
    app._filters.append(Monochrome())
    async with app.run_test(size=(60, 20)) as pilot:
        await filled(pilot)
        styles = {
            segment.text.strip(): segment.style
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None
        }
        assert styles["vocabulary"].bold
        assert styles["vocabulary"].underline
        assert not styles["tensors"].bold


@pytest.mark.parametrize("seed", range(2))
async def test_no_size_breaks_it(seed: int) -> None:
    """Random sizes, tabs, data and keys: every row stays exactly as wide as the screen."""
    source = random.Random(seed)
    app = InspectorApp(Inspector("nothing yet"))
    async with app.run_test(size=(60, 20)) as pilot:
        pane = app.pane
        pane.focus()
        for _ in range(60):
            match source.randint(0, 6):
                case 0:
                    pane.show_vocabulary(source.choice([SOME, CHINESE, vocabulary(HOSTILE), []]), 9)
                case 1:
                    pane.show_tensors(TENSORS[: source.randint(0, 3)])
                case 2:
                    pane.show_flow(FLOW[: source.randint(0, 6)], LETTERS[: source.randint(0, 4)])
                case 3:
                    await pilot.resize_terminal(source.randint(1, 70), source.randint(1, 40))
                case 4:
                    pane.show_tab(source.choice(TABS))
                case 5:
                    await pilot.press(source.choice(["slash", "escape", "海", "1", "enter", "["]))
                case _:
                    keys = ["pageup", "pagedown", "home", "end", "up", "down", "left", "right"]
                    await pilot.press(source.choice(keys))
            await shown(pilot)


def test_a_pane_brings_neither_the_engine_nor_torch() -> None:
    code = (
        "import sys, tui.panes.inspector;"
        "sys.exit(any(m.split('.')[0] in ('engine', 'torch') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
