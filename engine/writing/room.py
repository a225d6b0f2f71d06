"""The writing room of one network: the songs that it was taught, and writing with them at hand."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property

import numpy as np

from engine.config import GenerationConfig
from engine.corpus.reversal import lines_reversed
from engine.corpus.vocabulary import Vocabulary
from engine.errors import FormError, PromptError
from engine.events import Character, LineCandidate
from engine.model.stepper import Stepper
from engine.writing import tunes
from engine.writing.composer import Composer, Composition, Line
from engine.writing.form import Form
from engine.writing.generator import Writing
from engine.writing.originality import Copy, Originality
from engine.writing.rhyme import Language, Rhyming, endings, rhyming
from engine.writing.songbook import Songbook
from engine.writing.tunes import Tune


class Room:
    """`taught` gives the text as the network reads it; with `backward` every line of it from its
    end. `songs` gives where its songs begin and their titles. What is known of the songs is worked
    out when it is first needed."""

    def __init__(
        self,
        taught: Callable[[], str],
        vocabulary: Vocabulary,
        *,
        backward: bool = False,
        songs: Callable[[], Sequence[tuple[int, str]]] = tuple,
    ) -> None:
        self._read, self._vocabulary, self._backward = taught, vocabulary, backward
        self._songs = songs

    @cached_property
    def _taught(self) -> str:
        return self._read()

    @cached_property
    def text(self) -> str:
        """The songs as they are read."""
        return lines_reversed(self._taught) if self._backward else self._taught

    @cached_property
    def songbook(self) -> Songbook:
        return Songbook(self.text)

    @cached_property
    def _endings(self) -> Counter[str]:
        return endings(self.text.split("\n"), self.language)

    @property
    def language(self) -> Language:
        """What the songs rhyme by."""
        return "english" if self.songbook.latin else "十三辙"

    def rhyming(self, wanted: str, most: int) -> list[Rhyming]:
        """What of the songs' words and characters rhymes with the end of a text, the better rhymes
        first, then the more frequent. Raises InputError where there is nothing to rhyme with."""
        return rhyming(wanted, self._endings, self.language, most=most)

    @cached_property
    def originality(self) -> Originality:
        """The index that copies are found by."""
        return Originality.of_text(self.text, songs=self._songs())

    @cached_property
    def _in_order_of_writing(self) -> Originality:
        """The index that copies are kept short by, while lines are written."""
        return Originality.of_text(self._taught) if self._backward else self.originality

    @cached_property
    def _tunes(self) -> dict[str, Tune]:
        return tunes.of_text(self.text)

    def tune(self, name: str) -> Form:
        """The form of words for a tune of the songs. Raises FormError where they have no such."""
        found = self._tunes.get(name)
        if found is None:
            some = ", ".join(list(self._tunes)[:5])
            known = f"they have {some} and others" if some else "they name no tunes"
            raise FormError(
                f"These songs have no pattern for a tune {name!r} ({known}): choose one that "
                "`lyricrnn corpus show` lists, or give lengths and rhymes."
            )
        return tunes.form_of(found)

    def composer(self, stepper: Stepper, form: Form | None, config: GenerationConfig) -> Composer:
        """Writes lines in form. Raises FormError where it cannot be met."""
        return Composer(
            stepper,
            self._vocabulary,
            self.songbook,
            form,
            config,
            backward=self._backward,
            originality=self._in_order_of_writing if config.max_copy else None,
        )

    def writing(
        self, stepper: Stepper, prompt: str, config: GenerationConfig, form: Form | None = None
    ) -> Writing | Composition:
        """A text to be written, character by character."""
        if form is None and not config.max_copy and not self._backward:
            return Writing(stepper, self._vocabulary, prompt, config)
        return Composition(self.composer(stepper, form, config), prompt)

    def candidates(
        self,
        stepper: Stepper,
        form: Form | None,
        index: int,
        config: GenerationConfig,
        *,
        count: int = 8,
        before: str = "",
        others: Mapping[int, str] | None = None,
        beginning: str = "",
        besides: Collection[str] = (),
    ) -> tuple[LineCandidate, ...]:
        """Ways to write the line of that index of a form, all different, the best first.

        `before` is the text above it, `others` the form's lines that are there by their index (for
        rhymes), `beginning` how the line begins, `besides` what it is not to be. Best is what the
        network finds likeliest a character, a nat less for a line that is all copied.
        """
        if unknown := self._vocabulary.unknown(beginning):
            raise PromptError(
                f"The network never saw {' '.join(unknown)}, so it cannot go on from there: change "
                "that, or begin another line."
            )
        seed = secrets.randbelow(2**31) if config.seed is None else config.seed
        composer = self.composer(stepper, form, config)
        place = composer.read(before or "\n\n")
        lines = composer.lines(
            place, index, others or {}, np.random.default_rng(seed), count,
            beginning=beginning, besides=besides,
        )  # fmt: skip
        found = []
        for number, line in enumerate(lines):
            copies = self.originality.copies(line.text)
            explained = list(composer.explained(place, line))
            found.append(
                LineCandidate(
                    text=line.text,
                    nats=line.nats,
                    copied=share_copied(line.text, copies),
                    copies=copies,
                    characters=tuple(reversed(explained) if self._backward else explained),
                    seed=seed,
                    number=number,
                    backward=self._backward,
                )
            )
        return tuple(sorted(found, key=lambda one: one.nats + one.copied))

    def explained(self, stepper: Stepper, before: str, line: str) -> tuple[Character, ...]:
        """How likely the network finds each character of a line below a text, and what it would
        rather have written; of characters that it never saw, nothing."""
        composer = self.composer(stepper, None, GenerationConfig())
        read = line[::-1] if self._backward else line
        ids = tuple(self._vocabulary.encode(read).tolist())
        place = composer.read(before or "\n\n")
        found = list(composer.explained(place, Line(line, ids, 0.0, (0.0,) * len(ids), place)))
        return tuple(reversed(found) if self._backward else found)

    def copies(self, lines: Sequence[str]) -> tuple[tuple[Copy, ...], ...]:
        """What each line takes from the songs."""
        return tuple(map(self.originality.copies, lines))


def share_copied(line: str, copies: Sequence[Copy]) -> float:
    """The share of a line's characters that stand in a copy, near-copies included."""
    copied = np.zeros(len(line), bool)
    for copy in copies:
        copied[copy.start : copy.end] = True
    return float(copied.mean()) if line else 0.0
