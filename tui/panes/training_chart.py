"""The training chart: how the loss falls, drawn so that a slow line carries it.

It takes values and knows nothing of the engine. A new point repaints the few cells that it changes;
the value axis moves at most once a second, and only when the data have left it or shrunk well
inside it; the time axis spans the planned total, so the curve grows instead of shifting. With no
new data nothing is written, and no timer runs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui.panes.braille import DOTS_HIGH, Canvas

MEMORY = 0.03  # of the moving average: about this share of the losses so far,
SHORTEST_MEMORY = 6  # but no fewer than this many
MOST_POINTS = 4096  # kept of one curve; a wide screen has some 600 columns of dots

SCALE_SECONDS = 1.0  # the value axis moves at most this often
LEGEND_SECONDS = 0.5  # and the figures in the legend change at most this often
MANY_POINTS = 60  # from here on the axis closes in on the data; until then it starts at zero
WARM_UP = 0.04  # share of the steps so far whose high losses don't count for the axis
SPIKES = 0.02  # share of the training losses that may lie above the axis, and below it
SHRINK = 0.7  # a tighter axis must save this much before it is worth a redraw

GRID_EVERY = 8  # dots between the dots of a grid line
SIGN_EVERY = 8  # and at least between two signs on the held-out curve
GUTTER = 6  # columns at the left: a number of five characters and a space
LONGEST_NUMBER = GUTTER - 1
LARGEST = 1e15  # values are drawn no larger; exp(nats) would overflow
SMALLEST = 1e-9  # and on a logarithmic axis no smaller


# ── Numbers ──────────────────────────────────────────────────────────────────────────────────────


class Metric(NamedTuple):
    """A way of stating a loss that is measured in nats per character."""

    unit: str
    title: str
    of: Callable[[float], float]


METRICS = {
    "loss": Metric("nats", "nats per character", lambda nats: nats),
    "perplexity": Metric("ppl", "perplexity", lambda nats: math.exp(min(nats, 50.0))),
    "bits": Metric("bits", "bits per character", lambda nats: nats / math.log(2)),
}


def figure(value: float, decimals: int = 3) -> str:
    """A number in at most five characters, with that many decimals where they fit."""
    if not math.isfinite(value):
        return str(value)
    for size, suffix in ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        for places in range(min(decimals, 3), -1, -1):
            if len(text := f"{value / size:.{places}f}{suffix}") <= LONGEST_NUMBER:
                return text
    return f"{value:.0e}"


def tick_figure(value: float) -> str:
    """A tick's number in at most five characters, with no more decimals than it has."""
    decimals = next(n for n in range(12) if n == 11 or math.isclose(round(value, n), value))
    if decimals > 3:
        short = f"{value:.{decimals}f}".replace("0.", ".", 1)
        return short if len(short) <= LONGEST_NUMBER else f"{value:.0e}"
    return figure(value, decimals)


def step_figure(step: int) -> str:
    """A number of steps: 950, 2,500, 12.5k, 3M."""
    if step < 10_000:
        return f"{step:,}"
    for size, suffix in ((1_000, "k"), (1_000_000, "M")):
        if step < 1000 * size:
            return f"{step / size:.1f}".removesuffix(".0") + suffix
    return f"{step / 1e9:.1f}G"


