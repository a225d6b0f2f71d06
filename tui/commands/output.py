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
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from engine.errors import LyricError
from tui.display import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

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


def has_colours(stream: TextIO) -> bool:
    """Whether codes for colour and weight may be written: https://no-color.org."""
    dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown")
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and not dumb


def console(stream: TextIO, into: TextIO | None = None) -> Console:
    """A rich console that takes texts literally and adds no colour of its own. It writes as is
    right for `stream`, to that or `into` another one."""
    from rich.console import Console

    terminal = is_terminal(stream)
    return Console(
        file=into or stream,
        force_terminal=terminal,
        color_system="auto" if has_colours(stream) else None,
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
    """One object as one line; a number that JSON has no word for becomes null."""
    line = json.dumps(_plain(values), ensure_ascii=False, allow_nan=False)
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


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table of texts. A heading that begins with ">" is of numbers, set right and never cut."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        number = name.startswith(">")
        made.add_column(
            name.removeprefix(">"),
            justify="right" if number else "left",
            no_wrap=number,
            overflow="fold",
        )
    for row in rows:
        made.add_row(*(visible(cell) for cell in row))
    return made


# -- standard error -------------------------------------------------------------------------


def tell(text: str, *, prefix: str = "", style: str = "") -> None:
    """A line to standard error, made visible; `style` colours the prefix, or all of it."""
    shown, before = visible(text), prefix
    if style and has_colours(sys.stderr):
        code = {"red": "1;31", "yellow": "33", "dim": "2"}[style]
        if prefix:
            before = f"\x1b[{code}m{prefix}\x1b[0m"
        else:
            shown = f"\x1b[{code}m{shown}\x1b[0m"
    with contextlib.suppress(OSError):
        print(before + shown, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Something that a person should know and that does not stop the work."""
    tell(message, prefix="warning: ", style="yellow")


@contextlib.contextmanager
def counting(word: str, total: int) -> Iterator[Any]:
    """Yields `count(done)`, which moves a bar on standard error where that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console(sys.stderr)
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield lambda done: None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        console=screen,
        transient=True,
        expand=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task(word, total=total)
    with contextlib.suppress(OSError), bar:
        yield lambda done: bar.update(task, completed=done)
