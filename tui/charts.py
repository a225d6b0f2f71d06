"""Small charts of block characters for the command line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tui import display

_EIGHTHS_UP = " ▁▂▃▄▅▆▇█"
_EIGHTHS_RIGHT = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█")


def bar(share: float, cells: int) -> str:
    """A bar of `share` (0 to 1) of so many cells, to an eighth of a cell; never quite nothing."""
    whole, eighth = divmod(max(1, round(min(1.0, share) * cells * 8)), 8)
    return "█" * whole + _EIGHTHS_RIGHT[eighth]


def columns(values: Sequence[float], width: int, height: int = 6) -> list[str]:
    """One column for each value, its top line labelled with the highest and its bottom line with
    the lowest; the columns become wider where there is room for it, and values are averaged
    where there are too many. What is not a finite number is a gap."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return []
    low, high = min(finite), max(finite)
    labels = [display.loss(high), *[""] * (height - 2), display.loss(low)]
    gutter = max(map(len, labels))
    room = max(1, width - gutter - 2)
    values = _averaged(values, room)
    each = max(1, min(3, room // len(values)))
    lines = []
    for row, label in enumerate(labels):
        cells = "".join(_cell(value, low, high, height, row) * each for value in values)
        lines.append(f"{label:>{gutter}} {'┤' if label else '│'}{cells}".rstrip())
    return lines


def histogram(counts: Sequence[int], width: int = 72, height: int = 5) -> list[str]:
    """One column for each count, wider where there is room, over a line that numbers them from
    1; the top line is labelled with the highest. What is not 0 has its eighth."""
    most = max(counts)
    gutter = len(display.count(most))
    each = 2 if gutter + 2 + 2 * len(counts) <= width else 1
    lines = []
    for row in range(height):
        label = display.count(most) if row == 0 else ""
        cells = "".join(
            (_cell(count, 0, most, height, row) if count else " ") * each for count in counts
        )
        lines.append(f"{label:>{gutter}} {'┤' if label else '│'}{cells}".rstrip())
    numbers = "".join(
        f"{number:<{5 * each}}" for number in range(1, len(counts) + 1) if number % 5 == 1
    )
    return [*lines, f"{'':{gutter}} └{numbers}".rstrip()]


def _cell(value: float, low: float, high: float, height: int, row: int) -> str:
    """What a column shows in a row, counted from the top: the lowest value still has its eighth."""
    if not math.isfinite(value):
        return " "
    share = (value - low) / (high - low) if high > low else 1.0
    eighths = 1 + round(share * (height * 8 - 1))
    return _EIGHTHS_UP[max(0, min(8, eighths - 8 * (height - 1 - row)))]


def _averaged(values: Sequence[float], most: int) -> list[float]:
    """At most so many values, each the mean of its neighbours that are finite."""
    if len(values) <= most:
        return list(values)
    bounds = [index * len(values) // most for index in range(most + 1)]
    means = []
    for start, end in itertools.pairwise(bounds):
        finite = [value for value in values[start:end] if math.isfinite(value)]
        means.append(sum(finite) / len(finite) if finite else math.nan)
    return means