def ticks(low: float, high: float, most: int, *, log: bool) -> list[float]:
    """Two to `most` round numbers, of which the first is ≤ low and the last is ≥ high."""
    if log:
        low, high = max(low, SMALLEST), max(high, SMALLEST)
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-3, SMALLEST):  # all the same, or as good as
        margin = size * 0.1 if size > SMALLEST else 1.0
        low, high = max(low - margin, min(low, 0.0)), high + margin
    even = _even_ticks(low, high, most)
    if log and (even[0] <= 0 or high > 4 * low):
        return _log_ticks(max(low, SMALLEST), high, most)
    return even


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    power = math.floor(math.log10((high - low) / most))
    while True:
        for tenths in (10, 20, 25, 50):
            step = tenths * 10.0 ** (power - 1)
            first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
            if last - first < most:
                # Rounded, so that 3 × 0.1 is written as 0.3.
                return [round(n * step, max(0, 2 - power)) for n in range(first, last + 1)]
        power += 1


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    within = [(1, 2, 5), (1, 3)]  # in each decade; else every one, two, three… decades
    decades = (range(first, last + every, every) for every in count(1))
    for candidates in chain(
        (
            [digit * 10.0**n for n in range(first, last + 1) for digit in digits]
            for digits in within
        ),
        ([10.0**n for n in powers] for powers in decades),
    ):
        start = max(n for n, tick in enumerate(candidates) if tick <= low)
        end = min(n for n, tick in enumerate(candidates) if tick >= high)
        if end - start < most:
            return candidates[start : end + 1]
    raise AssertionError("the strides have no end")


def round_up(steps: int) -> int:
    """The next number of steps that reads well: 1, 2, 3, 4, 5, 6, 8 or 10 times a power of ten."""
    power = int(10.0 ** (len(str(steps)) - 1))
    return next(n * power for n in (1, 2, 3, 4, 5, 6, 8, 10) if n * power >= steps)


# ── One curve ────────────────────────────────────────────────────────────────────────────────────


class Point(NamedTuple):
    """One loss, or several neighbouring ones; in nats per character."""

    step: int  # of the last one
    low: float  # the finite losses' bounds; low > high when there are none
    high: float
    line: float  # where the curve runs, NaN where it has a gap
    broken: bool  # a loss was NaN or infinite

    def joined(self, later: Point) -> Point:
        """This and a later one, as one."""
        return Point(
            later.step,
            min(self.low, later.low),
            max(self.high, later.high),
            self.line if math.isnan(later.line) else later.line,
            self.broken or later.broken,
        )


class Curve:
    """The points of one curve, smoothed in the order in which they come, in bounded memory."""

    def __init__(self, *, smooth: bool) -> None:
        self.points: list[Point] = []
        self.newest = 0.0  # the last loss as it came
        self.smoothed = 0.0  # the average of the finite losses
        self._each = 1  # losses that one point stands for
        self._in_last = 0  # losses in the last point so far
        self._smooth = smooth
        self._count = 0  # finite losses so far

    def add(self, step: int, loss: float) -> Point:
        """Take a loss; give back the point that it would be alone."""
        self.newest = loss
        if math.isfinite(loss):
            # An exponential moving average. Its memory grows with the run, which keeps a steep
            # start sharp and a long tail calm; it begins as a plain mean, so it needs no
            # correction for where it started.
            self._count += 1
            memory = min(self._count, max(SHORTEST_MEMORY, MEMORY * self._count))
            share = 1 / memory if self._smooth else 1.0
            self.smoothed = (1 - share) * self.smoothed + share * loss
            point = Point(step, loss, loss, self.smoothed, False)
        else:
            point = Point(step, math.inf, -math.inf, math.nan, True)
        if self.points and self._in_last < self._each:
            self.points[-1] = self.points[-1].joined(point)
            self._in_last += 1
        else:
            if len(self.points) == MOST_POINTS:
                pairs = zip(self.points[::2], self.points[1::2], strict=True)
                self.points = [first.joined(second) for first, second in pairs]
                self._each *= 2
            self.points.append(point)
            self._in_last = 1
        return point


