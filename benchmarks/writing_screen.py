"""What a keystroke costs in a long song: from the key to the sheet, its gutter and its marks.

    python benchmarks/writing_screen.py [--lines 200] [--keys 200]

Types in the middle of a song on the real screen, without a network, in Chinese and in English; the
target is one frame at 60 a second, 16 ms. A keystroke here is journal, gutter, layout and marks;
`drawn` is until the screen has nothing more to do, which Textual itself waits for in steps.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time

WORDS = {
    "Chinese": ("春江花月夜", "海上明月生", "山中听晚钟", "风起白云飞"),
    "English": (
        "the river takes the light away",
        "a window open to the rain",
        "and every road is made of clay",
        "the night is coming home again",
    ),
}
TYPED = {"Chinese": "月", "English": "a"}


async def measured(language: str, lines: int, keys: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each key: of the change with all that is laid out, and until it is drawn."""
    from engine.session import Engine
    from engine.writing.journal import Drafts
    from tui.app import LyricApp
    from tui.screens.writing import Writing

    words = WORDS[language]
    with Drafts().create(language) as draft:
        draft.insert_lines(1, 0, [words[number % len(words)] for number in range(lines)])
    changes, drawn = [], []
    async with Engine() as engine:
        app = LyricApp(engine)
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press("s")
            while not (
                isinstance(app.screen, Writing)
                and app.screen._desk is not None
                and app.screen._sounds
            ):
                await pilot.pause(0.05)
            screen = app.screen
            assert screen._desk is not None
            for number in range(keys):
                if number % 10 == 0:
                    screen._desk.go_to(screen._desk.song.lines[number // 10].id)
                started = time.perf_counter()
                screen._act("type", TYPED[language])
                changes.append((time.perf_counter() - started) * 1e3)
                await pilot.pause(0)
                drawn.append((time.perf_counter() - started) * 1e3)
    return changes, drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--keys", type=int, default=200)
    given = parser.parse_args()
    print("| song | lines | keystroke p50 | p99 | drawn p50 | p99 |")
    print("|---|---|---|---|---|---|")
    for language in WORDS:
        with tempfile.TemporaryDirectory() as home:
            os.environ["LYRICRNN_HOME"] = home
            figures = asyncio.run(measured(language, given.lines, given.keys))
        cells = [
            f"{value:.1f} ms"
            for times in figures
            for value in (statistics.median(times), sorted(times)[int(0.99 * len(times))])
        ]
        print(f"| {language} | {given.lines} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
