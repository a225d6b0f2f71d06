"""Preset auto: the machine's speed, the text and the minutes decide on the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.config import TrainingConfig
from engine.errors import Interrupted
from engine.training import search
from engine.training.plan import preset

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """One whose arithmetic a second is known."""
    power = {"multiplications": 2e10}

    def speed(config: TrainingConfig, *_: object) -> float:
        hidden = config.model.hidden
        return power["multiplications"] / (3 * hidden * (hidden + config.model.embedding))

    monkeypatch.setattr(search, "characters_per_second", speed)
    return power


def picked(minutes: float, characters: int = 10**6, vocabulary: int = 70) -> TrainingConfig:
    config = preset("auto").with_budget(minutes=minutes)
    found, _ = search.best_shape(config, vocabulary, np.zeros(characters, np.uint8), CPU)
    return found


def test_more_time_buys_a_larger_network(machine: dict[str, float]) -> None:
    sizes = [picked(minutes).model.hidden for minutes in (0.2, 1, 5, 25)]
    assert sizes == sorted(set(sizes))


def test_a_faster_machine_buys_a_larger_network(machine: dict[str, float]) -> None:
    slow = picked(2).model.hidden
    machine["multiplications"] *= 16
    assert picked(2).model.hidden > slow


def test_a_short_text_bounds_the_network_however_long_the_time(machine: dict[str, float]) -> None:
    hour, day = (picked(minutes, 50_000) for minutes in (60, 1440))
    assert hour.model == day.model
    assert hour.model.hidden < picked(60).model.hidden


def test_what_is_read_often_is_dropped_more(machine: dict[str, float]) -> None:
    once, often = picked(1, 10**7), picked(10, 10**5)
    assert once.model.dropout < often.model.dropout


def test_a_large_vocabulary_shares_its_rows(machine: dict[str, float]) -> None:
    assert picked(3, vocabulary=70).model.output == "full"
    assert picked(3, vocabulary=6000).model.output == "tied"


def test_much_reading_with_a_large_vocabulary_goes_in_wide_batches(
    machine: dict[str, float],
) -> None:
    long, short = (picked(minutes, 10**7, vocabulary=6000).batch for minutes in (20, 0.1))
    assert long > short
    assert picked(20, 10**7, vocabulary=70).batch == short


def test_the_rest_of_the_settings_is_kept(machine: dict[str, float]) -> None:
    config = preset("auto").changed(seed=7, patience=3)
    found, told = search.best_shape(config, 70, np.zeros(10**6, np.uint8), CPU)
    assert (found.seed, found.patience, found.minutes) == (7, 3, config.minutes)
    assert f"{found.model.hidden:,} features" in told
    assert "3 minutes" in told


@pytest.mark.parametrize("characters", [2, 40, 3000])
def test_a_tiny_text_is_measured_as_it_is(characters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MEASURED_SECONDS", 1e-9)
    monkeypatch.setattr(search, "MEASURED_SIZES", (8, 16))
    text = np.arange(characters, dtype=np.uint8) % 5
    found, _ = search.best_shape(preset("auto"), 5, text, CPU)
    assert found.model.hidden <= 256
    assert found.batch >= 1


def test_stopping_ends_the_search() -> None:
    with pytest.raises(Interrupted):
        search.best_shape(preset("auto"), 5, np.zeros(500, np.uint8), CPU, lambda: True)
