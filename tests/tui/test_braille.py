"""The canvas of dots: where they land, what shows, and which cells it says have changed."""

from itertools import pairwise

import pytest

from tui.panes.braille import BLANK, Canvas, Cell, Run


def text(canvas: Canvas) -> list[str]:
    return [
        "".join(canvas.cell(column, row).character for column in range(canvas.columns))
        for row in range(canvas.rows)
    ]


def dots(canvas: Canvas) -> set[tuple[int, int]]:
    """The dots that show, found by lighting each alone on a second canvas."""
    found = set()
    for x in range(canvas.width):
        for y in range(canvas.height):
            alone = Canvas(canvas.columns, canvas.rows, 1)
            alone.dot(0, x, y)
            bit = ord(alone.cell(x // 2, y // 4).character) - 0x2800
            shown = canvas.cell(x // 2, y // 4).character
            if shown != " " and (ord(shown) - 0x2800) & bit:
                found.add((x, y))
    return found


@pytest.mark.parametrize(
    ("x", "y", "character"),
    [
        (0, 0, "⠁"),
        (0, 1, "⠂"),
        (0, 2, "⠄"),
        (0, 3, "⡀"),
        (1, 0, "⠈"),
        (1, 1, "⠐"),
        (1, 2, "⠠"),
        (1, 3, "⢀"),
    ],
)
def test_each_dot_of_a_cell_is_the_right_braille_dot(x: int, y: int, character: str) -> None:
    canvas = Canvas(3, 2, 1)
    canvas.dot(0, 2 + x, 4 + y)
    assert text(canvas) == ["   ", f" {character} "]


def test_dots_of_one_layer_join_in_a_cell() -> None:
    canvas = Canvas(1, 1, 1)
    canvas.dot(0, 0, 0)
    canvas.dot(0, 1, 3)
    assert canvas.cell(0, 0) == Cell("⢁", 0)


def test_what_falls_outside_is_left_out() -> None:
    canvas = Canvas(2, 2, 1)
    for x, y in ((-1, 0), (0, -1), (4, 0), (0, 8)):
        canvas.dot(0, x, y)
        canvas.write(0, x, y, "x")
    canvas.column(0, 9, -5, 20)
    canvas.erase(0, -5, 20)
    assert text(canvas) == ["  ", "  "]
    assert canvas.changes() == []
    canvas.column(0, 0, -5, 20)
    assert text(canvas) == ["⡇ ", "⡇ "]


def test_a_line_is_connected_and_holds_one_dot_in_its_first_column() -> None:
    for start, end in (((0, 0), (9, 15)), ((0, 15), (3, 0)), ((9, 2), (2, 13)), ((0, 7), (9, 7))):
        canvas = Canvas(5, 4, 1)
        canvas.line(0, *start, *end)
        drawn = dots(canvas)
        assert {start, end} <= drawn
        assert {y for x, y in drawn if x == start[0]} == {start[1]}
        columns = range(min(start[0], end[0]), max(start[0], end[0]) + 1)
        heights = [sorted(y for x, y in drawn if x == column) for column in columns]
        for column in heights:
            assert column == list(range(column[0], column[-1] + 1))
        for left, right in pairwise(heights):
            assert min(abs(a - b) for a in left for b in right) <= 1


def test_a_line_within_one_column_is_that_column() -> None:
    canvas = Canvas(1, 2, 1)
    canvas.line(0, 1, 6, 1, 1)
    assert dots(canvas) == {(1, y) for y in range(1, 7)}


def test_the_topmost_layer_shows_alone() -> None:
    canvas = Canvas(1, 1, 3)
    canvas.column(0, 0, 0, 3)
    canvas.dot(2, 1, 0)
    assert canvas.cell(0, 0) == Cell("⠈", 2)
    canvas.erase(2, 0, 1)
    assert canvas.cell(0, 0) == Cell("⡇", 0)


def test_a_character_takes_the_place_of_the_dots_below_it() -> None:
    canvas = Canvas(2, 1, 3)
    canvas.dot(0, 2, 0)
    canvas.write(1, 3, 3, "x")
    assert text(canvas) == [" x"]
    canvas.dot(2, 2, 0)
    assert canvas.cell(1, 0) == Cell("⠁", 2)


def test_erasing_leaves_other_columns_and_layers() -> None:
    canvas = Canvas(2, 1, 2)
    canvas.line(1, 0, 0, 3, 0)
    canvas.dot(0, 1, 3)
    canvas.erase(1, 1, 2)
    assert text(canvas) == ["⠁⠈"]
    canvas.erase(1, 0, 0)
    assert canvas.cell(0, 0) == Cell("⢀", 0)


def test_changes_are_runs_of_neighbouring_cells_and_are_told_once() -> None:
    canvas = Canvas(6, 2, 1)
    canvas.line(0, 2, 0, 7, 0)
    canvas.dot(0, 11, 0)
    canvas.dot(0, 0, 7)
    assert canvas.changes() == [Run(0, 1, 3), Run(0, 5, 1), Run(1, 0, 1)]
    assert canvas.changes() == []


def test_a_run_does_not_go_on_in_the_next_row() -> None:
    canvas = Canvas(2, 2, 1)
    canvas.dot(0, 3, 0)
    canvas.dot(0, 0, 4)
    assert canvas.changes() == [Run(0, 1, 1), Run(1, 0, 1)]


def test_what_looks_the_same_has_not_changed() -> None:
    canvas = Canvas(4, 1, 2)
    canvas.line(1, 0, 2, 7, 2)
    canvas.changes()
    canvas.dot(1, 3, 2)  # is there already
    canvas.dot(0, 3, 0)  # hidden by the layer above
    assert canvas.changes() == []
    canvas.erase(1, 4, 7)
    canvas.line(1, 3, 2, 7, 2)  # back again before anyone looked
    assert canvas.changes() == []


def test_clearing_and_drawing_again_tells_only_the_difference() -> None:
    canvas = Canvas(4, 1, 2)
    canvas.line(0, 0, 1, 7, 1)
    canvas.write(1, 0, 0, "x")
    canvas.changes()
    canvas.clear()
    canvas.line(0, 0, 1, 5, 1)
    assert canvas.changes() == [Run(0, 0, 1), Run(0, 3, 1)]
    assert canvas.cell(3, 0) == BLANK
