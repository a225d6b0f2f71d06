"""A real pseudo-terminal with a person's hands on it: what Pilot cannot see."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyte
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0  # seconds for what must happen; only a broken test waits so long
APP = [sys.executable, "-c", "import sys; from tui.main import main; sys.exit(main())"]
BEGUN_AT = 30  # the step at which the run lies that every terminal opens

# What a full-screen program switches on, by the number of the mode. All must be as it was, once
# the program has ended.
MODES = {
    "alternate screen": 1049,
    "mouse": 1000,
    "mouse, every movement": 1003,
    "mouse, long coordinates": 1006,
    "focus": 1004,
    "bracketed paste": 2004,
    "resize reports": 2048,
}

# Runs a program as its child, and takes the hangup upon itself: only the session's leader is sent
# SIGHUP, so the program below sees the line go dead and no signal, as under `sudo` or a wrapper.
HOLDER = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *_: None)
child = subprocess.Popen(sys.argv[2:])
status = child.wait()
open(sys.argv[1], "w").write(str(status))
"""


class Terminal:
    """A program in a terminal of its own. What it writes is kept raw, and drawn by pyte."""

    def __init__(
        self, command: list[str], environment: dict[str, str], size: tuple[int, int]
    ) -> None:
        columns, rows = size
        self._master, slave = os.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._attributes = termios.tcgetattr(slave)[:4]
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
        self._slave = slave  # kept, so that the line outlives the program, as under a shell
        self.said = bytearray()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    # -- what the program writes --------------------------------------------------------------

    def read(self, seconds: float) -> bytes:
        """What the program writes next; nothing where it is silent for so long."""
        if not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return b""
        data = os.read(self._master, 1 << 16)
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
            if not self.read(0.05):
                assert self.process.poll() is None, f"ended: {self.process.returncode}\n{self}"

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

    def __str__(self) -> str:
        return f"{self.screen}\n{bytes(self.said[-2000:])!r}"

    # -- what a person does -------------------------------------------------------------------

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """The line is cut: nobody reads or writes at the other end any more."""
        self._close_ends()

    # -- its end ------------------------------------------------------------------------------

    def ended(self) -> int:
        """Waits for the end and returns the exit status, minus the signal where one killed it."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self}"
            if self._master < 0:
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.1)
            else:
                self.read(0.05)
        while self._master >= 0 and self.read(0.1):
            pass
        return self.process.returncode

    def left_behind(self) -> list[str]:
        """What the program switched on and never off, and what else is not as before."""
        left = [name for name, mode in MODES.items() if self._is_on(mode)]
        if self.said.rfind(b"\x1b[?25l") > self.said.rfind(b"\x1b[?25h"):
            left.append("hidden cursor")
        if self.said.rfind(b"\x1b[?7l") > self.said.rfind(b"\x1b[?7h"):
            left.append("no line wrap")
        taken = len(re.findall(rb"\x1b\[>\d*u", self.said))
        if taken != len(re.findall(rb"\x1b\[<\d*u", self.said)):
            left.append("keyboard protocol")
        if termios.tcgetattr(self._master)[:4] != self._attributes:
            left.append("termios")
        # What stands after the alternate screen was left is what the shell's user sees.
        after = bytes(self.said).rpartition(b"\x1b[?1049l")[2]
        words = re.sub(rb"\x1b\[[<>=?\d;]*[a-zA-Z]", b"", after).strip()
        if words:
            left.append(f"words: {words!r}")
        return left

    def _is_on(self, mode: int) -> bool:
        switched = re.findall(rb"\x1b\[\?%d([hl])" % mode, self.said)
        return bool(switched) and switched[-1] == b"h"

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # the group is its own
        self.process.wait()
        self._close_ends()

    def _close_ends(self) -> None:
        if self._master >= 0:
            os.close(self._slave)
            os.close(self._master)
            self._master = -1


class Desk:
    """Opens terminals on a place of their own, with one run in it that would take days."""

    def __init__(self, home: Path) -> None:
        self.home, self.run = home, home / "runs" / "songs-1"
        self._terminals: list[Terminal] = []

    def environment(self, **more: str) -> dict[str, str]:
        dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM", "TERM_PROGRAM")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "LYRICRNN_HOME": str(self.home),
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

    def opened(self, **more: str) -> Terminal:
        """The app, with the run open."""
        made = self.open(**more)
        made.until("space go on")
        return made

    def training(self, command: list[str] | None = None) -> Terminal:
        """The app, training."""
        made = self.open(command)
        made.until("space go on")
        made.press(" ")
        made.until(lambda: self.step_on(made) > BEGUN_AT)
        return made

    @staticmethod
    def step_on(terminal: Terminal) -> int:
        """The step that the screen shows."""
        found = re.search(r"step ([\d,]+)/", terminal.screen)
        return int(found[1].replace(",", "")) if found else -1

    def saved_step(self) -> int:
        """The step of the run's newest checkpoint that is whole."""
        from engine.training.run import Run

        found = Run.open(self.run).newest_checkpoint([])
        return 0 if found is None else found.manifest.progress.step

    def close(self) -> None:
        for terminal in self._terminals:
            terminal.close()


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has begun and is saved, made once for all tests."""
    import torch

    from engine.config import CorpusConfig, ModelConfig, TrainingConfig
    from engine.corpus.corpus import Corpus
    from engine.training import prepare
    from engine.training.loop import TrainingLoop

    text = "\n\n".join(
        f"春江花月{word}\n明月共{word}生\nla la la {word}" for word in "夜水山云风雨雪"
    )
    config = TrainingConfig(
        model=ModelConfig(hidden=8, embedding=4),
        corpus=CorpusConfig(held_out=0.3),
        batch=2,
        time_steps=8,
        steps=4_000_000,
        evaluate_every=2_000_000,
        checkpoint_every=2_000_000,
        sample_every=2_000_000,
        threads=1,
        precision="fp32",
        device="cpu",
    )
    corpus = Corpus.from_text(text, config=config.corpus)
    run, _ = prepare.new_run(tmp_path_factory.mktemp("begun") / "run", corpus, config)
    loop = TrainingLoop(run, prepare.trainer_for(run, torch.device("cpu")))
    loop.restore()
    while loop.trainer.step_count < BEGUN_AT:
        loop.advance()
    loop.save()
    loop.close()
    return run.path


@pytest.fixture
def desk(tmp_path: Path, begun: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    shutil.copytree(begun, made.run)
    yield made
    made.close()


@pytest.fixture
def holder(tmp_path: Path) -> tuple[list[str], Path]:
    """A command that runs the app below a process that takes the hangup upon itself, and the
    file in which the app's exit status is found."""
    file = tmp_path / "status"
    return [sys.executable, "-c", HOLDER, str(file), *APP], file
