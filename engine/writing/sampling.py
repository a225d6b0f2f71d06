"""How the next character is drawn: greedy, temperature, top-k, top-p.

    p_i = exp(z_i / τ) / Σ_j exp(z_j / τ)          temperature τ (Ackley et al. 1985)
    top-k: only the k likeliest characters          (Fan et al. 2018)
    top-p: the fewest likeliest characters whose probabilities sum to p (Holtzman et al. 2020)

Everything is computed in float64 and drawn by inverting the cumulative distribution at one
uniform number a character, so that a seed decides the text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.config import GenerationConfig

UNKNOWN_ID = 0  # <unk> is read, never written


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
        order = np.argsort(-probabilities, kind="stable")
        before = np.cumsum(probabilities[order]) - probabilities[order]
        kept = order[before < config.top_p]  # the likeliest has nothing before it: always kept
        ids, probabilities = ids[kept], probabilities[kept] / probabilities[kept].sum()
    return ids, probabilities


def draw(
    logits: NDArray[np.floating], config: GenerationConfig, uniform: float
) -> tuple[int, float]:
    """The id that a uniform number in [0, 1) falls on, and its probability."""
    ids, probabilities = distribution(logits, config)
    cumulative = np.cumsum(probabilities)
    index = int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))
    index = min(index, len(ids) - 1)
    while probabilities[index] == 0:  # rounding must not let an impossible character through
        index -= 1
    return int(ids[index]), float(probabilities[index])


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of scores whose maximum is 0, so that nothing overflows."""
    exponentials = np.exp(scores)
    normalised: NDArray[np.float64] = exponentials / exponentials.sum()
    return normalised
