"""The app: its screens, its theme, and the lifetime of its engine."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any, TextIO

if os.environ.get("TERM_PROGRAM") == "iTerm.app":
    # iTerm2 loses an input method's text under the Kitty keyboard protocol. Textual reads this
    # when it is imported.
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")

from rich.text import Text
from textual.app import App, SystemCommand
from textual.await_complete import AwaitComplete
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen

from engine.session import Engine
from tui import keys
from tui.display import visible
from tui.screens.studio import Studio

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS_BETWEEN_LOOKS = 1.0  # at the line, whether it still leads to a terminal


class Line:
    """The terminal as Textual's writer sees it. Once it is gone, what is written goes nowhere: an
    error would end the writer's thread, and the app would wait for that thread for ever."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError:
            self._let_go()

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            self._let_go()

    def fileno(self) -> int:
        return self._file.fileno()

    def _let_go(self) -> None:
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)


class LineDriver(LinuxDriver):
    """Textual's driver, on a line that may be cut."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: Any = Line(self._file)

    def _sigcont_application(self, *_: Any) -> None:
        if self._key_thread is not None and self._key_thread.is_alive():
            # Halted by SIGSTOP, which nobody hears of. Textual would take up the terminal a second
            # time, with two threads reading keys and the shell's settings forgotten.
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()


class LyricApp(App[None]):
    """The full-screen face. The engine is handed in, and outlives it."""

    TITLE = "lyricrnn"
    ENABLE_COMMAND_PALETTE = True
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall")]  # noqa: RUF012 (as Textual has it)

    def __init__(self, engine: Engine, corpus: str | None = None) -> None:
        super().__init__()
        self._studio = Studio(engine, corpus)
        self._stands = asyncio.Event()
        self._leaving = False

    async def on_mount(self) -> None:
        self.theme = "tokyo-night"
        await self.push_screen(self._studio)
        self._stands.set()

    def get_driver_class(self) -> type[Driver]:
        found = super().get_driver_class()
        return LineDriver if found is LinuxDriver else found

    def pop_screen(self) -> AwaitComplete:
        # Escape pressed twice reaches a dialog twice before it is gone, and the second one would
        # take the Studio away.
        if self.screen is self._studio:
            return AwaitComplete()
        return super().pop_screen()

    async def action_quit(self) -> None:
        await self.leave(0)

    async def leave(self, status: int) -> None:
        """Saves what trains, then ends with that exit status; 0 becomes 1 where that failed."""
        if self._leaving:
            return
        self._leaving = True
        await self._stands.wait()  # a screen cannot be taken down while it is set up
        told = ""
        try:
            told = await self._studio.leave()
        finally:
            # Said where the app was, once the terminal is as before.
            message = Text(visible(told, newlines=True)) if told else None
            self.exit(return_code=status or bool(told), message=message)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for action in screen.actions if isinstance(screen, keys.Keyed) else ():
            if isinstance(screen, keys.Keyed) and action.when(screen.situation):
                title = action.label_in(screen.situation).capitalize()
                call = getattr(screen, f"action_{action.name}")
                # In the title, because the palette looks for words there alone.
                yield SystemCommand(f"{title} ({action.shown}): {action.help}", "", call)
        for command in super().get_system_commands(screen):
            if command.title not in {"Quit", "Keys", "Maximize", "Minimize"}:
                yield command


def open_app(corpus: str | None = None) -> int:
    """Opens the app in this terminal and returns its exit status."""
    # Textual reads from standard input and draws on standard error; torch may print elsewhere.
    if not all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        print(
            "lyricrnn: The app needs a terminal; `lyricrnn --help` lists what works without one.",
            file=sys.stderr,
        )
        return 2
    status = asyncio.run(_run(corpus))
    gc.freeze()  # or Python would search all of torch for garbage at exit, for a second
    return status


async def _run(corpus: str | None) -> int:
    async with Engine() as engine:
        app = LyricApp(engine, corpus)
        loop = asyncio.get_running_loop()
        leaving: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected

        def leave(number: int) -> None:
            leaving.add(asyncio.ensure_future(app.leave(128 + number)))

        def leave_by(number: int, frame: FrameType | None) -> None:
            # Not by the loop's own way, which loses a signal where many wake-ups wait already: a
            # terminal that reads nothing holds the loop up.
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so will all
                loop.call_soon_threadsafe(leave, number)

        for number in SIGNALS:
            signal.signal(number, leave_by)
        watching = asyncio.ensure_future(_watch_line(app))
        await app.run_async()
        watching.cancel()
        return app.return_code or 0


async def _watch_line(app: LyricApp) -> None:
    """Saves and leaves once the terminal is gone. SIGHUP says so too, but only to the session's
    leader, which under a wrapper or `sudo` is another process."""
    line = select.poll()
    line.register(sys.stdin.fileno(), 0)  # an error or a hangup is reported unasked
    while not any(state & (select.POLLHUP | select.POLLERR) for _, state in line.poll(0)):
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    await app.leave(128 + signal.SIGHUP)
