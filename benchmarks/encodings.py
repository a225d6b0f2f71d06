"""How often the encoding of a short piece of lyrics is recognised, asked about, or mistaken.

    python benchmarks/encodings.py [--cuts 500] [--traditional TEXT] [--western TEXT]

Random pieces of 40 to 4,000 bytes of the shipped songs (and of texts that are given: one in
traditional characters, one with accents) are encoded and recognised again. `asked` is what a
person would be shown candidates for; `wrong` is what nobody would have noticed.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from pathlib import Path

from engine.corpus.decoding import EncodingError, decode
from engine.errors import CorpusError

CORPORA = Path(__file__).parent.parent / "corpora"
SMALLEST, LARGEST = 40, 4000  # bytes


def piece(text: str, encoding: str, rng: random.Random) -> tuple[str, bytes]:
    """A random piece of a text that the encoding can say, and not in ASCII alone."""
    while True:
        size = math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST)))
        start = rng.randrange(len(text))
        data = b""
        for character in text[start : start + LARGEST]:
            data += character.encode(encoding, "ignore")
            if len(data) >= size:
                break
        if len(data) >= SMALLEST and not (data.isascii() and b"\0" not in data):
            return data.decode(encoding), data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--traditional", type=Path)
    parser.add_argument("--western", type=Path)
    given = parser.parse_args()

    def songs(folder: str) -> str:
        files = sorted((CORPORA / folder).glob("*.txt"))
        return "\n".join(file.read_text(encoding="utf-8") for file in files)

    chinese, english = songs("chinese"), songs("english")
    rows = [("Chinese", chinese, name) for name in ("gb18030", "utf-16-le", "utf-16-be", "utf-8")]
    rows += [("English", english, name) for name in ("utf-16-le", "utf-16-be")]
    if given.traditional:
        text = given.traditional.read_text(encoding="utf-8")
        rows += [("traditional", text, name) for name in ("big5", "gb18030", "utf-16-le")]
    if given.western:
        text = given.western.read_text(encoding="utf-8")
        rows += [("accents", text, name) for name in ("windows-1252", "latin-1", "utf-8")]

    print("| text | encoding | right | wrong | asked | refused |")
    print("|---|---|---|---|---|---|")
    for label, text, encoding in rows:
        rng = random.Random(given.seed)
        counts = Counter[str]()
        for _ in range(given.cuts):
            expected, data = piece(text, encoding, rng)
            try:
                counts["right" if decode(data, "it").text == expected else "wrong"] += 1
            except EncodingError:
                counts["asked"] += 1
            except CorpusError:
                counts["refused"] += 1
        figures = " | ".join(f"{counts[name]}" for name in ("right", "wrong", "asked", "refused"))
        print(f"| {label} | {encoding} | {figures} |")


if __name__ == "__main__":
    main()
