"""Which endings a line may have so that it rhymes: the sounds of a vocabulary, in groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from engine.writing.form import Form
from engine.writing.rhyme import (
    WORD,
    System,
    character_classes,
    english_keys,
    family,
    last_word,
    mandarin_class,
)
from engine.writing.rules import Alphabet, clause_ends
from engine.writing.songbook import Songbook

Key = str | tuple[str, ...]  # a rhyme class, or the phonemes that words share


class Rhymes(Protocol):
    """Endings by their sound: characters in Mandarin, words in English."""

    @property
    def groups(self) -> Mapping[Key, frozenset[str]]:
        """The endings that sound alike."""
        ...

    @property
    def sure(self) -> frozenset[str]:
        """Endings that sound as in their groups in nearly every line."""
        ...

    def keys(self, line: str) -> Collection[Key]:
        """The sounds of a finished line, none where it has no rhyme."""
        ...

    def ending(self, line: str) -> str:
        """What a line rhymes with: its last character or word."""
        ...

    def clauses(self, line: str, count: int) -> list[str]:
        """A line up to each of so many rhymes, itself last; "" where it lacks one."""
        ...


class MandarinRhymes:
    """The characters of a vocabulary by their rhyme class, in every reading that they have."""

    def __init__(self, alphabet: Alphabet, system: System, *, tones: bool) -> None:
        self._system: System = system
        self._tones = tones
        groups: dict[Key, set[str]] = defaultdict(set)
        sure = set()
        for index in alphabet.sung.nonzero()[0].tolist():
            character = alphabet.characters[index]
            classes = character_classes(character, system, tones=tones)
            for key in classes:
                groups[key].add(character)
            if len(classes) == 1:
                sure.add(character)
        self.groups = {key: frozenset(members) for key, members in groups.items()}
        self.sure = frozenset(sure)

    def keys(self, line: str) -> Collection[Key]:
        """The class of the line's last character as it is read in this line."""
        key = mandarin_class(line, self._system, tones=self._tones)
        return () if key is None else (key,)

    def ending(self, line: str) -> str:
        sung = [character for character in line if character.isalnum()]
        return sung[-1] if sung else ""

    def clauses(self, line: str, count: int) -> list[str]:
        """Up to the end of each clause."""
        parts = [line[:end] for end in clause_ends(line)[:-1]][: count - 1]
        return [*parts, *[""] * (count - 1 - len(parts)), line]


class EnglishRhymes:
    """The words of a songbook by their phonemes from the last stressed vowel on; with `slant`,
    consonants of one family count as one."""

    def __init__(self, words: Iterable[str], *, slant: bool) -> None:
        self._slant = slant
        groups: dict[Key, set[str]] = defaultdict(set)
        for word in words:
            for key in self._of(word):
                groups[key].add(word)
        self.groups = {key: frozenset(members) for key, members in groups.items()}
        self.sure = frozenset().union(*self.groups.values())

    def _of(self, word: str) -> Collection[Key]:
        keys = english_keys(word)
        return {family(key) for key in keys} if self._slant else keys

    def keys(self, line: str) -> Collection[Key]:
        word = last_word(line)
        return self._of(word) if word else ()

    def ending(self, line: str) -> str:
        return last_word(line)

    def clauses(self, line: str, count: int) -> list[str]:
        """Up to an earlier word that rhymes with the last one."""
        if count == 1:
            return [line]
        its, last = set(self.keys(line)), self.ending(line)
        parts = (line[: word.end()] for word in WORD.finditer(line))
        found = (
            part for part in parts
            if self.ending(part) != last and not its.isdisjoint(self.keys(part))
        )  # fmt: skip
        return [next(found, ""), line]


def rhymes_of(form: Form, alphabet: Alphabet, songbook: Songbook) -> Rhymes:
    """The rhymes that a form asks for. Raises ConfigError where English ones need the extra."""
    if songbook.latin:
        return EnglishRhymes({**songbook.lexicon, **dict(form.syllables)}, slant=form.slant)
    return MandarinRhymes(alphabet, form.rhymes, tones=form.tones)
