"""A plan is decided once: budget, schedule and rhythm, and the presets that it starts from."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.config import TrainingConfig
from engine.errors import ConfigError
from engine.training.plan import (
    EVALUATION_COST,
    EVALUATION_SHARE,
    EVALUATIONS,
    PRESETS,
    Plan,
    learning_rate,
    make_plan,
    precision_for,
    preset,
    steps_of,
)


def planned(config: TrainingConfig | None = None, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "batch": 4,
        "time_steps": 8,
        "batches_per_epoch": 10,
        "held_out_characters": 1000,
        "steps": 100,
        "precision": "fp32",
        "threads": 1,
        **changes,
    }
    return make_plan(config or TrainingConfig(steps=values["steps"]), **values)


def rates(config: TrainingConfig, steps: int) -> tuple[Plan, list[float]]:
    plan = planned(config, steps=steps)
    return plan, [learning_rate(config, plan, step) for step in range(steps + 1)]


# --- The schedule -------------------------------------------------------------------------------

shares = st.floats(0, 1)
peaks = st.floats(1e-6, 1000)


@given(st.integers(1, 400), shares, peaks)
def test_cosine_rises_to_the_peak_and_falls_to_a_hundredth(
    steps: int, warm_up: float, peak: float
) -> None:
    config = TrainingConfig(steps=steps, warm_up=warm_up, learning_rate=peak)
    plan, found = rates(config, steps)
    warm = plan.warm_up_steps

    rising, falling = found[:warm], found[warm:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in found)
    if warm:
        assert rising[-1] == pytest.approx(peak)
        assert rising[0] == pytest.approx(peak / warm)
    if warm < steps:
        assert falling[0] == pytest.approx(peak)
        assert found[-1] == pytest.approx(peak / 100)  # the step after the last one
    assert found[steps - 1] > 0


def test_the_middle_of_the_cosine_is_the_middle_of_its_ends() -> None:
    config = TrainingConfig(steps=100, warm_up=0.2, learning_rate=1.0)
    _, found = rates(config, 100)
    assert found[60] == pytest.approx((1 + 0.01) / 2)
    assert found[98] < 0.02


@given(st.integers(1, 400), shares, peaks)
def test_a_constant_rate_stays_after_the_warm_up(steps: int, warm_up: float, peak: float) -> None:
    config = TrainingConfig(steps=steps, warm_up=warm_up, learning_rate=peak, schedule="constant")
    plan, found = rates(config, steps)
    assert found[: plan.warm_up_steps] == sorted(found[: plan.warm_up_steps])
    assert found[plan.warm_up_steps :] == [peak] * (steps + 1 - plan.warm_up_steps)


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    _, found = rates(TrainingConfig(steps=10, warm_up=0, learning_rate=0.5), 10)
    assert found[0] == pytest.approx(0.5)


# --- The budget ---------------------------------------------------------------------------------


def test_a_budget_in_steps_is_that_many() -> None:
    assert steps_of(TrainingConfig(steps=7), 10) == 7


@pytest.mark.parametrize(("epochs", "steps"), [(3, 30), (0.5, 5), (2.25, 22), (0.001, 1)])
def test_a_budget_in_epochs_counts_batches(epochs: float, steps: int) -> None:
    assert steps_of(TrainingConfig(epochs=epochs), 10) == steps


def test_a_budget_in_minutes_counts_what_fits() -> None:
    assert steps_of(TrainingConfig(minutes=2), 10, seconds_per_step=0.5) == 240
    assert steps_of(TrainingConfig(minutes=0.001), 10, seconds_per_step=5.0) == 1


def test_no_budget_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a budget"):
        steps_of(TrainingConfig(), 10)


# --- The rhythm ---------------------------------------------------------------------------------


@given(
    steps=st.integers(1, 100_000),
    held_out=st.integers(0, 10_000_000),
    batch=st.integers(1, 512),
    time_steps=st.integers(1, 512),
)
def test_evaluations_cost_a_bounded_share(
    steps: int, held_out: int, batch: int, time_steps: int
) -> None:
    plan = planned(
        TrainingConfig(steps=steps),
        steps=steps,
        held_out_characters=held_out,
        batch=batch,
        time_steps=time_steps,
    )
    trained = plan.evaluate_every * batch * time_steps
    # There is always one evaluation at the end, however long it takes.
    assert plan.evaluate_every == steps or held_out * EVALUATION_COST <= EVALUATION_SHARE * trained
    assert math.ceil(steps / plan.evaluate_every) <= EVALUATIONS
    assert 1 <= plan.evaluate_every <= steps


@given(st.integers(1, 1_000_000))
def test_a_plan_has_moments_to_save_write_and_log(steps: int) -> None:
    plan = planned(TrainingConfig(steps=steps), steps=steps)
    assert steps / plan.checkpoint_every <= 10
    assert steps / plan.sample_every <= 10
    assert steps / plan.log_every <= 8000
    assert 0 <= plan.warm_up_steps <= steps


def test_what_the_config_asks_for_is_planned() -> None:
    config = TrainingConfig(steps=100, evaluate_every=7, checkpoint_every=9, sample_every=11)
    plan = planned(config, held_out_characters=10**9)
    assert (plan.evaluate_every, plan.checkpoint_every, plan.sample_every) == (7, 9, 11)


def test_a_plan_is_frozen() -> None:
    plan = planned()
    with pytest.raises(ValidationError):
        plan.steps = 5  # type: ignore[misc]


# --- Presets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_one_budget_and_can_be_planned(name: str) -> None:
    config = preset(name)
    assert sum(b is not None for b in (config.steps, config.epochs, config.minutes)) == 1
    assert steps_of(config, 100, seconds_per_step=0.1) >= 1
    assert planned(config, steps=50).steps == 50
    assert config.with_budget(steps=3).model == config.model


def test_an_unknown_preset_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no preset called huge.*auto, tiny, cpu, gpu"):
        preset("huge")


@pytest.mark.parametrize(
    ("asked", "fast", "means"),
    [
        ("auto", True, "bf16"),
        ("auto", False, "fp32"),
        ("fp32", True, "fp32"),
        ("bf16", False, "bf16"),
    ],
)
def test_auto_takes_bf16_where_it_is_fast(asked: Any, fast: bool, means: str) -> None:
    assert precision_for(asked, fast) == means
