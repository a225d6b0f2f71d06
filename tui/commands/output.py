"""Where the command line writes: results to standard output, everything else to standard error.

Data passes `tui.display` on its way to a terminal. Whatever happens to standard error, work goes
on: what is said there is only said.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

from engine.errors import LyricError
from tui.display import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_DRAWN_EVERY = 0.1  # seconds between two pictures of a bar

UNCUT = 200
"""Columns of what is not a terminal: room enough that no table has to be cut."""


class OutputClosed(Exception):
    """Whoever read standard output is gone, as `head` is after ten lines."""


def prepare() -> None:
    """Makes both streams safe to write to, whatever was done to them outside."""
    for number in (0, 1, 2):  # A closed one would be given to the next file that is opened.
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def abandon_stdout() -> None:
    """Lets what is still in standard output's buffer, and all that comes, go nowhere: nothing
    fails at exit."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it is no file but a test's
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sees this stream as it is written."""
    return stream.isatty()


def console(stream: TextIO, into: TextIO | None = None) -> Console:
    """A rich console that takes texts literally and adds no colour of its own. It writes as is
    right for `stream`, to that or `into` another one. With NO_COLOR (https://no-color.org) it
    writes no codes for weight either."""
    from rich.console import Console

    terminal = is_terminal(stream)
    coloured = terminal and not os.environ.get("NO_COLOR")
    return Console(
        file=into or stream,
        force_terminal=terminal,
        color_system="auto" if coloured else None,
        width=None if terminal else UNCUT,
        markup=False,
        emoji=False,
        highlight=False,
    )


# -- standard output ------------------------------------------------------------------------


def write(text: str) -> None:
    """Writes to standard output, at once. Raises OutputClosed where nobody reads any more, and
    LyricError where it cannot be written; after that, what is written goes nowhere."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
        raise OutputClosed from None
    except OSError as error:
        abandon_stdout()
        why = error.strerror or error
        raise LyricError(f"Standard output cannot be written: {why}.") from None


def write_json(values: Mapping[str, Any]) -> None:
    """One object as one line. A number that JSON has no word for becomes null; characters that a
    terminal would obey or hide are escaped, as JSON can."""
    line = json.dumps(_plain(values), ensure_ascii=False, allow_nan=False)
    if not line.isprintable():
        line = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        line = json.dumps(json.loads(line))
    write(line + "\n")


def _plain(value: Any) -> Any:
    """The same in what JSON knows."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value.absolute()) if isinstance(value, Path) else value


def show(*parts: RenderableType) -> None:
    """Tables and texts to standard output, one below the other."""
    text = io.StringIO()
    screen = console(sys.stdout, text)
    for part in parts:
        screen.print(part)
    write("".join(f"{line.rstrip(' ')}\n" for line in text.getvalue().splitlines()))


def figures(pairs: Iterable[tuple[str, str]]) -> Table:
    """Names and values in two columns."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, visible(value))
    return table


class Column(NamedTuple):
    """A column of a table. Where it is too long it is folded into several lines, or kept `whole`
    at the cost of the others, or `cut`."""

    title: str
    long: Literal["folded", "whole", "cut"] = "folded"
    right: bool = False


def number(title: str) -> Column:
    """A column of numbers."""
    return Column(title, "whole", right=True)


def table(columns: Sequence[Column], rows: Iterable[Iterable[str | Text]]) -> Table:
    """A table of texts, which are made visible, and of `Text` as it is."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(
            visible(column.title),
            justify="right" if column.right else "left",
            no_wrap=column.long == "whole",
            overflow="fold",
        )
    for row in rows:
        made.add_row(
            *(_cell(cell, column) for cell, column in zip(row, columns, strict=True)),
        )
    return made


def _cell(cell: str | Text, column: Column) -> Text:
    from rich.text import Text

    shown = Text(visible(cell)) if isinstance(cell, str) else cell
    if column.long == "cut":
        # Said of the text and not of the column, which rich would then keep as wide as it is.
        shown.no_wrap, shown.overflow = True, "ellipsis"
    return shown


# -- standard error -------------------------------------------------------------------------


def tell(text: str, *, prefix: str = "", style: str = "") -> None:
    """A line to standard error, made visible; `style` is of the prefix, or of all where there is
    none. A terminal gets it wrapped between words."""
    from rich.text import Text

    line = visible(text)
    if is_terminal(sys.stderr):
        said = io.StringIO()
        parts = [(prefix, style), line] if prefix else [(line, style)]
        console(sys.stderr, said).print(Text.assemble(*parts))
        line = said.getvalue().removesuffix("\n")
    else:
        line = prefix + line
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Something that a person should know and that does not stop the work."""
    tell(message, prefix="warning: ", style="yellow")


@contextlib.contextmanager
def counting(word: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields `count(done)`, which moves a bar on standard error where that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console(sys.stderr)
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield lambda done: None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        console=screen,
        auto_refresh=False,
        transient=True,
        expand=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task(word, total=total)
    drawn = 0.0

    def count(done: int) -> None:
        nonlocal drawn
        bar.update(task, completed=done)
        if time.monotonic() - drawn >= _DRAWN_EVERY:
            drawn = time.monotonic()
            with contextlib.suppress(OSError):
                bar.refresh()

    with contextlib.suppress(OSError):
        bar.start()
    try:
        yield count
    finally:
        with contextlib.suppress(OSError):
            bar.stop()
