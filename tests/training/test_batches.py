"""Batches: targets one ahead, an epoch that uses the text up, and step k known from k alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.config import Sampling
from engine.errors import CorpusError
from engine.training.batches import Batch, Batches, fit

samplings = st.sampled_from(["adjacent", "random"])
rows, times, seeds = st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**63 - 1)


@st.composite
def texts(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    """A text whose every id is its position, and a batch shape that fits at least once."""
    batch, time_steps = draw(rows), draw(times)
    smallest = batch * time_steps + 1
    length = draw(st.integers(smallest, 6 * smallest))
    return np.arange(length, dtype=np.uint16), batch, time_steps


def epoch_of(batches: Batches, epoch: int = 0) -> list[Batch]:
    first = epoch * batches.per_epoch
    return [batches[step] for step in range(first, first + batches.per_epoch)]


@given(texts(), samplings, seeds, st.integers(0, 50))
def test_a_target_is_the_character_after_its_input(
    text: tuple[np.ndarray, int, int], sampling: Sampling, seed: int, step: int
) -> None:
    ids, batch, time_steps = text
    found = Batches(ids, batch, time_steps, sampling, seed)[step]
    assert found.inputs.shape == found.targets.shape == (batch, time_steps)
    assert found.inputs.dtype == found.targets.dtype == np.int64
    # Ids are positions, so this says as well that a row is one piece of text.
    np.testing.assert_array_equal(found.inputs, found.inputs[:, :1] + np.arange(time_steps))
    np.testing.assert_array_equal(found.targets, found.inputs + 1)


@given(texts(), seeds, st.integers(0, 3))
def test_adjacent_rows_go_on_where_they_ended(
    text: tuple[np.ndarray, int, int], seed: int, epoch: int
) -> None:
    batches = epoch_of(Batches(*text, "adjacent", seed), epoch)
    for before, after in pairwise(batches):
        np.testing.assert_array_equal(after.inputs[:, 0], before.targets[:, -1])
    # The carried state fits only where the row goes on.
    assert [found.fresh for found in batches] == [True] + [False] * (len(batches) - 1)


@given(texts(), samplings, seeds, st.integers(0, 3))
def test_an_epoch_reads_every_character_once_but_for_less_than_a_batch(
    text: tuple[np.ndarray, int, int], sampling: Sampling, seed: int, epoch: int
) -> None:
    ids, batch, time_steps = text
    read = np.concatenate(
        [b.inputs.ravel() for b in epoch_of(Batches(*text, sampling, seed), epoch)]
    )
    assert len(np.unique(read)) == len(read)
    assert 0 <= len(ids) - 1 - len(read) < batch * time_steps
    # What is left over lies before and after, never inside.
    assert read.max() - read.min() + 1 == len(read)


@given(texts(), samplings, seeds)
def test_every_offset_comes_up(
    text: tuple[np.ndarray, int, int], sampling: Sampling, seed: int
) -> None:
    """Over many epochs each character that an epoch leaves over is read in another."""
    ids, batch, time_steps = text
    batches = Batches(*text, sampling, seed)
    slack = len(ids) - 1 - batches.per_epoch * batch * time_steps
    epochs = 40 * (slack + 1)  # an offset stays away from all of them once in 10^17 runs
    seen: set[int] = set()
    for epoch in range(epochs):
        seen.add(min(int(found.inputs.min()) for found in epoch_of(batches, epoch)))
        if len(seen) == slack + 1:
            break
    assert seen == set(range(slack + 1))


@given(texts(), samplings, seeds, st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_a_batch_depends_on_its_step_alone(
    text: tuple[np.ndarray, int, int], sampling: Sampling, seed: int, steps: list[int]
) -> None:
    asked_in_any_order = Batches(*text, sampling, seed)
    for step in steps:
        mine, fresh = asked_in_any_order[step], Batches(*text, sampling, seed)[step]
        np.testing.assert_array_equal(mine.inputs, fresh.inputs)
        assert mine.fresh == fresh.fresh


@given(texts(), seeds)
def test_random_sampling_shuffles_anew_and_starts_fresh(
    text: tuple[np.ndarray, int, int], seed: int
) -> None:
    batches = Batches(*text, "random", seed)
    orders = []
    for epoch in range(8):
        found = epoch_of(batches, epoch)
        assert all(one.fresh for one in found)
        starts = np.concatenate([one.inputs[:, 0] for one in found])
        orders.append(tuple(starts - starts.min()))
    assume(len(orders[0]) >= 4)  # eight epochs in one order of 4!: once in 10^9 runs
    assert len(set(orders)) > 1
    assert any(order != tuple(sorted(order)) for order in orders)


@pytest.mark.parametrize("sampling", ["adjacent", "random"])
def test_another_seed_is_another_order(sampling: Sampling) -> None:
    ids = np.arange(1000)
    starts = {
        tuple(int(Batches(ids, 2, 16, sampling, seed)[step].inputs[0, 0]) for step in range(99))
        for seed in range(5)
    }
    assert len(starts) == 5


def test_a_batch_that_the_text_cannot_fill_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"2 × 8 needs 17 characters; the text has 16\."):
        Batches(np.arange(16), 2, 8, "adjacent", 0)


@given(st.integers(2, 400), st.integers(1, 40), st.integers(1, 40), samplings)
def test_fit_gives_the_largest_shape_that_the_text_fills(
    characters: int, batch: int, time_steps: int, sampling: Sampling
) -> None:
    fitted, time, sentence = fit(characters, batch, time_steps)

    assert Batches(np.arange(characters), fitted, time, sampling, 0).per_epoch >= 1
    assert time == min(time_steps, characters - 1)
    assert fitted == batch or (fitted < batch and (fitted + 1) * time > characters - 1)
    if (fitted, time) == (batch, time_steps):
        assert sentence is None
    else:
        assert sentence is not None
        assert f"{batch} × {time_steps} to {fitted} × {time}" in sentence
        assert str(characters) in sentence


@pytest.mark.parametrize("characters", [0, 1])
def test_a_text_without_anything_to_predict_is_refused(characters: int) -> None:
    with pytest.raises(CorpusError, match=rf"has {characters} character.* smallest .* is 2"):
        fit(characters, 32, 64)
