"""Which network learns most in a given time, on this machine and this text.

A budget buys characters: the larger the network, the fewer. Measured over half a minute to two and
a half minutes and on two corpora (docs/benchmarks.md), the held-out loss is lowest where about
`CHARACTERS_PER_WEIGHT` characters are read for each weight of the recurrent layer: a larger network
is left half-taught, a smaller one has nothing left to learn with. So the speed of a few sizes is
measured, and the size is taken that comes nearest to that. After so many readings a text teaches
no more (`most_readings`), however long the time; there the text decides.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from engine.config import ModelConfig, TrainingConfig
from engine.corpus.vocabulary import Ids
from engine.errors import Interrupted
from engine.model import device as devices
from engine.model.cells import GATES
from engine.training.batches import fit
from engine.training.plan import make_plan, precision_for
from engine.training.trainer import Trainer

CHARACTERS_PER_WEIGHT = 3
MEASURED_SIZES = (128, 256, 512)
MEASURED_SECONDS = 0.4  # for each of them
SIZES = (64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024)
# Sequences side by side: fewer learn more from each character, more are read faster. With a large
# vocabulary more are as good once so many characters are read (docs/benchmarks.md).
BATCH, WIDE_BATCH = 32, 64
WIDE_FROM = 3_000_000
# From so many characters on, the output's rows are the embedding's, and a GRU learns more than an
# LSTM: with fewer, the LSTM does (docs/benchmarks.md).
LARGE_VOCABULARY = 512


def best_shape(
    config: TrainingConfig,
    vocabulary_size: int,
    training: Ids,
    device: torch.device,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[TrainingConfig, str]:
    """The configuration that a budget of `config.minutes` is best spent on, and a sentence that
    tells what was picked and why."""
    assert config.minutes is not None
    seconds = 60 * config.minutes
    text = len(training)
    most = most_readings(vocabulary_size) * text
    speeds = [
        characters_per_second(
            shaped(config, hidden, vocabulary_size, text),
            training,
            device,
            vocabulary_size,
            stopped,
        )
        for hidden in MEASURED_SIZES
    ]

    def characters(hidden: int) -> float:
        """What the budget reads, at the speed between the measured ones."""
        speed = np.interp(math.log(hidden), np.log(MEASURED_SIZES), np.log(speeds))
        if hidden > MEASURED_SIZES[-1]:  # as its arithmetic grows
            speed -= 2 * math.log(hidden / MEASURED_SIZES[-1])
        return min(seconds * math.exp(speed), most)

    def misses(hidden: int) -> float:
        model = shaped(config, hidden, vocabulary_size, text).model
        weights = GATES[model.cell] * hidden * (model.embedding + hidden)
        return abs(math.log(characters(hidden) / weights / CHARACTERS_PER_WEIGHT))

    hidden = min(SIZES, key=misses)
    read = characters(hidden)
    picked = shaped(config, hidden, vocabulary_size, text, readings=read / text)
    model = picked.model
    if read < most:
        why = (
            f"in {config.minutes:g} minutes this machine reads about {_rounded(read)} characters "
            f"with it, {read / text:.1f} times through the text."
        )
    else:
        why = f"it reads the text {read / text:g} times; more would be learning it by heart."
    cell = {"gru": "a GRU", "lstm": "an LSTM"}[model.cell]
    return picked, f"Picked {cell} of {hidden:,} features, dropout {model.dropout:g}: {why}"


def shaped(
    config: TrainingConfig, hidden: int, vocabulary_size: int, text: int, readings: float = 1.0
) -> TrainingConfig:
    """The configuration with a recurrent layer of that size and all that goes with it, for a text
    of so many characters that is read so often."""
    large = vocabulary_size >= LARGE_VOCABULARY
    model = ModelConfig(
        cell="gru" if large else "lstm",
        hidden=hidden,
        embedding=128 if large else 64,
        output="tied" if large else "full",
        dropout=dropout_for(readings / most_readings(vocabulary_size)),
    )
    most = WIDE_BATCH if large and readings * text >= WIDE_FROM else BATCH
    # At least some hundred updates in a reading of a small text.
    batch = max(8, min(most, 2 ** int(math.log2(max(1, text / (64 * 100))))))
    return config.changed(model=model, batch=batch, time_steps=64)


def most_readings(vocabulary_size: int) -> int:
    """How often a text may be read before it is learned by heart: a Chinese character says as much
    as three letters do."""
    return 5 if vocabulary_size >= LARGE_VOCABULARY else 12


def dropout_for(share: float) -> float:
    """The nearer to the most readings, the more there is to keep from being learned by heart."""
    for bound, dropout in ((0.6, 0.0), (0.8, 0.2)):
        if share < bound:
            return dropout
    return 0.3


def characters_per_second(
    config: TrainingConfig,
    training: Ids,
    device: torch.device,
    vocabulary_size: int,
    stopped: Callable[[], bool],
) -> float:
    """How fast this machine trains a configuration, on a trainer that is thrown away."""
    batch, time_steps, _ = fit(len(training), config.batch, config.time_steps)
    plan = make_plan(
        config,
        batch=batch,
        time_steps=time_steps,
        batches_per_epoch=(len(training) - 1) // (batch * time_steps),
        held_out_characters=0,
        steps=10**6,
        precision=precision_for(config.precision, devices.bf16_is_fast(device)),
        threads=config.threads or os.cpu_count() or 1,
    )
    torch.set_num_threads(plan.threads)
    trainer = Trainer(config, plan, vocabulary_size, training, device)
    trainer.step()  # warms caches and kernels up
    found: list[float] = []
    while sum(found) < MEASURED_SECONDS:
        if stopped():
            raise Interrupted("Stopped before training began.")
        before = time.perf_counter()
        trainer.step()
        found.append(time.perf_counter() - before)
    return trainer.characters_per_step / statistics.median(found)


def _rounded(number: float) -> str:
    return f"{number / 1e6:.1f} million" if number >= 1e6 else f"{number:,.0f}"
