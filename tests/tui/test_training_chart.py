"""The training chart: what it shows of a run, and how little it repaints."""

import math
import random
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from tui.panes.training_chart import (
    GUTTER,
    LEGEND_SECONDS,
    MOST_POINTS,
    SCALE_SECONDS,
    Curve,
    TrainingChart,
    figure,
    step_figure,
    tick_figure,
    ticks,
)

SIZE = (80, 24)
BRAILLE = range(0x2801, 0x2900)


class ChartApp(App[None]):
    """A chart alone on the screen, with a clock that the test turns."""

    def __init__(self, placeholder: str = "") -> None:
        super().__init__()
        self.now = 100.0
        self.chart = TrainingChart(placeholder, clock=lambda: self.now)

    def compose(self) -> ComposeResult:
        yield self.chart


def screen(chart: TrainingChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


def plot(chart: TrainingChart) -> list[str]:
    """The rows between legend and step axis, without the numbers at the left."""
    return [line[GUTTER:] for line in screen(chart)[1:-1]]


def column(chart: TrainingChart, step: int, total: int) -> int:
    """The cell of the plot that holds a step."""
    cells = chart.size.width - GUTTER
    return round(step / total * (2 * cells - 1)) // 2


def labels(chart: TrainingChart) -> list[float]:
    """The numbers of the value axis, from the top."""
    return [float(text) for line in screen(chart)[1:-1] if (text := line[:GUTTER].strip())]


def legend(chart: TrainingChart) -> str:
    return " ".join(screen(chart)[0].split())


def columns_of(chart: TrainingChart, name: str) -> set[int]:
    """The columns of the plot that hold a cell in a component's style."""
    style = chart.get_component_rich_style(f"training-chart--{name}")
    return {
        x - GUTTER
        for y in range(1, chart.size.height - 1)
        for x in range(GUTTER, chart.size.width)
        for text, its, _ in chart.render_line(y).crop(x, x + 1)
        if its == style and text != " "
    }


def falling(count: int, total: int, noise: float = 0.05) -> list[tuple[int, float]]:
    draw = random.Random(7)
    return [
        (k * total // count, 1.4 + 2.5 * math.exp(-k / count * 12) + draw.gauss(0, noise))
        for k in range(count)
    ]


@pytest.fixture
def repaints(monkeypatch: pytest.MonkeyPatch) -> list[Region | None]:
    """The regions that charts ask to have repainted; None for a whole chart."""
    asked: list[Region | None] = []
    refresh = TrainingChart.refresh

    def spy(self: TrainingChart, *regions: Region, **options: Any) -> TrainingChart:
        asked.extend(regions or [None])
        return refresh(self, *regions, **options)

    monkeypatch.setattr(TrainingChart, "refresh", spy)
    return asked


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Callable[[], None]]]:
    """The timers that charts set, which only the test lets ring."""
    asked: list[tuple[float, Callable[[], None]]] = []

    def spy(self: TrainingChart, delay: float, callback: Callable[[], None]) -> object:
        asked.append((delay, callback))
        return object()

    monkeypatch.setattr(TrainingChart, "set_timer", spy)
    return asked


# What it shows


