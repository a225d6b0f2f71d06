"""A canvas of braille dots, two wide and four high in a cell, that can say which cells changed.

Dots lie in layers, numbered from the bottom. A cell shows its topmost layer alone, not the union:
a thin line over a cloud of dots keeps its shape, with a quiet edge around it.
"""

from __future__ import annotations

from typing import NamedTuple

DOTS_WIDE, DOTS_HIGH = 2, 4
BRAILLE = 0x2800
# The bit of each dot in Unicode's braille block, by [row][column] in the cell. The lowest row was
# added to the six-dot alphabet later, so its bits come last.
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Cell(NamedTuple):
    """What one cell of the screen shows, and the layer whose style it takes (None: blank)."""

    character: str
    layer: int | None


class Run(NamedTuple):
    """Neighbouring cells in one row."""

    row: int
    column: int
    width: int


BLANK = Cell(" ", None)


class Canvas:
    """`columns` × `rows` cells; dots are addressed by x to the right and y downwards from (0, 0).

    Whatever falls outside is left out without complaint.
    """

    def __init__(self, columns: int, rows: int, layers: int) -> None:
        self.columns, self.rows = columns, rows
        self.width, self.height = columns * DOTS_WIDE, rows * DOTS_HIGH
        cells = columns * rows
        self._dots = [[0] * cells for _ in range(layers)]
        self._characters: list[dict[int, str]] = [{} for _ in range(layers)]
        self._touched: set[int] = set()
        self._reported = [BLANK] * cells

    def dot(self, layer: int, x: int, y: int) -> None:
        """Set one dot."""
        if 0 <= x < self.width and 0 <= y < self.height:
            index = y // DOTS_HIGH * self.columns + x // DOTS_WIDE
            self._dots[layer][index] |= BITS[y % DOTS_HIGH][x % DOTS_WIDE]
            self._touched.add(index)

    def column(self, layer: int, x: int, y0: int, y1: int) -> None:
        """Set the dots of one column from y0 to y1, both included, in either order."""
        for y in range(max(0, min(y0, y1)), min(self.height - 1, max(y0, y1)) + 1):
            self.dot(layer, x, y)

    def line(self, layer: int, x0: int, y0: int, x1: int, y1: int) -> None:
        """Join two dots.

        Each column takes the climb from its neighbour's height to its own. So the column x0 holds
        nothing but its one dot, and a line can be taken back by erasing the columns after it.
        """
        if x0 == x1:
            self.column(layer, x0, y0, y1)
            return
        self.dot(layer, x0, y0)
        length, direction = abs(x1 - x0), 1 if x1 > x0 else -1
        before = y0
        for n in range(1, length + 1):
            y = y0 + round((y1 - y0) * n / length)
            start = before if y == before else before + (1 if y > before else -1)
            self.column(layer, x0 + n * direction, start, y)
            before = y

    def write(self, layer: int, x: int, y: int, character: str) -> None:
        """Put a character, one cell wide, in place of the dots of the cell that holds (x, y)."""
        if 0 <= x < self.width and 0 <= y < self.height:
            index = y // DOTS_HIGH * self.columns + x // DOTS_WIDE
            self._characters[layer][index] = character
            self._touched.add(index)

    def erase(self, layer: int, x0: int, x1: int) -> None:
        """Take the dots of a layer out of the columns x0 to x1, both included."""
        dots = self._dots[layer]
        for x in range(max(0, x0), min(self.width - 1, x1) + 1):
            column = sum(row[x % DOTS_WIDE] for row in BITS)
            for index in range(x // DOTS_WIDE, len(dots), self.columns):
                if dots[index] & column:
                    dots[index] &= ~column
                    self._touched.add(index)

    def clear(self) -> None:
        """Empty every layer. What comes back before `changes` is asked counts as unchanged."""
        for layer, characters in zip(self._dots, self._characters, strict=True):
            self._touched.update(index for index, bits in enumerate(layer) if bits)
            self._touched.update(characters)
            layer[:] = [0] * len(layer)
            characters.clear()

    def cell(self, column: int, row: int) -> Cell:
        """What a cell shows."""
        return self._cell(row * self.columns + column)

    def changes(self) -> list[Run]:
        """The cells that look different from when this was last asked, row by row."""
        runs: list[Run] = []
        for index in sorted(self._touched):
            cell = self._cell(index)
            if cell == self._reported[index]:
                continue
            self._reported[index] = cell
            row, column = divmod(index, self.columns)
            if runs and (row, column) == (runs[-1].row, runs[-1].column + runs[-1].width):
                runs[-1] = runs[-1]._replace(width=runs[-1].width + 1)
            else:
                runs.append(Run(row, column, 1))
        self._touched.clear()
        return runs

    def _cell(self, index: int) -> Cell:
        for layer in range(len(self._dots) - 1, -1, -1):
            if character := self._characters[layer].get(index):
                return Cell(character, layer)
            if bits := self._dots[layer][index]:
                return Cell(chr(BRAILLE + bits), layer)
        return BLANK
