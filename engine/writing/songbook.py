"""What the songs that a network was taught say about form: how long their lines are, and which
words they are made of."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

from engine.writing.rhyme import syllables

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*['’]?")
_BREAKS = re.compile(r"[^\w]+|_+")
_READ = 2**22  # characters; more songs say nothing new about form
_LONGEST_LINE = 60  # characters or syllables of a line that is worth imitating


class Songbook:
    """The words of all songs, with `\\n` between lines."""

    def __init__(self, text: str) -> None:
        self.text = text[:_READ]

    @cached_property
    def latin(self) -> bool:
        """Whether the songs are written in Latin letters."""
        sample = self.text[: 2**16]
        return len(_LATIN.findall(sample)) > len(_HAN.findall(sample))

    @cached_property
    def clauses(self) -> Counter[tuple[int, ...]]:
        """How often a line has so many sung characters in its clauses: (4, 5) for 4 and 5."""
        found: Counter[tuple[int, ...]] = Counter()
        for line in self.text.split("\n"):
            lengths = tuple(len(part) for part in _BREAKS.split(line) if part)
            if lengths and sum(lengths) <= _LONGEST_LINE:
                found[lengths] += 1
        return found

    @cached_property
    def words(self) -> Counter[str]:
        """The words in small letters, with how often each stands in the songs."""
        return Counter(word.replace("’", "'").lower() for word in _WORD.findall(self.text))

    @cached_property
    def lexicon(self) -> dict[str, int]:
        """The words whose syllables the dictionary knows, with their number. Needs the extra
        `english`; raises ConfigError."""
        counted = ((word, syllables(word)) for word in self.words)
        return {word: found.count for word, found in counted if not found.guessed}

    @cached_property
    def line_syllables(self) -> Counter[int]:
        """How often a line of known words has so many syllables."""
        found: Counter[int] = Counter()
        for line in self.text.split("\n"):
            counts = [
                self.lexicon.get(word.replace("’", "'").lower()) for word in _WORD.findall(line)
            ]
            known = [count for count in counts if count]
            if known and len(known) == len(counts) and sum(known) <= _LONGEST_LINE:
                found[sum(known)] += 1
        return found
