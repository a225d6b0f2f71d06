"""Ids to lyrics: the prompt warms the state up, then one character follows another."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from engine.config import GenerationConfig
from engine.corpus.vocabulary import Vocabulary
from engine.events import Character
from engine.model.stepper import Stepper
from engine.writing.sampling import draw, draw_rows

_DRAWN_AT_ONCE = 256  # uniform numbers, for each text


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
    """One text for each seed from one prompt, advanced as one batch of N streams. In float32 each
    is the text that its seed gives alone; a batch that is large enough to be multiplied in
    bfloat16 draws from probabilities that differ by some thousandths, and so parts from it."""
    streams = len(seeds)
    state = stepper.initial_state(streams)
    logits = np.empty((streams, stepper.vocabulary_size), np.float32)
    for character_id in prompt_ids(vocabulary, prompt):
        out, state = stepper.step(torch.full((streams,), character_id), state)
        logits = out.numpy()
    uniforms = _uniforms(seeds)
    written: list[NDArray[np.intp]] = []
    lengths = [config.length] * streams
    lines = [_Lines(config.lines, prompt) for _ in seeds] if config.lines else []
    while (
        streams
        and len(written) < config.length
        and not (lines and all(line.full for line in lines))
    ):
        chosen = draw_rows(logits, config, next(uniforms))
        for row, line in enumerate(lines):
            if not line.full and line.ends(vocabulary.characters[chosen[row]]):
                lengths[row] = len(written)
        written.append(chosen)
        if len(written) < config.length:
            out, state = stepper.step(torch.from_numpy(chosen), state)
            logits = out.numpy()
    texts = np.stack(written, axis=1).tolist() if written else [[] for _ in seeds]
    return [
        "".join(vocabulary.characters[id_] for id_ in ids[:length])
        for ids, length in zip(texts, lengths, strict=True)
    ]


def _uniforms(seeds: Sequence[int]) -> Iterator[NDArray[np.float64]]:
    """One number in [0, 1) for each seed (N,), without end."""
    randoms = [np.random.default_rng(seed) for seed in seeds]
    while True:
        yield from np.array([random.random(_DRAWN_AT_ONCE) for random in randoms]).T


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
