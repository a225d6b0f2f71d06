"""The measures of a language model, defined once: everything else asks here.

Cross-entropy L is the mean over predicted characters of -ln p(character | those before), in nats.
"""

from __future__ import annotations

import math


def perplexity(loss: float) -> float:
    """exp(L): as unsure as if choosing evenly among so many characters (Jelinek et al. 1977).
    Infinite where it does not fit a float."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_character(loss: float) -> float:
    """L / ln 2: the length of the best code for the text under this model."""
    return loss / math.log(2)
