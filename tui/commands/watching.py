"""Training as it is seen from outside: a bar on a terminal, a line now and then elsewhere.

Nothing here can stop the training: a terminal that is gone is written to no more.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from tui import display
from tui.commands import output

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from engine.events import TrainingSnapshot

_LINE_EVERY = 10.0  # seconds between two lines where there is no bar
_STATE = 10  # cells of the longest state, "evaluating"
_BAR = 10  # cells that the bar has at least


class Watcher(Protocol):
    def update(self, snapshot: TrainingSnapshot | None) -> None:
        """The figures of now, several times a second; None while the run is prepared."""

    def line(self, text: str, *, warning: bool = False, dim: bool = False) -> None:
        """Something that happened."""

    def sample(self, step: int, text: str) -> None:
        """A text that the network wrote."""


@contextlib.contextmanager
def watcher(*, beside_json: bool) -> Iterator[Watcher]:
    """What suits standard error. Where JSON goes to the same terminal, it tells enough."""
    screen = output.console(sys.stderr)
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield _Lines()
    elif beside_json and output.is_terminal(sys.stdout):
        yield _Warnings()
    else:
        bar = _Bar(screen)
        try:
            yield bar
        finally:
            bar.close()


class _Warnings:
    """Says what is wrong and nothing else."""

    def update(self, snapshot: TrainingSnapshot | None) -> None: ...

    def line(self, text: str, *, warning: bool = False, dim: bool = False) -> None:
        if warning:
            output.warn(text)

    def sample(self, step: int, text: str) -> None: ...


class _Lines(_Warnings):
    """A plain line every few seconds, for a log."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def update(self, snapshot: TrainingSnapshot | None) -> None:
        now = time.monotonic()
        if snapshot is not None and now - self._last >= _LINE_EVERY:
            self._last = now
            output.tell(f"{snapshot.state}: {', '.join(_figures(snapshot, 100))}")

    def line(self, text: str, *, warning: bool = False, dim: bool = False) -> None:
        output.warn(text) if warning else output.tell(text)

    def sample(self, step: int, text: str) -> None:
        for line in _sample_lines(step, text):
            output.tell(line)


class _Bar:
    """A bar at the bottom of the terminal, with what happened in lines above it."""

    def __init__(self, screen: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._screen, self._gone = screen, False
        self._bar = Progress(
            TextColumn(f"{{task.fields[state]:<{_STATE}}}"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[figures]}"),
            console=screen,
            auto_refresh=False,
            transient=True,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None, state="preparing", figures="")
        self._draw(self._bar.start)

    def close(self) -> None:
        self._draw(self._bar.stop)

    def update(self, snapshot: TrainingSnapshot | None) -> None:
        if snapshot is not None:
            room = self._screen.width - _STATE - _BAR - 2
            self._bar.update(
                self._task,
                total=snapshot.total_steps,
                completed=snapshot.step,
                state=str(snapshot.state),
                figures="  ".join(_figures(snapshot, room)),
            )
        self._draw(self._bar.refresh)

    def line(self, text: str, *, warning: bool = False, dim: bool = False) -> None:
        from rich.text import Text

        shown = Text(display.visible(text), style="dim" if dim else "")
        self._print(Text.assemble(("warning: ", "yellow"), shown) if warning else shown)

    def sample(self, step: int, text: str) -> None:
        from rich.text import Text

        heading, *lines = _sample_lines(step, text)
        self._print(Text(heading, style="dim"))
        for line in lines:
            self._print(Text(display.visible(line)))

    def _print(self, text: Text) -> None:
        self._draw(lambda: self._screen.print(text))

    def _draw(self, drawing: Callable[[], None]) -> None:
        """Draws on the terminal, unless that is gone: then never again."""
        if self._gone:
            return
        try:
            drawing()
        except OSError:
            self._gone = True


def _sample_lines(step: int, text: str) -> list[str]:
    written = text.strip("\n").split("\n")
    return [f"step {display.count(step)}: it writes", *(f"    {line}" for line in written)]


def _figures(snapshot: TrainingSnapshot, room: int) -> list[str]:
    """The figures of now, as many as there is room for, in their order of reading."""
    total = display.count(snapshot.total_steps)
    steps = f"{display.count(snapshot.step):>{len(total)}}/{total}"
    loss = f"loss {display.loss(snapshot.loss)}"
    left = f"{display.duration(snapshot.seconds_left)} left"
    speed = f"{display.rate(snapshot.characters_per_second)}"
    perplexity = _perplexity(snapshot.perplexity)
    for figures in (
        [steps, loss, f"perplexity {perplexity}", f"{speed} characters/s", left],
        [steps, loss, f"ppl {perplexity}", f"{speed} chars/s", left],
        [steps, loss, f"ppl {perplexity}", left],
        [steps, loss, left],
    ):
        if sum(map(len, figures)) + 2 * len(figures) <= room:
            return figures
    return [steps, loss]


def _perplexity(value: float | None) -> str:
    """Fewer digits where it is large, and always as wide, so that the bar stays where it is."""
    return f"{value:6.2f}" if value is not None and value < 1000 else display.loss(value)
