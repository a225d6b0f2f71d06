"""What a run will do, decided before it starts and then frozen: presets, budget, schedule."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from engine.config import ModelConfig, Precision, Settings, TrainingConfig
from engine.errors import ConfigError

EVALUATIONS = 40  # about so many points on the held-out curve
EVALUATION_SHARE = 0.06  # at most this share of the work goes into them
EVALUATION_COST = 1 / 2  # a character evaluated against one trained, forward in narrower batches
CHECKPOINTS = 10
SAMPLES = 10
FEWEST_STEPS = 20  # between two samples, however short the run
PASSES = 8  # through a text, after which a network has learned most of it
CPU_CHARACTERS_PER_SECOND = 60_000  # trained on two cores
LOGGED_POINTS = 4000  # the training curve on disk has about so many points at most


class Plan(Settings):
    """The frozen numbers of a run; a resumed run reads them and measures nothing again."""

    batch: int = Field(ge=1)
    time_steps: int = Field(ge=1)
    batches_per_epoch: int = Field(ge=1)
    steps: int = Field(ge=1)
    warm_up_steps: int = Field(ge=0)
    evaluate_every: int = Field(ge=1)
    checkpoint_every: int = Field(ge=1)
    sample_every: int = Field(ge=1)
    log_every: int = Field(ge=1)
    precision: Literal["fp32", "bf16"]
    threads: int = Field(ge=1)


def make_plan(
    config: TrainingConfig,
    *,
    batch: int,
    time_steps: int,
    batches_per_epoch: int,
    held_out_characters: int,
    steps: int,
    precision: Literal["fp32", "bf16"],
    threads: int,
) -> Plan:
    """Fills in what the config leaves to the plan.

    Held-out evaluations come about forty times a run, rarer where the held-out text is so long
    that they would cost more than a few per cent of the training itself.
    """
    affordable = held_out_characters * EVALUATION_COST / (EVALUATION_SHARE * batch * time_steps)
    evaluate_every = max(1, math.ceil(steps / EVALUATIONS), math.ceil(affordable))
    return Plan(
        batch=batch,
        time_steps=time_steps,
        batches_per_epoch=batches_per_epoch,
        steps=steps,
        warm_up_steps=min(round(config.warm_up * steps), steps),
        evaluate_every=config.evaluate_every or min(evaluate_every, steps),
        checkpoint_every=config.checkpoint_every or max(1, math.ceil(steps / CHECKPOINTS)),
        sample_every=config.sample_every or max(FEWEST_STEPS, math.ceil(steps / SAMPLES)),
        log_every=max(1, steps // LOGGED_POINTS),
        precision=precision,
        threads=threads,
    )


def steps_of(config: TrainingConfig, batches_per_epoch: int, seconds_per_step: float = 0.0) -> int:
    """The budget in steps. `seconds_per_step`, evaluations included, is needed for minutes."""
    if config.steps is not None:
        return config.steps
    if config.epochs is not None:
        return max(1, round(config.epochs * batches_per_epoch))
    if config.minutes is None:
        raise ConfigError("Training needs a budget: give steps, epochs or minutes.")
    return max(1, int(config.minutes * 60 / seconds_per_step))


def suggestion(characters: int) -> tuple[str, float]:
    """A preset for a text of so many characters, and the minutes in which it reads the text eight
    times here: on the measured corpora, the held-out loss stopped falling at five to ten."""
    minutes = max(PASSES * characters / CPU_CHARACTERS_PER_SECOND / 60, 0.2)
    return "auto", round(minutes, 1) if minutes < 10 else round(minutes)


def learning_rate(config: TrainingConfig, plan: Plan, step: int) -> float:
    """The rate of that step, counted from 0: linear warm-up from near zero, then constant or
    half a cosine down to a hundredth (Loshchilov & Hutter 2017)."""
    peak = config.learning_rate
    if step < plan.warm_up_steps:
        return peak * (step + 1) / plan.warm_up_steps
    if config.schedule == "constant":
        return peak
    done = (step - plan.warm_up_steps) / max(1, plan.steps - plan.warm_up_steps)
    floor = 0.01 * peak
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def auto() -> TrainingConfig:
    """Minutes: the network that learns most in them on this machine and this text."""
    return TrainingConfig(minutes=3, shape="searched")


def tiny() -> TrainingConfig:
    """Seconds on any machine: a GRU so small that a lesson or a test can watch it finish. It
    learns letters, spaces and line lengths; it does not learn words."""
    return TrainingConfig(
        model=ModelConfig(embedding=32, hidden=96, dropout=0.0),
        batch=16,
        time_steps=32,
        optimizer="adamw",
        learning_rate=1e-2,
        weight_decay=0.01,
        steps=300,
    )


def cpu() -> TrainingConfig:
    """Minutes on two cores, always the same: one GRU layer of 384 (fewer, larger matrix products
    than two thin layers; a GRU has three quarters of an LSTM's arithmetic)."""
    return TrainingConfig(minutes=3)


def gpu() -> TrainingConfig:
    """Minutes on one data-centre GPU: an LSTM, the cell with the fastest cuDNN kernels, with
    single-layer modules in multiples of 128 and a batch wide enough to fill the device."""
    return TrainingConfig(
        model=ModelConfig(cell="lstm", embedding=128, hidden=1024, layers=2, dropout=0.3),
        batch=128,
        time_steps=128,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.01,
        minutes=3,
    )


SHAPE = frozenset({*ModelConfig.model_fields, "batch", "time_steps"})
"""What preset auto looks for; where one of them is given, all are taken as they are."""

PRESETS = {"auto": auto, "tiny": tiny, "cpu": cpu, "gpu": gpu}


def preset(name: str) -> TrainingConfig:
    """A preset by name."""
    try:
        return PRESETS[name]()
    except KeyError:
        raise ConfigError(
            f"There is no preset called {name}: choose {', '.join(PRESETS)}."
        ) from None


def precision_for(asked: Precision, bf16_is_fast: bool) -> Literal["fp32", "bf16"]:
    """What `auto` means on a machine."""
    if asked == "auto":
        return "bf16" if bf16_is_fast else "fp32"
    return asked
