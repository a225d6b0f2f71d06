"""A real pseudo-terminal with a person's hands on it: what Pilot cannot see."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyte
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0  # seconds for what must happen; only a broken test waits so long
APP = [sys.executable, "-c", "from tui.main import main; main()"]

# What a full-screen program switches on, by the number of the mode, and the cursor, which it
# switches off. All must be as they were when it has ended.
MODES = {
    "alternate screen": 1049,
    "mouse": 1000,
    "mouse, every movement": 1003,
    "mouse, long coordinates": 1006,
    "focus": 1004,
    "bracketed paste": 2004,
    "resize reports": 2048,
}

# Runs a program as its child in the same foreground group, and takes the hangup upon itself: the
# program sees the line go dead and no signal, as under some multiplexers and wrappers.
HOLDER = """
import os, signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *_: None)
child = subprocess.Popen(sys.argv[2:])
open(sys.argv[1], "w").write(str(child.pid))
while True:
    try:
        child.wait()
        break
    except BaseException:
        pass
open(sys.argv[1] + ".status", "w").write(str(child.returncode))
"""


class Terminal:
    """A program in a terminal of its own. What it writes is kept raw and drawn by pyte."""

    def __init__(
        self, command: list[str], environment: dict[str, str], size: tuple[int, int]
    ) -> None:
        columns, rows = size
        self._master, slave = os.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.attributes_before = termios.tcgetattr(slave)[:4]
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        # Kept open: the line stays up after the program's end, as it does under a shell.
        self._slave: int | None = slave
        self.said = bytearray()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    # -- what the program writes --------------------------------------------------------------

    def read(self, seconds: float) -> bytes:
        """What the program writes next; nothing where it is silent for so long."""
        if not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:
            return b""
        self.said += data
        # pyte knows neither `CSI > … u` nor `CSI ? … $ p`, and would print their ends.
        self._stream.feed(re.sub(rb"\x1b\[(?:[<>=]\d*u|\?\d+\$p)", b"", data))
        return data

    @property
    def screen(self) -> str:
        return "\n".join(self._screen.display)

    def until(self, what: str | Callable[[], object], seconds: float = PATIENCE) -> None:
        """Reads until the screen shows a text, or until something is true."""
        deadline = time.monotonic() + seconds
        while not (what in self.screen if isinstance(what, str) else what()):
            assert time.monotonic() < deadline, f"{what} never came:\n{self.screen}"
            if self.process.poll() is not None and not self.read(0.05):
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.screen}")
            self.read(0.05)

    def count(self, seconds: float) -> int:
        """How many bytes are written in so long a time."""
        deadline, count = time.monotonic() + seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            count += len(self.read(left))
        return count

    def settle(self) -> None:
        """Reads until the program has been silent for half a second."""
        deadline = time.monotonic() + PATIENCE
        while self.read(0.5):
            assert time.monotonic() < deadline, f"never silent:\n{self.screen}"

    # -- what a person does -------------------------------------------------------------------

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def hang_up(self) -> None:
        """The line is cut: nobody reads or writes at the other end any more."""
        self._let_go()
        os.close(self._master)
        self._master = -1

    def _let_go(self) -> None:
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None

    # -- its end ------------------------------------------------------------------------------

    def ended(self, seconds: float = PATIENCE) -> int:
        """Waits for the end and returns the exit status, minus the signal where one killed it."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.screen}"
            if self._master >= 0:
                self.read(0.05)
            else:
                time.sleep(0.02)
        while self._master >= 0 and self.read(0.1):
            pass
        return self.process.returncode

    def left_behind(self) -> list[str]:
        """What the program switched on and never off, and what else differs from before."""
        left = [name for name, mode in MODES.items() if self._is_on(mode)]
        if self.said.rfind(b"\x1b[?25l") > self.said.rfind(b"\x1b[?25h"):
            left.append("hidden cursor")
        if self.said.rfind(b"\x1b[?7l") > self.said.rfind(b"\x1b[?7h"):
            left.append("no line wrap")
        pushed = len(re.findall(rb"\x1b\[>\d*u", self.said))
        if pushed != len(re.findall(rb"\x1b\[<\d*u", self.said)):
            left.append("keyboard protocol")
        if termios.tcgetattr(self._master)[:4] != self.attributes_before:
            left.append("termios")
        return left

    def _is_on(self, mode: int) -> bool:
        switched = re.findall(rb"\x1b\[\?%d([hl])" % mode, self.said)
        return bool(switched) and switched[-1] == b"h"

    def close(self) -> None:
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self._let_go()
        if self._master >= 0:
            os.close(self._master)
        self.process.wait()


class Desk:
    """Opens terminals, each with the same runs and the same text to learn from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self._terminals: list[Terminal] = []

    def environment(self, **more: str) -> dict[str, str]:
        dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM", "TERM_PROGRAM")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "LYRICRNN_HOME": str(self.folder),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            **more,
        }

    def open(
        self, command: list[str] | None = None, size: tuple[int, int] = (120, 40), **more: str
    ) -> Terminal:
        made = Terminal(command or APP, self.environment(**more), size)
        self._terminals.append(made)
        return made

    def train(self, terminal: Terminal, minutes: str = "9") -> Path:
        """Begins a tiny run by the form, and waits until a checkpoint could be worth it."""
        terminal.until("ready")
        terminal.press("n")
        terminal.until("A new run")
        terminal.press("\x01\x0btiny\t" + minutes + "\r")
        terminal.until("training")
        terminal.until(lambda: re.search(r"step [1-9][\d,]*/", terminal.screen))
        return next(self.runs.iterdir())

    def saved_step(self, run: Path) -> int:
        """The step of the newest checkpoint that is whole."""
        from engine.training.run import Run

        found = Run.open(run).newest_checkpoint([])
        return 0 if found is None else found.manifest.progress.step

    def close(self) -> None:
        for terminal in self._terminals:
            terminal.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def holder(tmp_path: Path) -> list[str]:
    """The start of a command that runs the app and takes the hangup upon itself; the app's
    process id is then in the file that it names."""
    return [sys.executable, "-c", HOLDER, str(tmp_path / "pid")]


def _unused(*_: Any) -> None: ...
