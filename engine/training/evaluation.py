"""Held-out loss by two protocols, in pieces small enough that nobody has to wait for one.

*stateful*: the state is carried over the whole text, as the model is used when it writes.
*windows(T)*: every window of T characters starts cold, as transformers report.

Both predict every character but the first exactly once, on float32 weights without dropout; a
text of less than two characters gives nothing. On the way of a run in bfloat16 the products are
bfloat16 too, which is faster and has moved no loss by more than 0.0002 nats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from engine.corpus.vocabulary import Ids
from engine.model.network import CharRNN, State
from engine.training.metrics import bits_per_character, perplexity

COLUMNS_PER_PIECE = 64
LANES = 32
WINDOW_CHARACTERS_PER_PIECE = 16_384
LANE_WARM_UP = 256


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The mean loss (nats per character) over `characters` predicted characters."""

    loss: float
    characters: int

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)

    @property
    def bits_per_character(self) -> float:
        return bits_per_character(self.loss)


def stateful(
    network: CharRNN, ids: Ids, lanes: int = LANES, precision: torch.dtype = torch.float32
) -> Iterator[Evaluation]:
    """Yields the evaluation so far after each piece; the last one is of the whole text.

    The text is cut into lanes that advance together, each first warmed up, uncounted, on the 256
    characters before it; only what lies further back than that is missed. One lane carries the
    state without any cut, and takes many times longer; trained networks have given the two
    within 0.0001 nats of each other.
    """
    targets_count = len(ids) - 1
    if targets_count < 1:
        return
    lanes = max(1, min(lanes, targets_count // (4 * LANE_WARM_UP)))
    span = targets_count // lanes
    starts = np.arange(lanes) * span
    state = _warmed(network, ids, starts, precision)
    total, done = 0.0, 0
    for position in range(0, span, COLUMNS_PER_PIECE):
        columns = np.arange(position, min(position + COLUMNS_PER_PIECE, span) + 1)
        loss, state = _piece(network, ids[starts[:, None] + columns], state, precision)
        total, done = total + loss, done + lanes * (len(columns) - 1)
        yield Evaluation(total / done, done)
    if (rest := targets_count - lanes * span) > 0:  # a tail shorter than one column of lanes
        last = tuple(part[:, -1:].contiguous() for part in state)
        loss, _ = _piece(network, ids[None, len(ids) - 1 - rest :], last, precision)
        yield Evaluation((total + loss) / targets_count, targets_count)


def windows(network: CharRNN, ids: Ids, window: int) -> Iterator[Evaluation]:
    """Yields the evaluation so far after each piece of cold windows of `window` characters."""
    targets_count = len(ids) - 1
    if targets_count < 1:
        return
    window = min(window, targets_count)
    whole = targets_count // window
    rows = max(1, WINDOW_CHARACTERS_PER_PIECE // window)
    total, done = 0.0, 0
    for first in range(0, whole, rows):
        starts = np.arange(first, min(first + rows, whole)) * window
        loss, _ = _piece(network, ids[starts[:, None] + np.arange(window + 1)], None)
        total, done = total + loss, done + len(starts) * window
        yield Evaluation(total / done, done)
    if done < targets_count:
        loss, _ = _piece(network, ids[None, done:], None)
        yield Evaluation((total + loss) / targets_count, targets_count)


def _warmed(network: CharRNN, ids: Ids, starts: np.ndarray, precision: torch.dtype) -> State:
    """The state of each lane after the characters before its start; the first lane's is zero."""
    state = network.initial_state(len(starts))
    if len(starts) == 1:
        return state
    rows = ids[starts[1:, None] + np.arange(-LANE_WARM_UP, 1)]
    _, warmed = _piece(network, rows, None, precision)
    return tuple(
        torch.cat((cold[:, :1], warm), dim=1) for cold, warm in zip(state, warmed, strict=True)
    )


def _piece(
    network: CharRNN,
    rows: np.ndarray,
    state: State | None,
    precision: torch.dtype = torch.float32,
) -> tuple[float, State]:
    """The summed loss over rows (N, T+1) of ids: each predicts the next. Leaves the network in
    the mode it was in."""
    ids = torch.from_numpy(rows.astype(np.int64)).to(network.output.weight.device)
    was_training = network.training
    network.eval()
    try:
        low = precision != torch.float32
        with torch.inference_mode(), torch.autocast(ids.device.type, precision, enabled=low):
            loss, after = network.loss(ids[:, :-1], ids[:, 1:], state)
            return float(loss), after
    finally:
        network.train(was_training)
