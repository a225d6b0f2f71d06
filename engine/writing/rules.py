"""Which characters may come next, so that a line can still be finished as it was asked for.

A rule is an automaton over the characters of one line. Of each state it knows which characters lead
on to a line that meets every demand: a generator that draws from `allowed` only can never write
itself into a corner. Where no line meets the demands, making the rule raises FormError.

A network that was taught lines backwards writes them backwards: `backward` rules take the same
demands from the line's end to its beginning.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.corpus.vocabulary import Vocabulary
from engine.errors import FormError
from engine.writing.sampling import UNKNOWN_ID

Mask = NDArray[np.bool_]  # (V,): the characters that may come next
State = tuple[Any, ...]

LONGEST_FREE = 200  # characters, after which a line of no demanded length ends


class Rule(Protocol):
    """The lines that may be written; a line is finished when its line end is taken."""

    start: State

    def allowed(self, state: State) -> Mask:
        """The characters that may come next; shared, not to be changed."""
        ...

    def after(self, state: State, character: int) -> State:
        """The state after one of the allowed characters."""
        ...


class Alphabet:
    """What the characters of a vocabulary are to a line: sung (letters, numbers, symbols), or
    breaks (punctuation and space), which are not counted."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        line_end = vocabulary.id_of("\n")
        if line_end is None:
            raise FormError(
                "This network never saw a line end, so it cannot write in form: train it with "
                "newline = keep."
            )
        self.line_end = line_end
        self.characters = vocabulary.characters
        self.size = vocabulary.size
        single = [c if len(c) == 1 else "\0" for c in self.characters]  # <unk> is no character
        self.sung = np.array([is_sung(c) for c in single])
        self.breaks = np.array([unicodedata.category(c)[0] in "PZ" for c in single])
        self.sung[UNKNOWN_ID] = self.breaks[UNKNOWN_ID] = False
        self.spaces = self.breaks & np.array([c.isspace() for c in self.characters])
        self._ids = {character: index for index, character in enumerate(self.characters)}

    def mask(self, characters: Iterable[str]) -> Mask:
        """Those of the characters that the vocabulary has."""
        mask = np.zeros(self.size, bool)
        mask[[self._ids[c] for c in characters if c in self._ids]] = True
        mask[UNKNOWN_ID] = False
        return mask

    def only(self, character: str) -> Mask:
        """One character. Raises FormError where the network never saw it."""
        mask = self.mask([character])
        if not mask.any():
            raise FormError(
                f"The network never saw {character!r}, so it cannot write it: choose another, or "
                "train on songs that have it."
            )
        return mask

    @property
    def ending(self) -> Mask:
        """The line end alone."""
        mask = np.zeros(self.size, bool)
        mask[self.line_end] = True
        return mask


def is_sung(character: str) -> bool:
    """Whether a character counts in a line's length: a letter, a number or a symbol."""
    return unicodedata.category(character)[0] in "LNS"


def clause_ends(line: str) -> list[int]:
    """Where the clauses of a line end: behind the last sung character of each."""
    sung = [*map(is_sung, line), False]
    return [place + 1 for place in range(len(line)) if sung[place] and not sung[place + 1]]


class FreeRule:
    """Any line up to a length; a `blank` one too where that is allowed."""

    start: State = (0, False)

    def __init__(self, alphabet: Alphabet, *, blank: bool = False) -> None:
        self._sung, self._blank = alphabet.sung, blank
        anything = np.ones(alphabet.size, bool)
        anything[UNKNOWN_ID] = False
        self._within, self._end = anything, alphabet.ending
        self._first = anything & ~self._end

    def allowed(self, state: State) -> Mask:
        length, sung = state
        if length >= LONGEST_FREE and sung:
            return self._end
        return self._within if sung or (self._blank and length == 0) else self._first

    def after(self, state: State, character: int) -> State:
        length, sung = state
        return (length + 1, sung or bool(self._sung[character]))