async def test_an_empty_chart_says_so_and_takes_nothing_for_markup() -> None:
    app = ChartApp("[b]space[/b] trains")
    async with app.run_test(size=SIZE) as pilot:
        lines = screen(app.chart)
        assert [line.strip() for line in lines if line.strip()] == ["[b]space[/b] trains"]
        row = next(y for y, line in enumerate(lines) if line.strip())
        assert abs(row - SIZE[1] // 2) <= 1
        assert abs(lines[row].index("[b]") - (SIZE[0] - 19) // 2) <= 1
        app.chart.placeholder = "没有歌"
        await pilot.pause()
        assert "没有歌" in "".join(screen(app.chart))
        app.chart.add_training(0, 2.0)
        assert "没有歌" not in "".join(screen(app.chart))
        app.chart.clear()
        assert "没有歌" in "".join(screen(app.chart))


async def test_losses_land_where_their_step_and_value_say() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.load([(0, 3.0), (50, 1.5), (100, 0.0)], [], 100)
        assert labels(app.chart) == [3, 2, 1, 0]
        rows = plot(app.chart)
        for step, row in ((0, 0), (50, len(rows) // 2), (100, len(rows) - 1)):
            assert ord(rows[row][column(app.chart, step, 100)]) in BRAILLE


async def test_the_time_axis_spans_the_plan_so_that_a_curve_grows() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.set_total(5000)
        app.chart.add_training(0, 2.0)
        app.chart.add_training(1250, 2.0)
        assert screen(app.chart)[-1].split() == ["step", "0", "2,500", "5,000"]
        assert columns_of(app.chart, "smooth") == set(range(column(app.chart, 1250, 5000) + 1))


async def test_a_step_beyond_the_plan_extends_the_axis() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.set_total(1000)
        for step in range(0, 1500, 10):
            app.chart.add_training(step, 2.0)
        assert screen(app.chart)[-1].split() == ["step", "0", "1,000", "2,000"]
        app.chart.set_total(40_000)
        assert screen(app.chart)[-1].split() == ["step", "0", "20k", "40k"]


async def test_without_a_plan_the_axis_follows_the_steps() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        for step in range(100):
            app.chart.add_training(step, 2.0)
        last = int(screen(app.chart)[-1].split()[-1])
        assert 99 <= last <= 200


async def test_the_legend_names_three_curves_with_their_newest_values() -> None:
    app = ChartApp()
    async with app.run_test(size=(100, 24)):
        app.chart.load([(0, 2.0), (1, 3.0)], [], 10)
        assert legend(app.chart) == (
            "⠶⠶ smoothed 2.500 ⠡⠌ batch 3.000 ◆⠒ held-out - nats per character"
        )
        app.now += LEGEND_SECONDS
        app.chart.add_held_out(1, 1.25)
        assert "◆⠒ held-out 1.250" in legend(app.chart)


@pytest.mark.parametrize("width", range(1, 70))
async def test_the_legend_never_outgrows_its_line(width: int) -> None:
    app = ChartApp()
    async with app.run_test(size=(width, 12)):
        app.chart.load([(0, 2.0)], [(0, 2.5)], 10)
        line = app.chart.render_line(0)
        assert line.cell_length == width
        if width >= 20:
            assert "2.000" in line.text
        if width >= 36:
            assert "◆⠒ 2.500" in line.text or "◆⠒ held-out 2.500" in line.text


async def test_the_three_curves_differ_without_colour() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.load(falling(200, 200), [(40 * k, 3.0 - 0.2 * k) for k in range(1, 6)], 200)
        assert sum(row.count("◆") for row in plot(app.chart)) == 5
        raw, smooth = (
            app.chart.get_component_rich_style(f"training-chart--{name}")
            for name in ("raw", "smooth")
        )
        assert raw.dim
        assert not raw.bold
        assert smooth.bold


async def test_metrics_restate_the_same_losses() -> None:
    app = ChartApp()
    async with app.run_test(size=(100, 24)) as pilot:
        app.chart.load([(step, 2.0 + step / 1000) for step in range(100)], [(99, 2.1)], 100)
        shown: dict[str, tuple[str, list[float]]] = {}
        for _ in range(3):
            shown[app.chart.metric] = legend(app.chart), labels(app.chart)
            app.chart.next_metric()
            await pilot.pause()
        assert app.chart.metric == "loss"
        for metric, newest, low, high in (
            ("loss", "2.100", 2.0, 2.1),
            ("perplexity", "8.166", math.exp(2.0), math.exp(2.1)),
            ("bits", "3.030", 2.0 / math.log(2), 2.1 / math.log(2)),
        ):
            text, axis = shown[metric]
            assert f"held-out {newest}" in text
            assert axis[-1] <= low * 1.005
            assert axis[0] >= high * 0.995
            assert axis[0] - axis[-1] < 4 * (high - low)
        assert "perplexity" in shown["perplexity"][0]
        assert "bits per character" in shown["bits"][0]


async def test_a_log_scale_gives_equal_factors_equal_heights() -> None:
    app = ChartApp()
    async with app.run_test(size=(100, 40)) as pilot:
        app.chart.load([(k, 0.01 * 10 ** (k / 50)) for k in range(101)], [], 100)
        app.chart.toggle_log()
        await pilot.pause()
        assert "log scale" in legend(app.chart)
        numbers = [line[:GUTTER].strip() for line in screen(app.chart)[1:-1]]
        heights = {float(number): y for y, number in enumerate(numbers) if number}
        assert {0.01, 0.1, 1.0} <= set(heights)
        assert abs((heights[0.01] - heights[0.1]) - (heights[0.1] - heights[1.0])) <= 1
        app.chart.toggle_log()
        await pilot.pause()
        assert "log scale" not in legend(app.chart)


async def test_an_unknown_metric_is_refused() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        with pytest.raises(ValueError, match="perplexity"):
            app.chart.metric = "accuracy"


async def test_within_one_column_the_line_stands_at_its_newest_height() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.load([(0, 3.0)], [], 100_000)
        for step in range(1, 40):
            app.chart.add_training(step, 0.5)
        style = app.chart.get_component_rich_style("training-chart--smooth")
        rows = [
            y
            for y in range(1, SIZE[1] - 1)
            if next(iter(app.chart.render_line(y).crop(GUTTER, GUTTER + 1))).style == style
        ]
        assert 1 <= len(rows) <= 2  # the line is two dots thick


async def test_a_loss_that_is_not_a_number_leaves_a_gap_and_a_marker() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        losses = [(0, 2.0), (25, 2.0), (50, math.nan), (75, 2.0), (100, 2.0)]
        app.chart.load(losses, [], 100)
        assert columns_of(app.chart, "marker") == {column(app.chart, 50, 100)}
        assert plot(app.chart)[0][column(app.chart, 50, 100)] == "×"
        smooth = columns_of(app.chart, "smooth")
        before, after = column(app.chart, 25, 100), column(app.chart, 75, 100)
        assert set(range(before + 1)) <= smooth
        assert smooth.isdisjoint(range(before + 1, after))
        assert set(range(after, SIZE[0] - GUTTER)) <= smooth
        app.now += LEGEND_SECONDS
        app.chart.add_training(100, math.nan)
        assert "batch nan" in legend(app.chart)
        assert "smoothed 2.000" in legend(app.chart)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("metric", ["loss", "perplexity", "bits"])
async def test_no_loss_is_too_strange(metric: str, log: bool) -> None:
    strange = [0.0, -1.0, 1e-300, 1e308, -1e308, 800.0, math.inf, -math.inf, math.nan, 2.0]
    app = ChartApp()
    async with app.run_test(size=SIZE) as pilot:
        app.chart.metric = metric
        app.chart.log_scale = log
        await pilot.pause()
        for step, loss in enumerate(strange):
            app.now += 1
            app.chart.add_training(step, loss)
            app.chart.add_held_out(step, loss)
            assert all(line.strip() for line in screen(app.chart)[-1:])
        for loss in strange:
            app.chart.load([(0, loss)], [(0, loss)], 1)
            assert len(screen(app.chart)) == SIZE[1]


# Bounds of the value axis


async def test_high_losses_at_the_start_and_spikes_are_clipped_once_there_are_many() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        start = [(k, 50.0) for k in range(10)]
        rest = [(k, 90.0 if k % 100 == 0 else 2.0 + k / 1000) for k in range(10, 300)]
        app.chart.load(start + rest, [(0, 50.0)], 300)
        assert max(labels(app.chart)) < 10
        assert plot(app.chart)[0][0] == "◆"  # clipped, not lost
        assert column(app.chart, 5, 300) in columns_of(app.chart, "smooth")


async def test_the_axis_moves_at_most_once_a_second(
    timers: list[tuple[float, Callable[[], None]]],
) -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.set_total(100)
        app.chart.add_training(0, 2.0)
        before = labels(app.chart)
        for step in range(1, 5):
            app.now += SCALE_SECONDS / 10
            app.chart.add_training(step, 9.0)
        assert labels(app.chart) == before
        app.now += SCALE_SECONDS
        app.chart.add_training(5, 9.0)
        assert max(labels(app.chart)) >= 9


async def test_a_change_that_has_to_wait_comes_without_more_data(
    timers: list[tuple[float, Callable[[], None]]],
) -> None:
    app = ChartApp()
    async with app.run_test(size=(100, 24)):
        app.chart.set_total(100)
        app.chart.add_training(0, 2.0)
        app.chart.add_training(1, 9.0)
        assert max(labels(app.chart)) < 9
        assert "batch 2.000" in legend(app.chart)
        seen = 0
        while timers:
            delay, ring = timers.pop()
            assert delay > 0
            app.now += delay
            ring()
            seen += 1
            assert seen < 5
        assert max(labels(app.chart)) >= 9
        assert "batch 9.000" in legend(app.chart)


async def test_the_axis_closes_in_only_when_that_gains_much() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        losses = [(k, 4.2 if k < 10 else 1.2 + 2.7 * (k % 2)) for k in range(100)]
        app.chart.load(losses, [], 40_000)
        assert labels(app.chart) == [5, 4, 3, 2, 1]
        for step in range(100, 600):  # 4.2 is now far back, and 1 to 4 would do
            app.now += 1
            app.chart.add_training(step, 1.2 + 2.7 * (step % 2))
        assert labels(app.chart) == [5, 4, 3, 2, 1]
        for step in range(20_000, 40_000, 100):  # now all of that was warm-up
            app.now += 1
            app.chart.add_training(step, 1.2 + 0.3 * (step // 100 % 2))
        assert max(labels(app.chart)) < 2


async def test_the_axis_stays_while_the_data_stay_inside() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.load(falling(300, 1000), [], 1000)
        before = labels(app.chart)
        for k in range(60):
            app.now += 1
            app.chart.add_training(300 + k, 1.4 + 0.01 * (k % 5))
        assert labels(app.chart) == before


async def test_the_legend_changes_at_most_twice_a_second(
    timers: list[tuple[float, Callable[[], None]]],
) -> None:
    app = ChartApp()
    async with app.run_test(size=(100, 24)):
        app.chart.set_total(100)
        app.chart.add_training(0, 2.0)
        before = legend(app.chart)
        for step in range(1, 5):
            app.now += LEGEND_SECONDS / 10
            app.chart.add_training(step, 1.0)
        assert legend(app.chart) == before
        app.now += LEGEND_SECONDS
        app.chart.add_training(5, 1.0)
        assert "batch 1.000" in legend(app.chart)


# How little it repaints


async def test_one_more_point_repaints_few_cells(repaints: list[Region | None]) -> None:
    app = ChartApp()
    async with app.run_test(size=(120, 40)):
        app.chart.load(falling(800, 1600), [(100 * k, 2.0) for k in range(8)], 1600)
        most = 0
        for k in range(50):
            repaints.clear()
            app.chart.add_training(800 + k, 1.4 + 0.05 * math.sin(k))
            assert None not in repaints
            most = max(most, sum(region.area for region in repaints if region))
        assert 1 <= most <= 8


async def test_a_point_that_changes_no_cell_repaints_nothing(
    repaints: list[Region | None],
) -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.load([(step, 2.0) for step in range(100)], [], 100_000)
        repaints.clear()
        app.chart.add_training(100, 2.0)
        assert repaints == []
        app.now += 10
        app.chart.add_training(101, 2.0)  # not even the axis and the legend have news
        assert repaints == []


async def test_an_idle_chart_repaints_nothing_and_sets_no_timer(
    repaints: list[Region | None], timers: list[tuple[float, Callable[[], None]]]
) -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE) as pilot:
        app.chart.load(falling(300, 300), [(10, 3.0)], 300)
        await pilot.pause()
        repaints.clear()
        app.now += 60
        await pilot.pause()
        assert repaints == []
        assert timers == []


async def test_a_new_axis_repaints_rows_of_the_plot_only(repaints: list[Region | None]) -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.load([(step, 2.0 + step % 2) for step in range(100)], [], 200)
        repaints.clear()
        app.now += SCALE_SECONDS
        app.chart.add_held_out(101, 9.0)
        assert max(labels(app.chart)) >= 9
        assert repaints
        assert None not in repaints


async def test_what_grew_point_by_point_looks_as_if_drawn_at_once() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE) as pilot:
        points = falling(600, 600)
        app.chart.load(points[:300], [(50, 2.5)], 600)
        for number, (step, loss) in enumerate(points[300:]):
            app.now += 0.2
            app.chart.add_training(step, loss)
            if number % 40 == 0:
                app.chart.add_held_out(step, loss + 0.1)
        app.now += SCALE_SECONDS
        app.chart.add_training(600, points[-1][1])
        grown = plot(app.chart)
        for _ in range(3):  # once round the metrics draws all anew
            app.chart.next_metric()
            await pilot.pause()
        assert plot(app.chart) == grown


# Sizes and memory


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 2), (1, 30), (10, 3), (30, 1), (23, 4), (24, 5), (40, 8), (200, 60)]
)
async def test_every_size_renders(size: tuple[int, int]) -> None:
    app = ChartApp("nothing yet")
    async with app.run_test(size=size):
        for training, held_out, total in (
            ([], [], 0),
            ([(0, 2.0)], [], 0),
            ([(0, 2.0)], [(1, 2.0)], 1),
            ([(7, 2.0)] * 9, [], 3),
            (falling(100, 5000), [(5000, 1.0)], 5000),
            ([(0, math.nan)], [(0, math.inf)], 10),
        ):
            app.chart.load(training, held_out, total)
            app.chart.add_training(total + 1, 1.9)
            app.chart.add_held_out(total + 1, math.nan)
            strips = [app.chart.render_line(y) for y in range(size[1])]
            assert [strip.cell_length for strip in strips] == [size[0]] * size[1]


async def test_resizing_keeps_the_data() -> None:
    app = ChartApp()
    async with app.run_test(size=(120, 40)) as pilot:
        app.chart.load(falling(500, 500), [(250, 1.6), (499, 1.5)], 500)
        before, values = screen(app.chart), legend(app.chart)
        for size in ((40, 10), (1, 1), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert len(screen(app.chart)) == size[1]
        assert screen(app.chart) == before
        assert legend(app.chart) == values


async def test_what_is_added_before_there_is_a_screen_is_kept() -> None:
    app = ChartApp()
    app.chart.set_total(50)
    app.chart.add_training(0, 2.0)
    app.chart.add_held_out(0, 2.5)
    async with app.run_test(size=(100, 24)):
        assert "held-out 2.500" in legend(app.chart)
        assert screen(app.chart)[-1].split()[-1] == "50"


async def test_loading_replaces_the_run() -> None:
    app = ChartApp()
    async with app.run_test(size=(100, 24)):
        app.chart.load([(0, 7.0), (10, math.nan)], [(5, 7.0)], 10)
        app.chart.load([(0, 1.0)], [], 20)
        assert "◆" not in "".join(plot(app.chart))
        assert "×" not in "".join(plot(app.chart))
        assert "held-out -" in legend(app.chart)
        assert screen(app.chart)[-1].split()[-1] == "20"


def test_memory_is_bounded_and_forgets_no_extreme() -> None:
    for smooth in (True, False):
        curve = Curve(smooth=smooth)
        for step in range(200_000):
            curve.add(step, {77_777: 9.0, 123_456: -1.0, 150_000: math.nan}.get(step, 2.0))
            assert len(curve.points) <= MOST_POINTS
        assert len(curve.points) >= MOST_POINTS // 2
        assert max(point.high for point in curve.points) == 9.0
        assert min(point.low for point in curve.points) == -1.0
        assert sum(point.broken for point in curve.points) == 1
        assert curve.points[-1].step == 199_999
        steps = [point.step for point in curve.points]
        widths = {later - earlier for earlier, later in pairwise(steps[:-1])}
        assert len(widths) == 1  # no part of the run is coarser than another


def test_smoothing_starts_without_bias_and_follows_the_losses() -> None:
    curve = Curve(smooth=True)
    assert curve.add(0, 5.0).line == 5.0
    assert curve.add(1, 3.0).line == pytest.approx(4.0)
    for step in range(2, 2000):
        curve.add(step, 2.0 + (-1) ** step * 0.5)
    assert curve.smoothed == pytest.approx(2.0, abs=0.05)
    curve.add(2000, math.nan)
    assert curve.smoothed == pytest.approx(2.0, abs=0.05)


# Numbers


def test_ticks_are_few_and_round_and_hold_the_data() -> None:
    assert ticks(1.38, 2.9, 5, log=False) == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert ticks(4.0, 250.0, 5, log=True) == pytest.approx([3, 10, 30, 100, 300])
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    for _ in range(2000):
        low, high = sorted(10 ** draw.uniform(-8, 14) for _ in range(2))
        for most in (3, 5):
            for log in (False, True):
                axis = ticks(low, high, most, log=log)
                slack = 1e-6 * (axis[-1] - axis[0])
                assert 2 <= len(axis) <= most, seed
                assert axis[0] <= low + slack, seed
                assert axis[-1] >= high - slack, seed
                assert all(len(tick_figure(tick)) <= GUTTER - 1 for tick in axis), seed


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5321, "1.532"), (138.83, "138.8"), (123_456, "123k"), (4e7, "40.0M"), (math.nan, "nan")],
)
def test_figures_are_short(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("step", "text"), [(0, "0"), (2500, "2,500"), (12_500, "12.5k"), (3_000_000, "3M")]
)
def test_steps_are_short(step: int, text: str) -> None:
    assert step_figure(step) == text


def test_the_chart_needs_neither_engine_nor_torch() -> None:
    code = (
        "import sys, tui.panes.training_chart\n"
        "sys.exit(any(name.split('.')[0] in ('engine', 'torch') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
