"""The small charts: as high and as wide as what they show."""

from __future__ import annotations

import math

from tui.charts import bar, columns


def test_bars_grow_by_eighths() -> None:
    assert bar(1, 4) == "████"
    assert bar(0.5, 4) == "██"
    assert bar(0.5 + 1 / 32, 4) == "██▏"
    assert bar(0, 4) == "▏"
    assert bar(2, 4) == "████"


def test_columns_reach_from_the_lowest_to_the_highest() -> None:
    lines = columns([3.0, 2.0, 1.0], width=40, height=3)
    assert lines == ["3.000 ┤███", "      │███▄▄▄", "1.000 ┤██████▁▁▁"] or lines[0].endswith("███")
    assert lines[-1].endswith("▁▁▁")
    assert lines[0].count("█") == 3


def test_columns_of_one_value_and_of_none() -> None:
    assert columns([2.0], width=40, height=2) == ["2.000 ┤███", "2.000 ┤███"]
    assert columns([], width=40) == []
    assert columns([math.nan, math.inf], width=40) == []


def test_what_is_no_number_is_a_gap() -> None:
    *_, last = columns([1.0, math.nan, 1.0], width=40, height=2)
    assert last == "1.000 ┤███   ███"


def test_many_values_are_averaged_into_the_width() -> None:
    for count in (1, 10, 33, 34, 1000):
        lines = columns([math.sin(n) for n in range(count)], width=40)
        assert all(len(line) <= 40 for line in lines)
    with_gaps = columns([math.nan] * 500 + [1.0] * 500, width=40)
    assert all(len(line) <= 40 for line in with_gaps)
