"""Lines from their end: what a network reads that is to write the rhyme first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from engine.corpus.vocabulary import Ids


def lines_reversed(text: str) -> str:
    """The text with the characters of each line in reverse; twice is the text itself."""
    return "\n".join(line[::-1] for line in text.split("\n"))


def ids_reversed(pieces: Iterable[Ids], line_end: int) -> Iterator[Ids]:
    """The ids of a text in pieces, each line reversed, in pieces of whole lines."""
    held: list[Ids] = []  # the pieces of a line that is not whole yet
    for piece in pieces:
        ends = np.flatnonzero(piece == line_end)
        if ends.size:
            yield _reversed(np.concatenate([*held, piece[: ends[-1] + 1]]), line_end)
            held, piece = [], piece[ends[-1] + 1 :]
        held.append(piece)
    if held:
        yield _reversed(np.concatenate(held), line_end)


def _reversed(ids: Ids, line_end: int) -> Ids:
    within = ids != line_end
    ends = np.append(np.flatnonzero(~within), ids.size)
    starts = np.concatenate([[0], ends[:-1] + 1])
    order = np.arange(ids.size)
    order[within] = np.repeat(starts + ends - 1, ends - starts) - order[within]
    return ids[order]
