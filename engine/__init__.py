"""lyricrnn's engine: everything but the faces, usable from Python without a screen.

The names below are the whole public API. They are imported when first used, so that
`import engine` is quick and torch is loaded only by what computes with it.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

# The threads of an OpenMP team wait for each other by spinning. Where another program holds a
# core, the one that spins keeps the one that works from it: with one busy process beside it,
# training on two cores fell from 49,000 to 1,200 characters a second, and to 18,000 with this.
# libgomp reads it when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# NumPy's spin for a tenth of a second after each product, and torch's threads want their core: the
# candidates for a line took three times as long. One text that is written alone pays a sixth.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_HOME = {
    "Engine": "engine.session",
    "RunHandle": "engine.session",
    "TrainingConfig": "engine.config",
    "ModelConfig": "engine.config",
    "CorpusConfig": "engine.config",
    "GenerationConfig": "engine.config",
    "Form": "engine.writing.form",
    "preset": "engine.training.plan",
    "Corpus": "engine.corpus.corpus",
    "Vocabulary": "engine.corpus.vocabulary",
    "CharRNN": "engine.model.network",
    "Run": "engine.training.run",
    "Trainer": "engine.training.trainer",
    "LyricError": "engine.errors",
    "RunState": "engine.events",
    "TrainingSnapshot": "engine.events",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'engine' has no attribute {name!r}") from None
    return getattr(import_module(home), name)
