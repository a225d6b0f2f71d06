"""How long a person waits before anything happens.

    python benchmarks/startup.py [--rounds 5]

Seconds from the command to the moment that is named, in turns, each in a process of its own with
warm files. What Python and torch take by themselves, without lyricrnn, stands beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from screen import COMMAND, CORPUS, Terminal


def until_a_line(home: str, *command: str) -> float:
    """Seconds until a command has written its first line to standard output; then it is ended."""
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        env={**os.environ, "LYRICRNN_HOME": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            sys.exit(f"{' '.join(command)} wrote nothing.")
        seconds = time.perf_counter() - began
        process.kill()
    return seconds


def until_a_frame(home: str) -> float:
    terminal = Terminal(home)
    seconds = terminal.until("lyricrnn")
    terminal.count(1)
    terminal.quit()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run = str(Path(home, "taught"))
        train = [*COMMAND, "train", str(CORPUS), "--preset", "tiny", "--json"]
        quiet = subprocess.DEVNULL
        subprocess.run([*train, "--run", run], stdout=quiet, stderr=quiet, check=True)
        python = [sys.executable, "-c"]
        moments: dict[str, Callable[[], float]] = {
            "Python alone": lambda: until_a_line(home, *python, "print()"),
            "Python and torch": lambda: until_a_line(home, *python, "import torch; print()"),
            "`lyricrnn --help`": lambda: until_a_line(home, *COMMAND, "--help"),
            "`lyricrnn corpus list`": lambda: until_a_line(home, *COMMAND, "corpus", "list"),
            "the app's first frame": lambda: until_a_frame(home),
            "`lyricrnn inspect RUN`": lambda: until_a_line(home, *COMMAND, "inspect", run),
            "`lyricrnn generate RUN`, a song of 200 characters": lambda: until_a_line(
                home, *COMMAND, "generate", run, "--length", "200", "--json"
            ),
            "`lyricrnn train`, its first event": lambda: until_a_line(home, *train),
        }
        found: dict[str, list[float]] = {name: [] for name in moments}
        for _ in range(given.rounds):
            for name, moment in moments.items():
                found[name].append(moment())
    print("| | seconds, median | from | to |")
    print("|---|---|---|---|")
    for name, times in found.items():
        figures = statistics.median(times), min(times), max(times)
        print(f"| {name} | {' | '.join(f'{figure:.2f}' for figure in figures)} |")


if __name__ == "__main__":
    main()
