"""What the app costs: bytes on the line, keys, and training speed.

    python benchmarks/screen.py [--rounds 3] [--slices 8] [--seconds 5]

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
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "corpora" / "english" / "songs.txt"
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


def train_in_app(terminal: Terminal, minutes: float) -> None:
    """Fills in the form behind `n`: only the minutes differ from the preset."""
    terminal.press("n")
    terminal.count(0.5)
    terminal.press("\t")
    terminal.count(0.5)
    terminal.press(f"{minutes}\r")
    terminal.until("chars/s")


def headless(home: str, *words: str) -> subprocess.Popen[bytes]:
    """Training from the command line, begun."""
    process = subprocess.Popen(
        [*COMMAND, "train", *words],
        env={**os.environ, "LYRICRNN_HOME": home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    process.stderr.readline()  # said once training begins
    return process


def last_step(home: str) -> int:
    """The last step that the one run there has told of."""
    (metrics,) = Path(home, "runs").glob("*/metrics.jsonl")
    return int(json.loads(metrics.read_bytes().splitlines()[-1])["step"])


def app_against_headless(slices: int, seconds: float) -> float:
    """Training speed with the app open, as a share of that without it: one run twice, of which
    one trains in the app and one from the command line. They take turns of a few seconds, the
    other one halted meanwhile, so that both meet the same drift of the machine."""
    with tempfile.TemporaryDirectory() as alone, tempfile.TemporaryDirectory() as shown:
        process = headless(alone, str(CORPUS), "--minutes", "30", "--patience", "0")
        process.send_signal(signal.SIGINT)
        process.communicate()
        shutil.copytree(alone, shown, dirs_exist_ok=True)
        (run,) = Path(alone, "runs").iterdir()
        process = headless(alone, "--resume", "--run", str(run))
        os.kill(process.pid, signal.SIGSTOP)
        terminal = Terminal(shown)
        terminal.until("go on")
        terminal.count(3)
        terminal.press(" ")
        terminal.until("chars/s")
        terminal.count(3)
        os.kill(terminal.pid, signal.SIGSTOP)
        starts = 0, 0
        for turn in range(slices + 1):
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(seconds)
            os.kill(process.pid, signal.SIGSTOP)
            os.kill(terminal.pid, signal.SIGCONT)
            terminal.count(seconds)
            os.kill(terminal.pid, signal.SIGSTOP)
            if turn == 0:  # both are warm now
                starts = last_step(alone), last_step(shown)
        ends = last_step(alone), last_step(shown)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.quit()
    return (ends[1] - starts[1]) / (ends[0] - starts[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=8, help="turns of each in a round")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one turn")
    given = parser.parse_args()

    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(home)
        terminal.until("lyricrnn")
        terminal.count(5)
        idle = terminal.count(10)
        train_in_app(terminal, 5)
        terminal.count(5)
        bytes_training = terminal.count(20)
        times = terminal.key_times(["m", "l", "+", "-"], 120)
        quitting = terminal.quit()
    rows += [
        ("bytes written idle", f"{idle:.0f} /s"),
        ("bytes written training, generator silent", f"{bytes_training:.0f} /s"),
        ("key to paint while training, p50", f"{quantile(times, 0.5):.0f} ms"),
        ("key to paint while training, p99", f"{quantile(times, 0.99):.0f} ms"),
        ("quitting while training", f"{quitting:.2f} s"),
    ]

    ratios = [app_against_headless(given.slices, given.seconds) for _ in range(given.rounds)]
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
