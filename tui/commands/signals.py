"""SIGINT, SIGTERM and SIGHUP as one thing: a polite request to save and leave."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType
from typing import Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Signals:
    """Within `with Signals()`, the first of these signals cancels the task that `watch()` was
    called from; those after it change nothing, because leaving is under way.

    A signal that was ignored when the program started, as under `nohup`, stays ignored. Once one
    came, they are ignored to the program's end: an impatient second Ctrl+C finds it leaving.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[int, object] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None

    @property
    def status(self) -> int:
        """The exit status by the shell's convention: 128 and the signal's number."""
        return 128 + self.received if self.received else 0

    def __enter__(self) -> Self:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.received else handler)  # type: ignore[arg-type]

    def watch(self) -> None:
        """From now on the first signal cancels the running task; one that came already does."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self.received:
            self._cancel()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        assert self._task is not None
        self._task.cancel()
