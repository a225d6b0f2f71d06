"""The measures of a language model, defined once: everything else asks here.

Cross-entropy L is the mean over predicted characters of -ln p(character | those before), in nats.
"""

from __future__ import annotations

import math


def perplexity(loss: float) -> float:
    """exp(L): as unsure as if choosing evenly among so many characters (Jelinek et al. 1977).
    Infinite where it does not fit a float."""
    return math.exp(loss) if loss < 700 else math.inf if loss == loss else loss


def bits_per_character(loss: float) -> float:
    """L / ln 2: the length of the best code for the text under this model."""
    return loss / math.log(2)
