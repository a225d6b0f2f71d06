"""One table says what the keys do; the bar shows as much of it as there is room for."""

from __future__ import annotations

import inspect
from dataclasses import fields
from itertools import product

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.screen import Screen

from tui import keys
from tui.keys import LIBRARY, STUDIO, Situation
from tui.panes.key_bar import MOST_LINES, KeyBar
from tui.screens.help import Help
from tui.screens.library import Library
from tui.screens.studio import Studio

ALL_SITUATIONS = [
    Situation(*values) for values in product([False, True], repeat=len(fields(Situation)))
]
each_action = pytest.mark.parametrize(
    ("screen", "action"),
    [*((Studio, action) for action in STUDIO), *((Library, action) for action in LIBRARY)],
    ids=lambda value: getattr(value, "name", value.__name__ if isinstance(value, type) else ""),
)


@pytest.mark.parametrize("actions", [STUDIO, LIBRARY], ids=["Studio", "Library"])
def test_no_key_and_no_name_stands_twice(actions: tuple[keys.Action, ...]) -> None:
    pressed = [key for action in actions for key in action.key.split(",")]
    assert len(set(pressed)) == len(pressed)
    assert len({action.name for action in actions}) == len(actions)


@each_action
def test_an_action_has_a_method_and_a_sentence(screen: type[Screen], action: keys.Action) -> None:
    assert callable(getattr(screen, f"action_{action.name}"))
    assert action.help
    assert all(action.label_in(situation) for situation in ALL_SITUATIONS)


@each_action
def test_no_action_makes_the_app_wait(screen: type[Screen], action: keys.Action) -> None:
    """An action runs in the app's own loop: one that waits for the engine stops every key for as
    long as a training step takes. Leaving may."""
    method = getattr(screen, f"action_{action.name}")
    assert inspect.iscoroutinefunction(method) == (action.name == "leave")


@pytest.mark.parametrize(
    ("situation", "word"),
    [
        (Situation(), "train"),
        (Situation(resumable=True), "go on"),
        (Situation(training=True), "pause"),
        (Situation(training=True, paused=True), "go on"),
    ],
)
def test_what_space_does_now(situation: Situation, word: str) -> None:
    assert keys.bar(STUDIO, situation)[0] == ("space", word)


def test_the_bar_shows_what_can_be_done() -> None:
    for situation in ALL_SITUATIONS:
        shown = {key for key, _ in keys.bar(STUDIO, situation)}
        assert {"q", "F1", "p", "t", "space", "n", "c", "o"} <= shown
        assert ("x" in shown) == ("w" in shown) == situation.training
        assert ("g" in shown) == situation.network


# The bar


class BarApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.bar = KeyBar()

    def compose(self) -> ComposeResult:
        yield self.bar


LONGEST = Situation(training=True, network=True, writing=True)


def lines(bar: KeyBar) -> list[str]:
    return [bar.render_line(y).text.rstrip() for y in range(bar.size.height)]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
async def test_help_and_the_way_out_always_have_a_place(width: int) -> None:
    app = BarApp()
    async with app.run_test(size=(width, 5)) as pilot:
        app.bar.show(keys.bar(STUDIO, LONGEST))
        await pilot.pause()
        shown = lines(app.bar)
        assert 1 <= len(shown) <= MOST_LINES
        assert all(cell_len(line) <= width for line in shown)
        assert shown[-1].endswith("q quit  F1 help")
        assert shown[0].startswith("space pause  x stop")


async def test_all_keys_fit_on_eighty_columns() -> None:
    app = BarApp()
    async with app.run_test(size=(80, 5)) as pilot:
        app.bar.show(keys.bar(STUDIO, LONGEST))
        await pilot.pause()
        shown = "  ".join(lines(app.bar))
        for key, word in keys.bar(STUDIO, LONGEST):
            assert f"{key} {word}" in shown


async def test_a_word_with_brackets_is_no_markup() -> None:
    app = BarApp()
    async with app.run_test(size=(80, 5)) as pilot:
        app.bar.show([("[", "[bold]a[/"), ("q", "quit")])
        await pilot.pause()
        assert lines(app.bar) == ["[ [bold]a[/  q quit"]


async def test_it_lays_out_anew_for_another_width() -> None:
    app = BarApp()
    async with app.run_test(size=(40, 5)) as pilot:
        app.bar.show(keys.bar(STUDIO, LONGEST))
        await pilot.pause()
        narrow = lines(app.bar)
        await pilot.resize_terminal(200, 5)
        await pilot.pause()
        assert len(lines(app.bar)) == 1
        await pilot.resize_terminal(40, 5)
        await pilot.pause()
        assert lines(app.bar) == narrow


# The help


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (120, 60)])
async def test_the_help_shows_the_keys_of_every_screen_by_scrolling(size: tuple[int, int]) -> None:
    app: App[None] = App()
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        app.push_screen(Help())
        await pilot.pause()
        pages = [on_screen(app)]
        assert all(cell_len(line) <= size[0] for line in pages[0].splitlines())
        while len(pages) < 2 or pages[-1] != pages[-2]:
            await pilot.press("pagedown")
            await pilot.pause()
            pages.append(on_screen(app))
        words = " ".join(" ".join(pages).split())
        for title in ("Studio", "Library", "Everywhere", "escape goes back"):
            assert title in words
        for action in (*STUDIO, *LIBRARY):
            assert f"{action.shown} {action.help.split()[0]}" in words


def on_screen(app: App[None]) -> str:
    """What the terminal shows, without frames."""
    strips = app.screen._compositor.render_strips()
    rows = ("".join(segment.text for segment in strip) for strip in strips)
    return "\n".join(row.strip(" │╭╮╰╯─▁▂▃▄▅▆▇█") for row in rows)
