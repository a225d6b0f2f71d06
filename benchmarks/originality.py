"""How fast copies are found in a written line, and whether all of them are.

    python benchmarks/originality.py TEXT... [--lines 500] [--spans 10000]

Lines of 10 to 60 characters are put together from halves of the text's own, so that they are full
of copies; `forbidden` is asked after the beginnings of its lines. Then spans cut out of the text at
random are planted between characters that it lacks, as they are and with one character changed:
`found` counts those that came back whole and, as they are, from the first song that has them. The
last row is a text in which every line is a refrain, which is as bad as songs get.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import tracemalloc
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from engine.corpus.corpus import song_places
from engine.writing.originality import Originality

REFRAINS = 20_000  # lines
FENCE, CHANGED = "\ue000", "\ue001"


def milliseconds(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) * 1e3


def bytes_held(text: str) -> tuple[float, float]:
    """Bytes a character that an index holds, and that building it takes at most."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    index = Originality.of_text(text)
    held, most = (size - before for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    del index
    return held / len(text), most / len(text)


def planted(index: Originality, text: str, spans: int, rng: random.Random) -> tuple[int, int]:
    """How many of so many spans were found as they are, and with one character changed."""
    lines = [line for line in text.split("\n") if len(line) >= index.shortest]
    starts = song_places(text)[0].tolist()
    exact = near = 0
    for _ in range(spans):
        line = rng.choice(lines)
        length = rng.randint(index.shortest, min(len(line), 3 * index.shortest))
        start = rng.randint(0, len(line) - length)
        span = line[start : start + length]
        song = max(0, bisect_right(starts, text.find(span)) - 1)
        found = index.copies(f"{FENCE}{span}{FENCE}")
        exact += [(copy.start, copy.end, copy.song) for copy in found] == [(1, length + 1, song)]
        at = rng.randint(1, length - 2)
        changed = index.copies(f"{FENCE}{span[:at]}{CHANGED}{span[at + 1 :]}{FENCE}")
        near += (1, length + 1, at + 1) in [(c.start, c.end, c.changed) for c in changed]
    return exact, near


def row(name: str, text: str, count: int, spans: int, seed: int) -> str:
    rng = random.Random(seed)
    held, most = bytes_held(text)
    built = statistics.median(milliseconds(lambda: Originality.of_text(text)) for _ in range(5))
    index = Originality.of_text(text)
    lines = [line for line in text.split("\n") if len(line) >= 10]
    pairs = [rng.sample(lines, 2) for _ in range(count)]
    mixed = [(a[: len(a) // 2] + b[len(b) // 2 :])[:60] for a, b in pairs]
    searches = sorted(milliseconds(lambda line=line: index.copies(line)) for line in mixed)
    longest = index.shortest + 1
    tails = [line[:longest] for line in lines if len(line) > longest] or [""]
    first = milliseconds(lambda: index.forbidden(tails[0], longest))
    tails = rng.choices(tails, k=count)
    asked = [milliseconds(lambda tail=tail: index.forbidden(tail, longest)) for tail in tails]
    exact, near = planted(index, text, spans, rng) if spans else (0, 0)
    return (
        f"| {name} | {len(text):,} | {built:.0f} | {held:.1f} / {most:.1f} | "
        f"{statistics.median(searches):.2f} | {searches[-1]:.2f} | "
        f"{first:.0f} | {statistics.median(asked) * 1e3:.0f} | "
        f"{exact:,} + {near:,} of {spans:,} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, nargs="+", metavar="TEXT")
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        "| text | characters | index, ms | bytes a character, held / at most | a line, ms median | "
        "at most | forbidden: index, ms | a call, µs | planted found, as they are + changed |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for path in given.texts:
        text = path.read_text(encoding="utf-8")
        print(row(path.name, text, given.lines, given.spans, given.seed), flush=True)
    refrains = "\n".join(f"la la la la la la la la la la la {n}" for n in range(REFRAINS))
    print(row("refrains", refrains, given.lines, 0, given.seed))


if __name__ == "__main__":
    main()
