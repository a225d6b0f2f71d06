"""How fast songs become a run's ids, how much memory that takes, and how near the floor it is.

    python benchmarks/importing.py [--megabytes 1000] [--language zh|en]

The floor is what nobody can do without: reading the file, decoding it as strict UTF-8, and one
table lookup a character by NumPy. Both are measured in turn, on a file that is made here of the
shipped songs' lines, shuffled; each in a process of its own, for its peak memory.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CORPORA = Path(__file__).parent.parent / "corpora"
LINES_OF_A_SONG = 24

FLOOR = """
import codecs, json, resource, sys, time
import numpy as np
before = time.perf_counter()
table = np.zeros(0x110000, np.uint16)
decoder = codecs.getincrementaldecoder("utf-8")()
total = 0
with open(sys.argv[1], "rb") as file:
    while data := file.read(2**20):
        codes = np.frombuffer(decoder.decode(data).encode("utf-32-le"), "<u4")
        total += table[codes].size
seconds = time.perf_counter() - before
"""

IMPORT = """
import json, resource, sys, time
from pathlib import Path
import tempfile, torch
from engine.config import TrainingConfig
from engine.corpus.corpus import Corpus
from engine.training import prepare
before = time.perf_counter()
corpus = Corpus.load(sys.argv[1])
loaded = time.perf_counter()
with tempfile.TemporaryDirectory(dir=Path(sys.argv[1]).parent) as folder:
    run, _ = prepare.new_run(Path(folder) / "run", corpus, TrainingConfig(steps=2))
    seconds = time.perf_counter() - before
    trainer = prepare.trainer_for(run, torch.device("cpu"))
    trainer.step()
    trainer.step()
"""

REPORT = """
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak": peak}))
"""


def made(path: Path, megabytes: int, language: str) -> None:
    """A file of so many megabytes in songs of 24 lines."""
    folder = CORPORA / {"zh": "chinese", "en": "english"}[language]
    lines = [
        line
        for file in sorted(folder.glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line and line[0] != "[" and ":" not in line and line != "---"
    ]
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 10**6:
            songs = ("\n".join(rng.choices(lines, k=LINES_OF_A_SONG)) for _ in range(2000))
            file.write("\n\n".join(songs) + "\n\n")


def measured(code: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", code + REPORT, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--language", choices=["zh", "en"], nargs="+", default=["zh", "en"])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()

    print("| text | MB | import s | MB/s | floor s | import / floor | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for language in given.language:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            path = Path(folder) / "songs.txt"
            made(path, given.megabytes, language)
            size = path.stat().st_size / 1e6
            pairs = [(measured(FLOOR, path), measured(IMPORT, path)) for _ in range(given.rounds)]
        floor = statistics.median(pair[0]["seconds"] for pair in pairs)
        ours = statistics.median(pair[1]["seconds"] for pair in pairs)
        ratio = statistics.median(pair[1]["seconds"] / pair[0]["seconds"] for pair in pairs)
        peak = max(pair[1]["peak"] for pair in pairs) / 1e6
        print(
            f"| {language} | {size:.0f} | {ours:.1f} | {size / ours:.0f} | {floor:.1f} "
            f"| {ratio:.2f} | {peak:.0f} |"
        )


if __name__ == "__main__":
    main()