class CharacterRule:
    """A line of so many sung characters, in clauses that punctuation parts.

    `places` holds what may stand at a place of the line, counted from 0 in reading order or from
    -1 at its end; `word` stands somewhere within a clause; `end` is the punctuation after the last
    character (any one or none, where it is empty).
    """

    def __init__(
        self,
        alphabet: Alphabet,
        clauses: Sequence[int],
        places: Mapping[int, Mask] | None = None,
        word: str = "",
        end: str = "",
        *,
        backward: bool = False,
    ) -> None:
        self.start: State = (0, 0)
        self._alphabet = alphabet
        length = sum(clauses)
        at = [alphabet.sung] * length
        for place, mask in (places or {}).items():
            if not -length <= place < length:
                raise FormError(
                    f"A line of {length} characters has no place for all that it shall begin and "
                    "end with: make it longer."
                )
            at[place] = at[place] & mask
        # A slot is what may stand there, whether it may be left out, and whether it is sung.
        slots: list[tuple[Mask, bool, bool]] = []
        cuts = np.cumsum(clauses)[:-1].tolist()
        for place, mask in enumerate(at):
            if place in cuts:
                slots.append((alphabet.breaks, False, False))
            slots.append((mask, False, True))
        if end:
            slots += [(alphabet.only(character), False, False) for character in end]
        else:
            slots.append((alphabet.breaks & ~alphabet.spaces, True, False))
        self._slots = slots[::-1] if backward else slots
        self._word = _Finder(alphabet, word[::-1] if backward else word)
        # [slot][found]: whether a line can be finished from there, worked out from the end.
        self._feasible = [[False] * self._word.length + [True]]
        for slot in range(len(self._slots) - 1, -1, -1):
            self._feasible.insert(0, [])
            for found in range(self._word.length + 1):
                left_out = self._slots[slot][1] and self._feasible[1][found]
                self._feasible[0].append(left_out or bool(self._lead(slot, found, 1).any()))
        self.allowed = lru_cache(None)(self._allowed)
        if not self._feasible[0][0]:
            raise FormError(
                f"No line of {'+'.join(map(str, clauses))} characters can begin, rhyme and end as "
                "asked with the characters that this network knows: ask for less."
            )

    def _lead(self, slot: int, found: int, next_slot: int) -> Mask:
        """What may stand in this slot, where the one after it is row `next_slot` of the table."""
        mask, _, sung = self._slots[slot]
        after = self._feasible[next_slot]
        if not sung:
            return mask if after[self._word.after_a_break(found)] else np.zeros_like(mask)
        lead = mask if after[self._word.after(found, -1)] else np.zeros_like(mask)
        if found < self._word.length:
            lead = lead.copy()
            for character in self._word.distinct:
                lead[character] = mask[character] and after[self._word.after(found, character)]
        return lead

    def _allowed(self, state: State) -> Mask:
        slot, found = state
        if slot == len(self._slots):
            return self._alphabet.ending
        lead = self._lead(slot, found, slot + 1)
        if self._slots[slot][1]:
            lead = lead | self.allowed((slot + 1, found))
        return lead

    def after(self, state: State, character: int) -> State:
        slot, found = state
        if slot == len(self._slots):
            return state
        mask, optional, sung = self._slots[slot]
        if optional and not mask[character]:
            return self.after((slot + 1, found), character)
        if sung:
            return (slot + 1, self._word.after(found, character))
        return (slot + 1, self._word.after_a_break(found))


class _Finder:
    """How much of a word stands at the end of what was written (Knuth, Morris & Pratt 1977); once
    it was whole, it stays found."""

    def __init__(self, alphabet: Alphabet, word: str) -> None:
        for character in word:
            if not alphabet.sung[alphabet.only(character)].any():
                raise FormError(f"{word!r} holds punctuation or space: ask for one word.")
        self._ids = [int(alphabet.only(character).argmax()) for character in word]
        self.length = len(word)
        self.distinct = sorted(set(self._ids))
        self.after = lru_cache(None)(self._after)

    def _after(self, found: int, character: int) -> int:
        """The part found after one more character; -1 stands for one that the word lacks."""
        if found == self.length:
            return found
        written = [*self._ids[:found], character]
        return next(
            size for size in range(len(written), -1, -1)
            if written[len(written) - size :] == self._ids[:size]
        )  # fmt: skip

    def after_a_break(self, found: int) -> int:
        return found if found == self.length else 0
