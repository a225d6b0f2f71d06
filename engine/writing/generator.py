"""Ids to lyrics: the prompt warms the state up, then one character follows another."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch

from engine.config import GenerationConfig
from engine.corpus.vocabulary import Vocabulary
from engine.events import Character
from engine.model.stepper import Stepper
from engine.writing.sampling import draw, draw_rows


class Writing:
    """A text that is being written, one `advance()` at a time.

    The prompt is read from a zero state. An empty prompt, or one of unknown characters only,
    stands for the start of a song: a blank line; where the vocabulary has no line ends, a space;
    and where it has no space either, its most common character. `skipped` names the prompt's
    characters that the vocabulary lacks. The state carries over from each written character to
    the next, so a seed decides the whole text.
    """

    def __init__(
        self, stepper: Stepper, vocabulary: Vocabulary, prompt: str, config: GenerationConfig
    ) -> None:
        self.config = config
        self.prompt = prompt
        self.seed = secrets.randbelow(2**31) if config.seed is None else config.seed
        self.skipped = vocabulary.unknown(prompt)
        self.text = ""
        self._vocabulary = vocabulary
        self._random = np.random.default_rng(self.seed)
        self._stream = stepper.stream()
        self._unread = deque(prompt_ids(vocabulary, prompt))
        self._lines = _Lines(config.lines, prompt)

    @property
    def done(self) -> bool:
        return len(self.text) >= self.config.length or self._lines.full

    def advance(self) -> Character | None:
        """Reads the next character of the prompt (None), or writes the next one of the text."""
        if self.done:
            return None
        if self._unread:
            self._stream.read(self._unread.popleft())
            return None
        chosen, probability = draw(self._stream.logits, self.config, self._random.random())
        character = self._vocabulary.characters[chosen]
        if self._lines.ends(character):
            return None
        self.text += character
        if not self.done:
            self._stream.read(chosen)
        return Character(character, probability)


def write(
    stepper: Stepper, vocabulary: Vocabulary, prompt: str, config: GenerationConfig
) -> Writing:
    """Writes the whole text at once."""
    writing = Writing(stepper, vocabulary, prompt, config)
    while not writing.done:
        writing.advance()
    return writing


def write_together(
    stepper: Stepper,
    vocabulary: Vocabulary,
    prompt: str,
    config: GenerationConfig,
    seeds: Sequence[int],
) -> list[str]:
    """One text for each seed from one prompt, advanced as one batch of N streams; each is the
    text that its seed gives alone."""
    streams = len(seeds)
    state = stepper.initial_state(streams)
    logits = np.empty((streams, stepper.vocabulary_size), np.float32)
    for character_id in prompt_ids(vocabulary, prompt):
        out, state = stepper.step(torch.full((streams,), character_id), state)
        logits = out.numpy()
    randoms = [np.random.default_rng(seed) for seed in seeds]
    lines = [_Lines(config.lines, prompt) for _ in seeds]
    texts = ["" for _ in seeds]
    for _ in range(config.length):
        if all(line.full for line in lines):
            break
        uniforms = np.array([random.random() for random in randoms])
        chosen = draw_rows(logits, config, uniforms)
        for row in range(streams):
            if lines[row].full:
                continue
            character = vocabulary.characters[chosen[row]]
            if not lines[row].ends(character):
                texts[row] += character
        out, state = stepper.step(torch.from_numpy(chosen), state)
        logits = out.numpy()
    return texts


def prompt_ids(vocabulary: Vocabulary, prompt: str) -> list[int]:
    """The ids that the state is warmed up with: never empty, unknown characters left out."""
    known = [found for c in prompt if (found := vocabulary.id_of(c)) is not None]
    if known:
        return known
    for start in ("\n", " "):
        found = vocabulary.id_of(start)
        if found is not None:
            return [found] * (2 if start == "\n" else 1)
    return [min(1, vocabulary.size - 1)]


class _Lines:
    """Counts the lines written, the one that the prompt began included; blank lines are free."""

    def __init__(self, limit: int, prompt: str) -> None:
        self._limit, self._count = limit, 0
        self._begun = bool(prompt.rpartition("\n")[2].strip())

    @property
    def full(self) -> bool:
        return 0 < self._limit <= self._count

    def ends(self, character: str) -> bool:
        """Whether this character ends the last line asked for; it is then not written."""
        if character != "\n":
            self._begun = self._begun or not character.isspace()
        elif self._begun:
            self._begun, self._count = False, self._count + 1
        return self.full
