"""How the next character is drawn: greedy, temperature, top-k, top-p.

    p_i = exp(z_i / τ) / Σ_j exp(z_j / τ)          temperature τ (Ackley et al. 1985)
    top-k: only the k likeliest characters          (Fan et al. 2018)
    top-p: the fewest likeliest characters whose probabilities sum to p (Holtzman et al. 2020)

A character is drawn by inverting the cumulative distribution at one uniform number, so that a seed
decides the text. No choice sorts the whole vocabulary.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from engine.config import GenerationConfig

UNKNOWN_ID = 0  # <unk> is read, never written
_LOOKED_AT = 64  # probabilities, at first, for the largest that sum to a share
_BLOCK = 64  # probabilities
_COLDEST = 0.01  # temperature at which float32 is enough


def distribution(
    logits: NDArray[np.floating], config: GenerationConfig
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """logits (V,) -> the candidates' ids (K,), likeliest first where a choice was made among
    them, and their probabilities (K,), which sum to 1. <unk> is never a candidate."""
    ids = np.arange(UNKNOWN_ID + 1, len(logits))
    scores = logits[ids].astype(np.float64)
    if config.temperature == 0:
        return ids[[scores.argmax()]], np.ones(1)
    if 0 < config.top_k < len(scores):
        kept = np.sort(np.argpartition(-scores, config.top_k - 1)[: config.top_k])
        ids, scores = ids[kept], scores[kept]
    with np.errstate(over="ignore"):  # a temperature near 0 sends all but the likeliest to -inf
        probabilities = _softmax((scores - scores.max()) / config.temperature)
    if config.top_p < 1:
        kept = _nucleus(probabilities, config.top_p)
        ids, probabilities = ids[kept], probabilities[kept] / probabilities[kept].sum()
    return ids, probabilities


def _nucleus(probabilities: NDArray[np.float64], share: float) -> NDArray[np.intp]:
    """The places of the fewest largest probabilities that sum to the share, largest first. Only
    the largest are sorted, of as many as turn out to be needed."""
    size = len(probabilities)
    looked_at = min(_LOOKED_AT, size)
    while True:
        order = np.arange(size)
        if looked_at < size:
            order = np.sort(np.argpartition(-probabilities, looked_at - 1)[:looked_at])
        order = order[np.argsort(-probabilities[order], kind="stable")]
        sorted_ = probabilities[order]
        before = np.cumsum(sorted_) - sorted_
        kept = order[before < share]  # the likeliest has nothing before it: always kept
        # As likely as the last one looked at may be others that were not.
        if looked_at == size or probabilities[kept[-1]] > sorted_[-1]:
            return kept
        looked_at = min(4 * looked_at, size)


def draw(
    logits: NDArray[np.floating], config: GenerationConfig, uniform: float
) -> tuple[int, float]:
    """The id that a uniform number in [0, 1) falls on, and its probability."""
    if config.temperature >= _COLDEST and config.top_k == 0 and config.top_p == 1:
        drawn = _drawn_from_all(logits, config.temperature, uniform)
        if drawn is not None:
            return drawn
    ids, probabilities = distribution(logits, config)
    cumulative = np.cumsum(probabilities)
    index = int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))
    index = min(index, len(ids) - 1)
    while probabilities[index] == 0:  # rounding must not let an impossible character through
        index -= 1
    return int(ids[index]), float(probabilities[index])


def draw_rows(
    logits: NDArray[np.floating], config: GenerationConfig, uniforms: NDArray[np.float64]
) -> NDArray[np.intp]:
    """`draw` for each row of logits (N, V) with its own number of uniforms (N,) -> ids (N,)."""
    if config.temperature >= _COLDEST and config.top_k == 0 and config.top_p == 1:
        scores = torch.from_numpy(logits)
        if config.temperature != 1:
            scores = scores / config.temperature
        weights = torch.softmax(scores, dim=1)
        weights[:, UNKNOWN_ID] = 0
        sums = weights.cumsum(dim=1)
        goals = sums[:, -1:] * torch.from_numpy(uniforms)[:, None].float()
        found = torch.searchsorted(sums, goals, right=True).clamp_max_(logits.shape[1] - 1)
        if (weights.gather(1, found) > 0).all():
            drawn_ids: NDArray[np.intp] = found[:, 0].numpy()
            return drawn_ids
    drawn = [draw(row, config, u)[0] for row, u in zip(logits, uniforms, strict=True)]
    return np.array(drawn, np.intp)


def _drawn_from_all(
    logits: NDArray[np.floating], temperature: float, uniform: float
) -> tuple[int, float] | None:
    """`draw` from the whole vocabulary, the most common case, without a cumulative sum over all of
    it: first the block is found that the number falls on, then the place in it. None where that
    is an impossible character, by rounding or because the logits are no numbers."""
    with np.errstate(over="ignore"):
        weights = np.exp((logits - logits[UNKNOWN_ID + 1 :].max()) / np.float32(temperature))
    weights[UNKNOWN_ID] = 0
    sums = np.add.reduceat(weights, _block_starts(len(weights))).cumsum()
    goal = np.float32(uniform) * sums[-1]
    block = min(int(sums.searchsorted(goal, side="right")), len(sums) - 1)
    within = weights[block * _BLOCK : (block + 1) * _BLOCK]
    rest = goal - sums[block - 1] if block else goal
    place = min(int(within.cumsum().searchsorted(rest, side="right")), len(within) - 1)
    if not within[place] > 0:
        return None
    return block * _BLOCK + place, float(within[place] / sums[-1])


@cache
def _block_starts(size: int) -> NDArray[np.intp]:
    return np.arange(0, size, _BLOCK)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of scores whose maximum is 0, so that nothing overflows."""
    exponentials = np.exp(scores)
    normalised: NDArray[np.float64] = exponentials / exponentials.sum()
    return normalised
