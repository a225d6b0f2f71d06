"""How long a draft of many changes takes to open, and what one change costs who types.

    python benchmarks/drafts.py [--changes 10000] [--lines 40] [--rounds 5]

A song of some lines is typed at random, a character at a time, every tenth change being a line by a
model. The floor of opening is reading the file and taking the CRC-32 of its lines.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from engine.writing.draft import Model, Span
from engine.writing.journal import Drafts, OpenDraft

MODEL = Model("runs/lamp", 1200, "ab" * 32, 7, {"temperature": 0.8, "top_k": 0, "prompt": "moon"})
LONGEST = 60  # characters of a line


def typed(song: OpenDraft, lines: list[int], changes: int) -> list[float]:
    """The seconds that each change took."""
    rng = random.Random(0)
    took = []
    for number in range(changes):
        line = rng.choice(lines)
        text = song.draft.line(line).text
        place = rng.randrange(len(text) + 1)
        gone = int(len(text) >= LONGEST)
        text = text[:place] + rng.choice("abcdef ") + text[place + gone :]
        began = time.perf_counter()
        if number % 10:
            song.set_text(line, text)
        else:
            song.write(line, [Span(f"the lamp is lit {number}", MODEL)])
        took.append(time.perf_counter() - began)
    return took


def median_of(rounds: int, act: Callable[[], object]) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        drafts = Drafts(Path(folder))
        with drafts.create("x") as song:
            lines = song.insert_lines(1, 0, [f"line {n} of this song" for n in range(asked.lines)])
            changes = sorted(typed(song, lines, asked.changes))
        path = song.path
        whole = median_of(asked.rounds, lambda: drafts.open("x").close())
        floor = median_of(
            asked.rounds, lambda: [zlib.crc32(line) for line in path.read_bytes().split(b"\n")]
        )
        size = path.stat().st_size
    print("| draft | value |\n|---|---|")
    print(f"| changes, lines | {asked.changes:,}, {asked.lines} |")
    print(f"| bytes a change | {size / asked.changes:.0f} |")
    print(f"| opening | {whole:.2f} s |")
    print(f"| opening / reading and CRC-32 | {whole / floor:.0f} |")
    print(f"| a change, median | {statistics.median(changes) * 1e6:.0f} µs |")
    print(f"| a change, 99 of 100 | {changes[int(len(changes) * 0.99)] * 1e6:.0f} µs |")
    print(f"| a change, slowest | {changes[-1] * 1e3:.1f} ms |")


if __name__ == "__main__":
    main()
