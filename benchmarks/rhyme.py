"""How right guessed sounds are, and how long rhymes take.

    python benchmarks/rhyme.py [--common TEXT] [--tunes TEXT]

Guesses: of words that are held apart from the pronouncing dictionary, how many get the ending and
the number of syllables that it gives; `common` are those of them that stand in TEXT. The weights of
the guessed ending were chosen on another twentieth; the spelling rule for syllables was written by
looking at the other half of the dictionary.

Times: medians of what an editor or a form asks for.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from engine.corpus.corpus import Corpus
from engine.writing import rhyme, tunes
from engine.writing.sound import english
from engine.writing.sound.syllables import by_spelling

CORPORA = Path(__file__).parent.parent / "corpora"
LINES = 200
LEXICON = 30_000


def held_apart(word: str, one_of: int) -> bool:
    """A share of the words, the same ones every time, that no rule was fitted to."""
    return hashlib.md5(word.encode()).digest()[0] % one_of == one_of - 1


def guesses(common: set[str]) -> None:
    dictionary = dict(english._dictionary())
    words = [word for word in dictionary if word.isalpha()]
    for_endings = [word for word in words if held_apart(word, 20)]
    known = {word: rhyme.english_keys(word) for word in for_endings}
    for word in for_endings:
        del english._dictionary()[word]
    english._by_ending.cache_clear()
    english._sounds.cache_clear()
    guessed = {word: rhyme.english_keys(word) for word in for_endings}
    english._dictionary().update({word: dictionary[word] for word in for_endings})
    english._by_ending.cache_clear()
    english._sounds.cache_clear()
    ends = {word: bool(guessed[word] & known[word]) for word in for_endings}
    counts = {
        word: by_spelling(word) == sum(sound[-1].isdigit() for sound in dictionary[word][0])
        for word in words
        if held_apart(word, 2)
    }
    print("| guessed | words | right | common words | right |\n|---|---:|---:|---:|---:|")
    for name, right in (("ending", ends), ("syllables", counts)):
        those = [is_right for word, is_right in right.items() if word in common]
        print(
            f"| {name} | {len(right):,} | {statistics.mean(right.values()):.1%} | {len(those):,} "
            f"| {f'{statistics.mean(those):.1%}' if those else ''} |"
        )


def median(work: Callable[[int], object], times: int = 21) -> float:
    """Milliseconds."""
    taken = []
    for turn in range(times):
        start = time.perf_counter()
        work(turn)
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


def songs(folder: str) -> list[str]:
    files = sorted((CORPORA / folder).glob("*.txt"))
    return [line for file in files for line in file.read_text("utf-8").split("\n") if line]


def times(text: Path | None) -> None:
    chinese, lyrics = songs("chinese")[:LINES], songs("english")[:LINES]
    sung = rhyme.endings(songs("english"), "english")
    lexicon = list(english._dictionary())[:LEXICON]
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 6000)]

    def edited(lines: list[str], turn: int, end: str) -> list[str]:
        return [*lines[:-1], lines[-1] + end * (turn + 1)]

    def anew(turn: int) -> object:
        english._sounds.cache_clear()
        return [rhyme.english_keys(word) for word in lexicon]

    def unknown(turn: int) -> object:
        english._sounds.cache_clear()
        return [rhyme.english_keys(word + "zle") for word in lexicon[:1000]]

    rows = {
        f"letters of {LINES} Chinese lines after a keystroke": median(
            lambda turn: rhyme.letters_of(edited(chinese, turn, "上"))
        ),
        f"letters of {LINES} English lines after a keystroke": median(
            lambda turn: rhyme.letters_of(edited(lyrics, turn, "a"), "english", slant=True)
        ),
        "classes of 6,000 characters, the first time": median(
            lambda _: [rhyme.character_classes(one) for one in characters], 1
        ),
        "keys of 30,000 words, none seen before": median(anew, 5),
        "guessed endings of 1,000 words": median(unknown, 5),
        f"what rhymes with a word among {len(sung):,}": median(
            lambda _: rhyme.rhyming("night", sung, "english"), 5
        ),
    }
    if text:
        corpus = Corpus.load(text)
        rows[f"tunes of {len(corpus.songs):,} songs"] = median(lambda _: tunes.of_corpus(corpus), 3)
    print("\n| | ms |\n|---|---:|")
    for name, taken in rows.items():
        print(f"| {name} | {taken:,.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--common", type=Path)
    parser.add_argument("--tunes", type=Path)
    given = parser.parse_args()
    text = given.common.read_text("utf-8") if given.common else ""
    guesses(set(re.findall("[a-z]+", text.lower())))
    times(given.tunes)


if __name__ == "__main__":
    main()
