"""Text to batches, by the two ways of Dive into Deep Learning: adjacent and random sampling.

A batch is B rows of T characters, and as targets the same rows one character further on. Over N
characters an epoch has n = (N - 1) // (B·T) batches and leaves s = (N - 1) - n·B·T < B·T
characters over; every epoch starts at a random offset in 0 … s, so that all of them get their
turn. The batch of step k is a pure function of (seed, k, text).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.config import Sampling
from engine.corpus.vocabulary import Ids
from engine.errors import CorpusError


@dataclass(frozen=True)
class Batch:
    """Inputs and targets, both (B, T) int64; `fresh` says that the state starts from zero."""

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    fresh: bool


def fit(characters: int, batch: int, time_steps: int) -> tuple[int, int, str | None]:
    """The largest shape (B, T), no larger than asked, that a text of so many characters fills
    once; and a sentence where it had to shrink. T is kept as long as it can be."""
    if characters < 2:
        raise CorpusError(
            f"The training text has {characters} character{'' if characters == 1 else 's'}; "
            "the smallest that works is 2: one to read and one to predict. Give a longer text."
        )
    time = min(time_steps, characters - 1)
    rows = min(batch, (characters - 1) // time)
    if (rows, time) == (batch, time_steps):
        return rows, time, None
    return (
        rows,
        time,
        f"The training text has only {characters:,} characters: batches shrink from "
        f"{batch} × {time_steps} to {rows} × {time}.",
    )


class Batches:
    """All batches of a run over one text of ids (N,)."""

    def __init__(
        self, ids: Ids, batch: int, time_steps: int, sampling: Sampling, seed: int
    ) -> None:
        self.per_epoch = (len(ids) - 1) // (batch * time_steps)
        if self.per_epoch < 1:
            raise CorpusError(
                f"A batch of {batch} × {time_steps} needs {batch * time_steps + 1:,} characters; "
                f"the text has {len(ids):,}. Make the batch smaller."
            )
        self._ids = ids
        self._batch, self._time_steps, self._sampling, self._seed = (
            batch,
            time_steps,
            sampling,
            seed,
        )
        self._slack = (len(ids) - 1) - self.per_epoch * batch * time_steps
        self._epoch: int | None = None
        self._starts: NDArray[np.int64] = np.empty(0, np.int64)

    def __getitem__(self, step: int) -> Batch:
        """The batch of that step, counted from 0 over the whole run."""
        epoch, index = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._starts, self._epoch = self._plan(epoch), epoch
        starts = self._starts[index]
        rows = self._ids[starts[:, None] + np.arange(self._time_steps + 1)].astype(np.int64)
        fresh = self._sampling == "random" or index == 0
        return Batch(inputs=rows[:, :-1], targets=rows[:, 1:], fresh=fresh)

    def _plan(self, epoch: int) -> NDArray[np.int64]:
        """Where each row of each batch of an epoch begins: (batches, B)."""
        rng = np.random.default_rng((self._seed, epoch))
        offset = int(rng.integers(self._slack + 1))
        windows = offset + np.arange(self.per_epoch * self._batch) * self._time_steps
        if self._sampling == "adjacent":
            # Row r is one long piece of text; batch i+1 goes on where batch i ended.
            return windows.reshape(self._batch, self.per_epoch).T
        return rng.permutation(windows).reshape(self.per_epoch, self._batch)
