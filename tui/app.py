"""The app: its screens, its theme, and the lifetime of its engine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterable

if os.environ.get("TERM_PROGRAM") == "iTerm.app":
    # iTerm2 loses an input method's text under the Kitty keyboard protocol. Textual reads this
    # when it is imported.
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")

from textual.app import App, SystemCommand
from textual.screen import Screen

from engine.session import Engine
from tui import keys
from tui.screens.studio import Studio

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LyricApp(App[None]):
    """The full-screen face. The engine is handed in, and outlives it."""

    TITLE = "lyricrnn"
    ENABLE_COMMAND_PALETTE = True

    def __init__(self, engine: Engine, corpus: str | None = None) -> None:
        super().__init__()
        self._studio = Studio(engine, corpus)
        self._leaving = False

    def on_mount(self) -> None:
        self.theme = "tokyo-night"
        self.push_screen(self._studio)

    async def action_quit(self) -> None:
        await self.leave(0)

    async def leave(self, status: int) -> None:
        """Saves what trains, then ends with that exit status."""
        if self._leaving:
            return
        self._leaving = True
        try:
            await self._studio.leave()
        finally:
            self.exit(return_code=status)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for action in keys.STUDIO:
            if isinstance(screen, Studio) and action.when(screen.situation):
                title = action.label_in(screen.situation).capitalize()
                call = getattr(screen, f"action_{action.name}")
                yield SystemCommand(f"{title} ({action.shown})", action.help, call)
        for command in super().get_system_commands(screen):
            if command.title not in {"Quit", "Keys", "Maximize", "Minimize"}:
                yield command


def open_app(corpus: str | None = None) -> int:
    """Opens the app in this terminal and returns its exit status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "lyricrnn: The app needs a terminal; `lyricrnn --help` lists what works without one.",
            file=sys.stderr,
        )
        return 2
    return asyncio.run(_run(corpus))


async def _run(corpus: str | None) -> int:
    async with Engine() as engine:
        app = LyricApp(engine, corpus)
        loop = asyncio.get_running_loop()
        leaving: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected

        def leave_by(number: int) -> None:
            leaving.add(asyncio.ensure_future(app.leave(128 + number)))

        for number in SIGNALS:
            loop.add_signal_handler(number, leave_by, number)
        await app.run_async()
        return app.return_code or 0
