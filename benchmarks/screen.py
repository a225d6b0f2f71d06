"""What the app costs: time to its first frame, bytes on the line, keys, and training speed.

    python benchmarks/screen.py [--minutes 0.5] [--rounds 3]

Drives `lyricrnn` through a pseudo-terminal of 120 × 40, as a person over SSH would.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "corpora" / "english-songs.txt"
PART = 0.8  # of a run's minutes, after which both faces are asked to save and leave
COMMAND = [sys.executable, "-c", "from tui.main import main; main()"]


class Terminal:
    """A program in a pseudo-terminal of its own; what it writes is read and counted."""

    def __init__(self, home: str) -> None:
        self.started = time.perf_counter()
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LYRICRNN_HOME=home)
            os.execvp(COMMAND[0], COMMAND)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.said = b""

    def read(self, seconds: float) -> bytes:
        """What it writes next, within so long."""
        if not select.select([self.descriptor], [], [], max(0.0, seconds))[0]:
            return b""
        data = os.read(self.descriptor, 1 << 16)
        self.said += data
        return data

    def count(self, seconds: float) -> float:
        """Bytes a second over so long."""
        until, total = time.perf_counter() + seconds, 0
        while (left := until - time.perf_counter()) > 0:
            total += len(self.read(min(left, 0.05)))
        return total / seconds

    def until(self, text: str, seconds: float = 60) -> float:
        """Seconds from the program's start until it has written a text."""
        end = time.perf_counter() + seconds
        while text.encode() not in self.said:
            if time.perf_counter() > end:
                raise TimeoutError(f"{text!r} did not appear")
            self.read(0.01)
        return time.perf_counter() - self.started

    def press(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def key_times(self, keys: list[str], times: int) -> list[float]:
        """Milliseconds from a key to the first byte that comes after it; keys that change the
        screen, pressed in turn, at odd moments between the app's own updates."""
        found = []
        for turn in range(times):
            while self.read(0):
                pass
            sent = time.perf_counter()
            self.press(keys[turn % len(keys)])
            if self.read(2):
                found.append((time.perf_counter() - sent) * 1e3)
            self.count(0.05 + 0.011 * (turn % 7))
        return found

    def quit(self) -> float:
        """Ctrl+Q; seconds until the process has ended."""
        asked = time.perf_counter()
        self.press("\x11")
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            with contextlib.suppress(OSError):
                self.read(0.02)
        return time.perf_counter() - asked


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def speed_of(home: str) -> float:
    """Characters a second of the newest run's training, from its checkpoint."""
    run = max(Path(home, "runs").iterdir(), key=lambda path: path.stat().st_mtime)
    newest = sorted((run / "checkpoints").glob("step-*/manifest.json"))[-1]
    progress = json.loads(newest.read_bytes())["progress"]
    return progress["step"] / progress["seconds"]


def train_in_app(minutes: float, terminal: Terminal) -> None:
    """Fills in the form behind `n`: only the minutes differ from the preset."""
    terminal.press("n")
    terminal.count(0.5)
    terminal.press("\t")
    terminal.count(0.5)
    terminal.press(f"{minutes}\r")
    terminal.until("chars/s")


def train_headless(minutes: float, home: str) -> None:
    """The same run from the command line, interrupted after the same time."""
    process = subprocess.Popen(
        [*COMMAND, "train", str(CORPUS), "--minutes", str(minutes)],
        env={**os.environ, "LYRICRNN_HOME": home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    process.stderr.readline()  # said once training begins
    time.sleep(minutes * 60 * PART)
    process.send_signal(signal.SIGINT)
    process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()

    rows: list[tuple[str, str]] = []
    firsts, helps, quits = [], [], []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(5):
            terminal = Terminal(home)
            firsts.append(terminal.until("lyricrnn"))
            terminal.count(3)
            terminal.quit()
            began = time.perf_counter()
            subprocess.run([*COMMAND, "--help"], stdout=subprocess.DEVNULL, check=True)
            helps.append(time.perf_counter() - began)
        terminal = Terminal(home)
        terminal.until("lyricrnn")
        terminal.count(5)
        idle = terminal.count(10)
        train_in_app(5, terminal)
        terminal.count(5)
        bytes_training = terminal.count(20)
        times = terminal.key_times(["m", "l", "+", "-"], 120)
        quits.append(terminal.quit())
    rows += [
        ("first frame, median of 5", f"{statistics.median(firsts):.2f} s"),
        ("lyricrnn --help, median of 5", f"{statistics.median(helps):.2f} s"),
        ("bytes written idle", f"{idle:.0f} /s"),
        ("bytes written training, generator silent", f"{bytes_training:.0f} /s"),
        ("key to paint while training, p50", f"{quantile(times, 0.5):.0f} ms"),
        ("key to paint while training, p99", f"{quantile(times, 0.99):.0f} ms"),
        ("quitting while training", f"{statistics.median(quits):.2f} s"),
    ]

    ratios = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as home:
            train_headless(given.minutes, home)
            headless = speed_of(home)
        with tempfile.TemporaryDirectory() as home:
            terminal = Terminal(home)
            terminal.until("lyricrnn")
            terminal.count(4)
            train_in_app(given.minutes, terminal)
            terminal.count(given.minutes * 60 * PART)
            terminal.quit()
            ratios.append(speed_of(home) / headless)
    rows.append(
        (
            "training speed, app against headless",
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f})",
        )
    )
    for name, figure in rows:
        print(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