class Pen:
    """Draws one line from left to right; until the next column of dots, its tip may still move."""

    def __init__(self, layer: int, thickness: int) -> None:
        self._layer, self._thickness = layer, thickness
        self.lift()

    def lift(self) -> None:
        """Leave a gap before the next point."""
        self._settled: tuple[int, int] | None = None  # the last point in an earlier column
        self._tip: tuple[int, int] | None = None

    def draw(self, canvas: Canvas, x: int, y: int) -> None:
        """Go on to a dot. What was drawn for an earlier point in the same column moves there."""
        if self._tip is None or x < self._tip[0]:
            self._settled = None
        elif x > self._tip[0]:
            self._settled = self._tip
        else:
            canvas.erase(self._layer, self._settled[0] + 1 if self._settled else x, x)
        self._tip = (x, y)
        from_x, from_y = self._settled or self._tip
        for below in range(self._thickness):
            canvas.line(self._layer, from_x, from_y + below, x, y + below)


# ── The widget ───────────────────────────────────────────────────────────────────────────────────

# Layers of the canvas, from the bottom, and the component class that styles each.
GRID, RAW, HELD_OUT, SMOOTH, HELD_OUT_POINTS, MARKERS = range(6)
COMPONENTS = ("grid", "raw", "held-out", "smooth", "held-out", "marker")
Part = tuple[str, str | None]  # a text and its component class; None where it is blank


