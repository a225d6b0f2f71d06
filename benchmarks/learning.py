"""Held-out loss for wall time on one text, by both protocols, over several seeds.

python benchmarks/learning.py TEXT [--minutes 2.6] [--preset cpu] [--seeds 0 1 2] [--split tail]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-c", "from tui.main import main; main()"]
PROTOCOLS = [["stateful"], ["windows", "--window", "64"], ["windows", "--window", "256"]]


def last_line(words: list[str]) -> dict[str, Any]:
    """Runs lyricrnn with --json and returns its last line."""
    done = subprocess.run(
        [*COMMAND, *words, "--json"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", default="2.6")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--split", default="tail")
    parser.add_argument("--seeds", nargs="+", default=["0", "1", "2"])
    given = parser.parse_args()

    columns: dict[str, list[float]] = {}
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            run = str(Path(folder) / "run")
            began = time.perf_counter()
            budget = ["--preset", given.preset, "--split", given.split, "--minutes", given.minutes]
            finished = last_line(["train", str(given.text), "--run", run, "--seed", seed, *budget])
            row = {
                "wall s": time.perf_counter() - began,
                "steps": finished["step"],
                "chars/s": finished["characters_per_second"],
            }
            for protocol in PROTOCOLS:
                measured = last_line(["evaluate", run, "--protocol", *protocol])
                row[" ".join(protocol).replace(" --window", "")] = measured["loss"]
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
    print("| " + " | ".join(["seed", *columns]) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for index, seed in enumerate(given.seeds):
        print("| " + " | ".join([seed, *(f"{v[index]:,.3f}" for v in columns.values())]) + " |")
    medians = (f"{statistics.median(values):,.3f}" for values in columns.values())
    print("| " + " | ".join(["median", *medians]) + " |")


if __name__ == "__main__":
    main()
