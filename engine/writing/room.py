"""The writing room of one network: the songs that it was taught, and writing with them at hand."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property

import numpy as np

from engine.config import GenerationConfig
from engine.corpus.reversal import lines_reversed
from engine.corpus.vocabulary import Vocabulary
from engine.events import LineCandidate
from engine.model.stepper import Stepper
from engine.writing.composer import Composer, Composition
from engine.writing.form import Form
from engine.writing.generator import Writing
from engine.writing.originality import Copy, Originality
from engine.writing.songbook import Songbook


class Room:
    """`taught` gives the text as the network reads it; with `backward` every line of it from its
    end. What is known of the songs is worked out when it is first needed."""

    def __init__(
        self, taught: Callable[[], str], vocabulary: Vocabulary, *, backward: bool = False
    ) -> None:
        self._read, self._vocabulary, self._backward = taught, vocabulary, backward

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
    def originality(self) -> Originality:
        """The index that copies are found by."""
        return Originality.of_text(self.text)

    @cached_property
    def _in_order_of_writing(self) -> Originality:
        """The index that copies are kept short by, while lines are written."""
        return Originality.of_text(self._taught) if self._backward else self.originality

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
                )
            )
        return tuple(sorted(found, key=lambda one: one.nats + one.copied))

    def copies(self, lines: Sequence[str]) -> tuple[tuple[Copy, ...], ...]:
        """What each line takes from the songs."""
        return tuple(map(self.originality.copies, lines))


def share_copied(line: str, copies: Sequence[Copy]) -> float:
    """The share of a line's characters that stand in a copy, near-copies included."""
    copied = np.zeros(len(line), bool)
    for copy in copies:
        copied[copy.start : copy.end] = True
    return float(copied.mean()) if line else 0.0