class TrainingChart(Widget):
    """Training loss (each batch and smoothed) and held-out loss against the step."""

    ALLOW_SELECT = False  # a drag of the mouse would copy dots
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "training-chart--raw",
        "training-chart--smooth",
        "training-chart--held-out",
        "training-chart--axis",
        "training-chart--grid",
        "training-chart--marker",
    }
    DEFAULT_CSS = """
    TrainingChart {
        width: 1fr;
        height: 1fr;
        & > .training-chart--raw { color: $primary; text-style: dim; }
        & > .training-chart--smooth { color: $text-primary; text-style: bold; }
        & > .training-chart--held-out { color: $warning; text-style: bold; }
        & > .training-chart--axis { color: $text-muted; }
        & > .training-chart--grid { color: $text-disabled; }
        & > .training-chart--marker { color: $error; text-style: bold; }
    }
    """

    metric: reactive[str] = reactive("loss", init=False)
    """How losses are stated: `loss` (nats), `perplexity` or `bits`, per character."""
    log_scale: reactive[bool] = reactive(False, init=False)
    """Whether the value axis is logarithmic."""
    placeholder: reactive[str] = reactive("", init=False)
    """What an empty chart says."""

    def __init__(
        self,
        placeholder: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.set_reactive(TrainingChart.placeholder, placeholder)
        self._clock = clock
        self._canvas: Canvas | None = None  # none while the widget has no room
        self._plot = Region()  # where the canvas lies: right of the numbers, below the legend
        self._pens: dict[Curve, Pen] = {}
        self._next_sign = 0  # the first dot where the held-out curve may bear a sign
        self._legend: list[Part] = []
        self._timer: Timer | None = None
        self._scale_is_stale = self._legend_is_stale = False
        self._scaled_at = self._legend_at = -math.inf
        self._forget()

    def _forget(self) -> None:
        self._training, self._held_out = Curve(smooth=True), Curve(smooth=False)
        self._total = 0
        self._newest_step = 0
        self._span = 1
        self._ticks = [0.0, 1.0]

    # What it takes

    def set_total(self, steps: int) -> None:
        """Plan the time axis: it spans this many steps, and more only once a step lies beyond."""
        self._total = steps
        if self._measure_time():
            self._redraw()

    def add_training(self, step: int, loss: float) -> None:
        """Add the loss of a batch, in nats per character."""
        self._add(self._training, step, loss)

    def add_held_out(self, step: int, loss: float) -> None:
        """Add a held-out loss, in nats per character."""
        self._add(self._held_out, step, loss)

    def load(
        self,
        training: Sequence[tuple[int, float]],
        held_out: Sequence[tuple[int, float]],
        total: int,
    ) -> None:
        """Show another run in place of this one."""
        self._forget()
        self._total = total
        for curve, points in ((self._training, training), (self._held_out, held_out)):
            for step, loss in points:
                curve.add(step, loss)
                self._newest_step = max(self._newest_step, step)
        self._measure_time()
        self._redraw()

    def clear(self) -> None:
        """Forget the run."""
        self.load((), (), 0)

    def next_metric(self) -> None:
        """State the losses in the next of the three ways."""
        names = list(METRICS)
        self.metric = names[(names.index(self.metric) + 1) % len(names)]

    def toggle_log(self) -> None:
        """Switch the value axis between even and logarithmic."""
        self.log_scale = not self.log_scale

    # Data

    def _add(self, curve: Curve, step: int, loss: float) -> None:
        first = self._is_empty
        point = curve.add(step, loss)
        self._newest_step = max(self._newest_step, step)
        if (step > self._span and self._measure_time()) or first:
            self._redraw()
        elif self._canvas is not None:
            self._draw(self._canvas, curve, point)
            self._repaint_changes(self._canvas)
            self._scale_is_stale = self._legend_is_stale = True
            self._catch_up(self._canvas)

    @property
    def _is_empty(self) -> bool:
        return not self._training.points and not self._held_out.points

    def _measure_time(self) -> bool:
        """Fit the time axis; say whether it changed."""
        span = max(1, self._total)
        if self._newest_step > span:
            # With room to grow: each change of the time axis moves every dot.
            span = round_up(self._newest_step + self._newest_step // 4)
        changed, self._span = span != self._span, span
        return changed

    def _measure_values(self, *, anew: bool) -> bool:
        """Fit the value axis, `anew` or only where it must; say whether it changed."""
        low, high = self._bounds()
        if not self.log_scale and len(self._training.points) < MANY_POINTS:
            low = min(low, 0.0)
        fitted = ticks(low, high, 5 if self._plot.height >= 9 else 3, log=self.log_scale)
        if not anew and self._ticks[0] <= low and high <= self._ticks[-1]:
            tighter, current = (
                self._along(t[-1]) - self._along(t[0]) for t in (fitted, self._ticks)
            )
            if tighter > SHRINK * current:
                return False
        changed, self._ticks = fitted != self._ticks, fitted
        return changed

    def _bounds(self) -> tuple[float, float]:
        """The lowest and highest value that the axis must hold."""
        training = [p for p in self._training.points if p.low <= p.high]
        held_out = [p for p in self._held_out.points if p.low <= p.high]
        if len(training) >= MANY_POINTS:
            settled = self._newest_step * WARM_UP
            training = [p for p in training if p.step >= settled]
            held_out = [p for p in held_out if p.step >= settled]
        spikes = int(len(training) * SPIKES)
        lows = sorted(p.low for p in training)[spikes:] + [p.low for p in held_out]
        highs = sorted((p.high for p in training), reverse=True)[spikes:]
        highs += [p.high for p in held_out]
        return self._value(min(lows, default=0.0)), self._value(max(highs, default=1.0))

    # Drawing

    def _value(self, nats: float) -> float:
        return max(-LARGEST, min(METRICS[self.metric].of(nats), LARGEST))

    def _along(self, value: float) -> float:
        """A value's place along the value axis, in the axis's own unit."""
        return math.log10(max(value, SMALLEST)) if self.log_scale else value

    def _x(self, canvas: Canvas, step: int) -> int:
        return round(max(0, min(step / self._span, 1)) * (canvas.width - 1))

    def _y(self, canvas: Canvas, value: float) -> int:
        bottom, top = self._along(self._ticks[0]), self._along(self._ticks[-1])
        share = (self._along(value) - bottom) / (top - bottom)
        return round((1 - max(0.0, min(share, 1.0))) * (canvas.height - 1))

    def _draw(self, canvas: Canvas, curve: Curve, point: Point) -> None:
        x = self._x(canvas, point.step)
        pen = self._pens[curve]
        if point.broken:
            canvas.write(MARKERS, x, 0, "×")
        if math.isnan(point.line):
            pen.lift()
            return
        y = self._y(canvas, self._value(point.line))
        pen.draw(canvas, x, y)
        if curve is self._training:
            low, high = (self._y(canvas, self._value(v)) for v in (point.low, point.high))
            canvas.column(RAW, x, low, high)
        elif x >= self._next_sign:
            canvas.write(HELD_OUT_POINTS, x, y, "◆")
            self._next_sign = x + SIGN_EVERY

    def _draw_all(self, canvas: Canvas) -> None:
        canvas.clear()
        self._pens = {self._training: Pen(SMOOTH, 2), self._held_out: Pen(HELD_OUT, 1)}
        self._next_sign = 0
        for tick in self._ticks:
            for x in range(0, canvas.width, GRID_EVERY):
                canvas.dot(GRID, x, self._y(canvas, tick))
        for curve in (self._training, self._held_out):
            for point in curve.points:
                self._draw(canvas, curve, point)

    def _redraw(self) -> None:
        """Fit the axes and draw all anew."""
        if self._canvas is None:
            return
        self._measure_values(anew=True)
        self._draw_all(self._canvas)
        self._canvas.changes()  # the whole widget is repainted: they need no mention
        self._legend = self._compose_legend()
        self._scale_is_stale = self._legend_is_stale = False
        self._scaled_at = self._legend_at = self._clock()
        self.refresh()

    def _repaint_changes(self, canvas: Canvas) -> None:
        # One region a row: Textual sends a line from the widget's left edge up to each region
        # (github.com/Textualize/textual/issues/5625), so two would send its start twice.
        regions: dict[int, Region] = {}
        for row, column, width in canvas.changes():
            region = Region(self._plot.x + column, self._plot.y + row, width, 1)
            regions[row] = regions.get(row, region).union(region)
        for region in regions.values():
            self.refresh(region)

    def _catch_up(self, canvas: Canvas) -> None:
        """Let the value axis and the legend follow the data, as often as they may."""
        now = self._clock()
        scale_wait = self._scaled_at + SCALE_SECONDS - now
        if self._scale_is_stale and scale_wait <= 0:
            self._scale_is_stale, self._scaled_at = False, now
            if self._measure_values(anew=False):
                self._draw_all(canvas)
                self._repaint_changes(canvas)
                self.refresh(Region(0, self._plot.y, self._plot.x, self._plot.height))
        legend_wait = self._legend_at + LEGEND_SECONDS - now
        if self._legend_is_stale and legend_wait <= 0:
            self._legend_is_stale, self._legend_at = False, now
            self._repaint_legend()
        stale = ((self._scale_is_stale, scale_wait), (self._legend_is_stale, legend_wait))
        waits = [wait for is_stale, wait in stale if is_stale]
        if waits and self._timer is None:
            self._timer = self.set_timer(min(waits), self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self._canvas is not None:
            self._catch_up(self._canvas)

    # The legend and the axes

    def _compose_legend(self) -> list[Part]:
        """The signs, names and newest values, in as many words as there is room for."""
        if self._plot.y == 0:
            return []
        training, held_out = self._training, self._held_out
        smooth_item = ("smooth", "⠶⠶", "smoothed", training, training.smoothed)
        raw_item = ("raw", "⠡⠌", "batch", training, training.newest)
        held_out_item = ("held-out", "◆⠒", "held-out", held_out, held_out.newest)
        for items, named in (
            ((smooth_item, raw_item, held_out_item), True),
            ((smooth_item, raw_item, held_out_item), False),
            ((smooth_item, held_out_item), False),
            ((smooth_item,), False),
        ):
            parts: list[Part] = []
            for component, sign, name, curve, nats in items:
                value = self._value(nats) if math.isfinite(nats) else nats
                number = figure(value) if curve.points else "-"
                words = f"{sign} {name}" if named else sign
                parts += [(f"{words} {number:<{LONGEST_NUMBER}}", component), ("  ", None)]
            room = self._plot.width - sum(len(text) for text, _ in parts[:-1])
            if room >= 0:
                break
        metric = METRICS[self.metric]
        title = metric.title + (", log scale" if self.log_scale else "")
        if room < len(title) + len("  "):
            return [self._gutter(metric.unit), *parts[:-1]]
        return [self._gutter(""), *parts[:-1], (title.rjust(room), "axis")]

    def _repaint_legend(self) -> None:
        before, self._legend = self._legend, self._compose_legend()
        x = 0
        for old, new in zip(before, self._legend, strict=True):
            if old != new:
                self.refresh(Region(x, 0, len(new[0]), 1))
            x += len(new[0])

    def _gutter(self, text: str) -> Part:
        padded = f"{text:>{LONGEST_NUMBER}}".ljust(GUTTER) if self._plot.x else ""
        return padded, "axis" if text else None

    def _step_axis(self) -> list[Part]:
        width = self._plot.width
        first, middle, last = (step_figure(n) for n in (0, self._span // 2, self._span))
        line = first + last.rjust(width - len(first))
        start = (width - len(middle)) // 2
        if (
            self._span > 1
            and start > len(first) + 2
            and start + len(middle) + 2 < width - len(last)
        ):
            line = line[:start] + middle + line[start + len(middle) :]
        return [(line, "axis")]

    # Textual

    def on_resize(self) -> None:
        width, height = self.size
        left = GUTTER if width >= 4 * GUTTER else 0
        top = 1 if height >= 5 else 0
        bottom = 1 if height >= 4 else 0
        self._plot = Region(left, top, width - left, height - top - bottom)
        self._canvas = None
        if self._plot:
            self._canvas = Canvas(self._plot.width, self._plot.height, len(COMPONENTS))
            self._redraw()

    def validate_metric(self, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(f"no metric is called {metric!r}; there are {', '.join(METRICS)}")
        return metric

    def watch_metric(self) -> None:
        self._redraw()

    def watch_log_scale(self) -> None:
        self._redraw()

    def render_line(self, y: int) -> Strip:
        canvas = self._canvas
        if self._is_empty:
            parts = self._placeholder_line(y)
        elif canvas is None:
            parts = []
        elif y < self._plot.y:
            parts = self._legend
        elif y >= self._plot.bottom:
            parts = [self._gutter("step"), *self._step_axis()]
        else:
            row = y - self._plot.y
            label = next((t for t in self._ticks if self._y(canvas, t) // DOTS_HIGH == row), None)
            parts = [self._gutter("" if label is None else tick_figure(label))]
            for column in range(canvas.columns):
                character, layer = canvas.cell(column, row)
                parts.append((character, None if layer is None else COMPONENTS[layer]))
        return self._strip(parts)

    def _placeholder_line(self, y: int) -> list[Part]:
        width, height = self.size
        lines = Content(self.placeholder).wrap(max(width, 1))
        index = y - (height - len(lines)) // 2
        if not 0 <= index < len(lines):
            return []
        text = lines[index].plain
        return [(" " * ((width - cell_len(text)) // 2), None), (text, "axis")]

    def _strip(self, parts: Iterable[Part]) -> Strip:
        """A line. Blanks take their neighbour's style: each change of style costs forty bytes."""
        runs: list[Part] = [("", None)]
        for text, component in parts:
            before, current = runs[-1]
            if current is None or component in (None, current):
                runs[-1] = (before + text, component or current)
            else:
                runs.append((text, component))
        strip = Strip(Segment(text, self._style(component)) for text, component in runs)
        return strip.adjust_cell_length(self.size.width, self.rich_style)

    def _style(self, component: str | None) -> Style:
        if component is None:
            return self.rich_style
        return self.get_component_rich_style(f"training-chart--{component}")
