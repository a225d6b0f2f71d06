"""Lines of so many syllables: every word is one whose syllables are known.

A line's words come from a lexicon, kept as tries, so that of every beginning of a word it is known
which syllable counts it can still come to. What the first and the last word of a line may be is
told apart, for rhymes and acrostics.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from engine.errors import FormError
from engine.writing.rules import Alphabet, Mask, State

_IN_A_WORD, _AT_A_WORD, _AFTER_A_SPACE, _AT_A_SPACE, _OVER, _AT_THE_END = range(6)
_DEAD = -1  # no word of a trie begins so
_PAUSES = ",;:"  # within a line, between a word and a space


class Trie:
    """Words by their characters: `children[node]`, `syllables[node]` of the word that ends there
    (0 for none), and `reach[node]`, the syllable counts of all words through it as bits."""

    def __init__(self, words: Mapping[str, int], *, backward: bool = False) -> None:
        self.children: list[dict[str, int]] = [{}]
        self.syllables = [0]
        self.reach = [0]
        for word, syllables in words.items():
            self._add(word[::-1] if backward else word, syllables)

    def _add(self, word: str, syllables: int) -> None:
        node = 0
        self.reach[0] |= 1 << syllables
        for character in word:
            child = self.children[node].get(character)
            if child is None:
                child = self.children[node][character] = len(self.children)
                self.children.append({})
                self.syllables.append(0)
                self.reach.append(0)
            node = child
            self.reach[node] |= 1 << syllables
        self.syllables[node] = syllables

    def child(self, node: int, character: str) -> int:
        return _DEAD if node == _DEAD else self.children[node].get(character, _DEAD)

    def reached(self, node: int) -> int:
        return 0 if node == _DEAD else self.reach[node]

    def ends(self, node: int) -> int:
        """The syllables of the word that ends at a node, 0 for none."""
        return 0 if node == _DEAD else self.syllables[node]


class Lexicon:
    """Words with their syllables, and tries of some of them, in the direction of writing."""

    def __init__(self, words: Mapping[str, int], *, backward: bool = False) -> None:
        self.words, self.backward = words, backward
        self.whole = Trie(words, backward=backward)

    @lru_cache(256)  # noqa: B019 - a lexicon lives as long as the lines that are written of it
    def beginning(self, letters: str) -> frozenset[str]:
        """The words that begin so."""
        return frozenset(word for word in self.words if word.startswith(letters))

    @lru_cache(256)  # noqa: B019
    def some(self, chosen: frozenset[str]) -> Trie:
        """The trie of those of the words that are chosen."""
        found = {word: self.words[word] for word in chosen if word in self.words}
        return Trie(found, backward=self.backward)


class SyllableRule:
    """A line of so many syllables, of the words of a lexicon, in its direction.

    `first` and `last` are the words that the line may begin and end with in reading order (None:
    any), `word` stands somewhere in it, `end` is the punctuation after it (any one or none where it
    is empty). In place of `word`, one of the words `inner` may stand before the last one; where the
    first one is asked for, behind it.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        lexicon: Lexicon,
        syllables: int,
        first: frozenset[str] | None = None,
        last: frozenset[str] | None = None,
        word: str = "",
        end: str = "",
        inner: frozenset[str] = frozenset(),
    ) -> None:
        self._alphabet, self._length = alphabet, syllables
        self._backward = backward = lexicon.backward
        self._letters = _letters(alphabet)
        self._by_id = {i: letter for letter, ids in self._letters.items() for i in ids}
        self._space: Mask = alphabet.only(" ")
        self._pauses = alphabet.mask(_PAUSES)
        self._ends: list[Mask] = [alphabet.only(character) for character in end]
        self._any_end = alphabet.breaks & ~alphabet.spaces
        self._any_end[list(self._by_id)] = False  # an apostrophe is a letter of words
        if word and word.lower() not in lexicon.words:
            raise FormError(
                f"{word!r} is no word of these songs whose syllables are known: ask for another."
            )
        wanted = frozenset([word.lower()]) if word else inner

        opening, closing = (last, first) if backward else (first, last)  # as they are written
        both = opening if closing is None else closing if opening is None else opening & closing
        # Tries of the words that may stand first, last, both, anywhere, and of the wanted one.
        self._whole = lexicon.whole
        self._opening, self._closing, self._both = (
            lexicon.whole if some is None else lexicon.some(some)
            for some in (opening, closing, both)
        )
        self._wanted_word = lexicon.some(wanted)
        self._wanted = self._wanted_word.reach[0]
        # Whether the wanted word may stand within the line and at its end, by whether it is first.
        self._may_stand = [
            tuple(some is None or not wanted.isdisjoint(some) for some in pair)
            for pair in ((None, closing), (opening, both))
        ]
        if inner:
            free = first is None
            self._may_stand = (
                [(True, free), (False, False)] if backward else [(True, False), (free, False)]
            )
        self._bits = self._finishable()

        written = 0 if wanted else 1  # whether the wanted word is there
        begins = _AT_THE_END if backward else _AT_A_WORD
        self.start: State = (0, written, begins, 0, (0,) * 5)
        self.allowed = lru_cache(None)(self._allowed)
        if not self._fits(0, written, (0,) * 5):
            raise FormError(
                f"No line of {syllables} syllables can begin, rhyme and end as asked with the "
                "words of these songs: ask for less."
            )

    def _finishable(self) -> tuple[list[int], list[int]]:
        """While the wanted word is missing, and once it is there: row `left` has, as bits, the
        syllables of the words after which a line can still be finished that had so many left."""
        reach, length = self._whole.reach[0], self._length
        rows: tuple[list[int], list[int]] = ([0] * (length + 1), [0] * (length + 1))
        can = [[False] * (length + 1), [False] * (length + 1)]  # [written][left]
        for left in range(1, length + 1):
            for written in (1, 0):
                rows[written][left] = sum(1 << s for s in range(1, left) if can[written][left - s])
                fits = bool(rows[written][left] & reach)
                if written:
                    fits = fits or bool(self._closing.reach[0] >> left & 1)
                elif self._wanted:
                    fits = fits or bool(rows[1][left] & self._wanted)
                    fits = fits or bool(self._wanted >> left & self._may_stand[False][1])
                can[written][left] = fits
        return rows

    def _fits(self, used: int, written: int, at: tuple[int, ...]) -> bool:
        """Whether a word through these nodes of the tries leads on to a whole line."""
        left = self._length - used
        within, closing = self._tries(used)
        inner = within[0].reached(at[within[1]])
        if inner & self._bits[written][left]:
            return True
        last = closing[0].reached(at[closing[1]])
        if written:
            return bool(last >> left & 1)
        wanted = self._wanted_word.reached(at[4])
        may_stand, may_close = self._may_stand[used == 0]
        return (may_stand and bool(wanted & self._bits[1][left])) or (
            may_close and bool(wanted >> left & 1)
        )

    def _tries(self, used: int) -> tuple[tuple[Trie, int], tuple[Trie, int]]:
        """The trie, and its place in a state, of a word within the line and of its last word."""
        if used == 0:
            return (self._opening, 0), (self._both, 2)
        return (self._whole, 3), (self._closing, 1)

    def _goes_on(self, used: int, written: int, at: tuple[int, ...]) -> bool:
        """Whether another word may follow the one that ends at these nodes."""
        trie, place = self._tries(used)[0]
        syllables = trie.ends(at[place])
        left = self._length - used
        there = self._is_there(used, written, at, closes=False)
        return (
            syllables > 0
            and bool(self._bits[there][left] >> syllables & 1)
            and (self._leads_on(used + syllables, there))
        )

    def _leads_on(self, used: int, written: int) -> bool:
        return used < self._length and self._fits(used, written, (0,) * 5)

    def _ends_line(self, used: int, written: int, at: tuple[int, ...]) -> bool:
        trie, place = self._tries(used)[1]
        there = self._is_there(used, written, at, closes=True)
        return bool(there) and trie.ends(at[place]) == self._length - used

    def _is_there(self, used: int, written: int, at: tuple[int, ...], *, closes: bool) -> int:
        """Whether the wanted word stands in the line once the word ends that ends here."""
        counts = self._may_stand[used == 0][closes] and self._wanted_word.ends(at[4]) > 0
        return int(bool(written) or counts)

    def _allowed(self, state: State) -> Mask:
        used, written, where, ended, at = state
        mask = np.zeros(self._alphabet.size, bool)
        if where == _OVER:
            return self._alphabet.ending
        if where == _AT_THE_END:  # punctuation of the line's end, in either direction
            if ended < len(self._ends):
                due: Mask = self._ends[-1 - ended if self._backward else ended]
                return due
            if self._backward:
                mask |= self._start_of_a_word(state)
                if not self._ends and ended == 0:
                    mask |= self._any_end
                return mask
            return self._alphabet.ending
        if where == _AT_A_SPACE:
            return self._space
        if where in (_AT_A_WORD, _AFTER_A_SPACE):
            mask |= self._start_of_a_word(state)
            if where == _AFTER_A_SPACE and self._backward:
                mask |= self._pauses
            return mask
        mask |= self._start_of_a_word(state)
        if self._goes_on(used, written, at):
            mask |= self._space
            if not self._backward:
                mask |= self._pauses
        if self._ends_line(used, written, at):
            if self._backward:
                mask |= self._alphabet.ending
            elif self._ends:
                mask |= self._ends[0]
            else:
                mask |= self._any_end | self._alphabet.ending
        return mask

    def _start_of_a_word(self, state: State) -> Mask:
        """The letters that lead on, at the start of a word or in it."""
        used, written, _, _, at = state
        mask = np.zeros(self._alphabet.size, bool)
        for letter in self._whole.children[at[3]] if at[3] != _DEAD else ():
            if letter in self._letters and self._fits(used, written, self._next(at, letter)):
                mask[self._letters[letter]] = True
        return mask

    def _next(self, at: tuple[int, ...], letter: str) -> tuple[int, ...]:
        tries = (self._opening, self._closing, self._both, self._whole, self._wanted_word)
        return tuple(trie.child(node, letter) for trie, node in zip(tries, at, strict=True))

    def after(self, state: State, character: int) -> State:
        used, written, where, ended, at = state
        letter = self._by_id.get(character)
        if character == self._alphabet.line_end:
            return state
        if letter is not None and where != _AT_A_SPACE and where != _OVER:
            return (used, written, _IN_A_WORD, ended, self._next(at, letter))
        fresh = (0,) * 5
        if where == _AT_THE_END:
            ended += 1
            if self._backward:
                over = _AT_A_WORD if ended >= len(self._ends) else _AT_THE_END
            else:
                over = _OVER if ended >= len(self._ends) else _AT_THE_END
            return (used, written, over, ended, at)
        if where == _AT_A_SPACE:
            return (used, written, _AT_A_WORD, ended, at)
        if where == _AFTER_A_SPACE:  # a pause of a line that is written backwards
            return (used, written, _AT_A_WORD, ended, at)
        # A word has ended.
        if (
            self._ends_line(used, written, at)
            and not self._backward
            and not (
                self._space[character]
                or (self._pauses[character] and self._goes_on(used, written, at))
            )
        ):
            return (used, written, _AT_THE_END if len(self._ends) > 1 else _OVER, 1, at)
        syllables = self._tries(used)[0][0].ends(at[self._tries(used)[0][1]])
        there = self._is_there(used, written, at, closes=False)
        then = _AFTER_A_SPACE if self._space[character] else _AT_A_SPACE
        return (used + syllables, there, then, ended, fresh)


def _letters(alphabet: Alphabet) -> dict[str, list[int]]:
    """The ids of each letter of words, capitals with their small ones."""
    found: dict[str, list[int]] = {}
    for index, character in enumerate(alphabet.characters):
        if len(character) == 1 and (character in "'’" or character.isalpha()):
            key = "'" if character == "’" else character.lower()
            found.setdefault(key, []).append(index)
    return found
