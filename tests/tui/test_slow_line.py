"""The narrow update shows what Textual's own shows, in fewer bytes."""

import io

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from tui.slow_line import NarrowUpdate, whole_characters

WIDTH, HEIGHT = 24, 3
line = st.text(alphabet="ab 中海·⠿", max_size=WIDTH // 2)


def strip_of(text: str) -> Strip:
    return Strip([Segment(text)]).adjust_cell_length(WIDTH)


def shown(before: list[str], update: ChopsUpdate) -> list[str]:
    """What a terminal shows after the lines before and then the update."""
    screen = pyte.Screen(WIDTH, HEIGHT)
    stream = pyte.Stream(screen)
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=True)
    for y, text in enumerate(before):
        stream.feed(f"\x1b[{y + 1};1H{strip_of(text).text}")
    stream.feed(update.render_segments(console))
    return list(screen.display)


@given(
    st.lists(line, min_size=HEIGHT, max_size=HEIGHT),
    st.integers(0, HEIGHT - 1),
    line,
)
def test_the_screen_is_as_after_a_full_line(before: list[str], row: int, after: str) -> None:
    old, new = strip_of(before[row]).text, strip_of(after).text
    lines = [strip_of(text) for text in before]
    lines[row] = strip_of(after)
    chops = [{0: strip} for strip in lines]
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    cells = Strip([Segment(new[:start])]).cell_length
    update = NarrowUpdate(chops, [(row, cells, WIDTH)], [[WIDTH]] * HEIGHT)
    expected = [strip_of(text).text.rstrip() for text in before]
    expected[row] = new.rstrip()
    assert [text.rstrip() for text in shown(before, update)] == expected


@pytest.mark.parametrize(
    ("start", "end", "whole"),
    [(0, 2, (0, 2)), (1, 2, (0, 2)), (2, 3, (2, 3)), (3, 4, (3, 5)), (4, 5, (3, 5))],
)
def test_wide_characters_stay_whole(start: int, end: int, whole: tuple[int, int]) -> None:
    assert whole_characters(Strip([Segment("中a海b")]), start, end) == whole


def test_a_change_at_the_right_costs_few_bytes() -> None:
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=True)
    arguments = ([{0: strip_of("x" * WIDTH)}], [(0, WIDTH - 1, WIDTH)], [[WIDTH]])
    narrow = NarrowUpdate(*arguments).render_segments(console)
    assert narrow.count("x") == 1
