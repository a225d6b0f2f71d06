"""How a character is drawn: the distribution is the defined one, and the draw follows it."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.config import GenerationConfig
from engine.writing.sampling import UNKNOWN_ID, distribution, draw, draw_rows

finite = st.floats(-50, 50, width=32)
logits = st.lists(finite, min_size=2, max_size=30).map(lambda z: np.array(z, np.float32))
uniforms = st.floats(0, 1, exclude_max=True)
configs = st.builds(
    GenerationConfig,
    temperature=st.floats(0.05, 20) | st.just(0.0),
    top_k=st.integers(0, 35),
    top_p=st.floats(0.01, 1),
)


def config(**changes: Any) -> GenerationConfig:
    return GenerationConfig(**{"temperature": 1.0, **changes})


def chances(z: np.ndarray, settings: GenerationConfig) -> dict[int, float]:
    """The possible characters and their probabilities."""
    ids, probabilities = distribution(z, settings)
    return {int(i): float(p) for i, p in zip(ids, probabilities, strict=True) if p > 0}


def softmax(z: np.ndarray, temperature: float) -> dict[int, float]:
    """By the definition, <unk> left out."""
    likeliest = float(z[1:].max())
    weights = {i: math.exp((float(z[i]) - likeliest) / temperature) for i in range(1, len(z))}
    total = sum(weights.values())
    return {i: weight / total for i, weight in weights.items()}


# --- The distribution ---------------------------------------------------------------------------


@given(logits, configs)
def test_probabilities_sum_to_one_and_unknown_is_no_candidate(
    z: np.ndarray, settings: GenerationConfig
) -> None:
    z[UNKNOWN_ID] = 1000.0  # however much the network wants it
    before = z.copy()
    ids, probabilities = distribution(z, settings)
    assert probabilities.sum() == pytest.approx(1.0)
    assert (probabilities >= 0).all()
    assert len(set(ids.tolist())) == len(ids) >= 1
    assert UNKNOWN_ID not in ids
    np.testing.assert_array_equal(z, before)  # the logits are the caller's


@given(logits, st.floats(0.1, 10))
def test_temperature_is_the_softmax_of_the_divided_logits(
    z: np.ndarray, temperature: float
) -> None:
    found = chances(z, config(temperature=temperature))
    for i, expected in softmax(z, temperature).items():
        assert found.get(i, 0.0) == pytest.approx(expected, abs=1e-12)


@given(logits, uniforms, st.integers(0, 40), st.floats(0.01, 1))
def test_temperature_zero_is_greedy_whatever_else_is_set(
    z: np.ndarray, uniform: float, top_k: int, top_p: float
) -> None:
    settings = config(temperature=0.0, top_k=top_k, top_p=top_p)
    chosen, probability = draw(z, settings, uniform)
    assert z[chosen] == z[1:].max()
    assert chosen != UNKNOWN_ID
    assert probability == 1.0


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-300, 1e-307, 1e-310, 5e-324])
def test_a_temperature_near_zero_is_nearly_greedy(temperature: float) -> None:
    z = np.array([9.0, -3.0, 7.5, 7.0, -80.0], np.float32)
    with warnings.catch_warnings(action="error"):  # one would be printed over the screen
        assert draw(z, config(temperature=temperature), 0.5) == (2, 1.0)


def test_a_high_temperature_is_nearly_even() -> None:
    found = chances(np.array([0.0, 5.0, -5.0, 1.0]), config(temperature=100.0))
    assert found == pytest.approx({1: 1 / 3, 2: 1 / 3, 3: 1 / 3}, abs=0.04)


# --- Top-k --------------------------------------------------------------------------------------


@given(logits, st.integers(1, 35))
def test_top_k_keeps_the_k_likeliest_and_their_proportions(z: np.ndarray, k: int) -> None:
    found, whole = chances(z, config(top_k=k)), softmax(z, 1.0)
    assert len(found) <= k
    possible = {i for i, p in whole.items() if p > 0}
    if len(possible) >= k:
        assert len(found) == k
    left_out = [z[i] for i in possible - found.keys()]
    assert all(z[i] >= max(left_out, default=-math.inf) for i in found)
    kept = sum(whole[i] for i in found)
    assert found == pytest.approx({i: whole[i] / kept for i in found})


@given(logits, st.integers(0, 10))
def test_top_k_zero_or_beyond_the_vocabulary_is_off(z: np.ndarray, more: int) -> None:
    free = chances(z, config(top_k=0))
    assert chances(z, config(top_k=len(z) + more)) == free
    assert chances(z, config(top_k=len(z) - 1)) == pytest.approx(free)


@given(logits, uniforms)
def test_top_k_of_one_is_greedy(z: np.ndarray, uniform: float) -> None:
    chosen, probability = draw(z, config(top_k=1, temperature=3.0), uniform)
    assert z[chosen] == z[1:].max()
    assert probability == 1.0


# --- Top-p --------------------------------------------------------------------------------------


@given(logits, st.floats(0.01, 0.999), st.integers(0, 35))
def test_top_p_keeps_the_smallest_set_that_reaches_p(z: np.ndarray, p: float, k: int) -> None:
    """The set is of the likeliest, reaches p, and without its least one it does not."""
    whole, found = chances(z, config(top_k=k)), chances(z, config(top_k=k, top_p=p))
    kept = [whole[i] for i in found]
    assert sum(kept) >= p - 1e-9
    assert sum(kept) - min(kept) < p + 1e-9
    assert min(kept) >= max((whole[i] for i in whole.keys() - found.keys()), default=0.0)
    assert found == pytest.approx({i: whole[i] / sum(kept) for i in found})


def test_top_p_on_plain_numbers() -> None:
    z = np.log(np.array([1.0, 0.5, 0.25, 0.125, 0.125]))
    assert chances(z, config(top_p=0.5)) == pytest.approx({1: 1.0})
    assert chances(z, config(top_p=0.51)) == pytest.approx({1: 2 / 3, 2: 1 / 3})
    assert chances(z, config(top_p=0.75)) == pytest.approx({1: 2 / 3, 2: 1 / 3})
    assert len(chances(z, config(top_p=0.9))) == 4
    assert len(chances(z, config(top_p=1.0))) == 4
    assert chances(z, config(top_p=1e-9)) == pytest.approx({1: 1.0})


# --- The draw -----------------------------------------------------------------------------------


@given(logits, configs, uniforms)
def test_a_drawn_character_is_possible_and_tells_its_probability(
    z: np.ndarray, settings: GenerationConfig, uniform: float
) -> None:
    chosen, probability = draw(z, settings, uniform)
    assert chosen != UNKNOWN_ID
    assert chances(z, settings)[chosen] == probability > 0


@given(logits, configs)
def test_the_ends_of_the_uniform_numbers_are_possible_characters(
    z: np.ndarray, settings: GenerationConfig
) -> None:
    z[-1] = -500.0  # so unlikely that it cannot come
    assume(len(z) > 2)
    for uniform in (0.0, math.nextafter(1.0, 0.0)):
        chosen, probability = draw(z, settings, uniform)
        assert probability > 0
        if settings.temperature <= 1:
            assert chosen != len(z) - 1


def test_intervals_are_closed_below_and_open_above() -> None:
    z = np.log(np.array([1.0, 0.5, 0.25, 0.25]))
    found = [draw(z, config(), u)[0] for u in (0.0, 0.49, 0.5, 0.74, 0.75, 0.99)]
    assert found == [1, 1, 2, 2, 3, 3]
    z[1] = -5000.0  # impossible, and the first
    assert draw(z, config(), 0.0) == (2, 0.5)


@given(logits, configs, uniforms)
def test_a_share_of_the_uniform_numbers_is_a_probability(
    z: np.ndarray, settings: GenerationConfig, uniform: float
) -> None:
    """Between two draws of one character lies no other: each has one interval, as long as its
    probability."""
    grid = np.linspace(0, 1, 201)[:-1]
    found = [draw(z, settings, float(u))[0] for u in grid]
    changes = sum(a != b for a, b in pairwise(found))
    assert changes == len(set(found)) - 1
    for i, probability in chances(z, settings).items():
        assert found.count(i) / len(grid) == pytest.approx(probability, abs=1.01 / 200)


@pytest.mark.parametrize(
    "settings",
    [
        config(),
        config(temperature=0.5),
        config(temperature=2.0),
        config(top_k=4),
        config(top_p=0.8),
        config(temperature=1.5, top_k=6, top_p=0.9),
    ],
)
def test_frequencies_fit_the_distribution(settings: GenerationConfig) -> None:
    """Pearson's chi-square over 20,000 draws, at a level that chance passes once in 30,000."""
    rng = np.random.default_rng(20261123)
    z = rng.normal(0, 1.2, 12)
    expected, draws = chances(z, settings), 20_000
    counts = dict.fromkeys(expected, 0)
    for _ in range(draws):
        counts[draw(z, settings, rng.random())[0]] += 1
    statistic = sum((counts[i] - draws * p) ** 2 / (draws * p) for i, p in expected.items())
    freedom = len(expected) - 1
    spread = 2 / (9 * freedom)
    limit = freedom * (1 - spread + 4 * math.sqrt(spread)) ** 3  # Wilson & Hilferty 1931
    assert statistic < limit


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_broken_logits_never_give_unknown(bad: float, temperature: float) -> None:
    """A network that diverged writes nonsense; it does not write <unk> or fail."""
    with np.errstate(all="ignore"):
        for z in (np.full(5, bad), np.array([0.0, 1.0, bad, 2.0, bad])):
            chosen, _ = draw(z, config(temperature=temperature), 0.7)
            assert 0 < chosen < 5


@pytest.mark.parametrize("size", [5, 64, 65, 66, 1000, 6090])
def test_a_draw_inverts_the_cumulative_distribution(size: int) -> None:
    """At any vocabulary: the character is the one on whose interval the number falls."""
    rng = np.random.default_rng(size)
    z = rng.normal(0, 3, size).astype(np.float32)
    _, probabilities = distribution(z, config(temperature=0.8))
    ends = np.cumsum(probabilities)
    for uniform in rng.random(300):
        found, probability = draw(z, config(temperature=0.8), uniform)
        place = found - 1
        assert ends[place] - probabilities[place] - 1e-6 <= uniform <= ends[place] + 1e-6
        assert probability == pytest.approx(probabilities[place], rel=1e-5)


@pytest.mark.parametrize("levels", [1, 3, 40, 10**6])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_nucleus_is_that_of_the_whole_vocabulary_sorted(levels: int, share: float) -> None:
    """Also where many characters are equally likely."""
    rng = np.random.default_rng(levels)
    z = (rng.integers(levels, size=3000) / levels * 8).astype(np.float32)
    ids, probabilities = distribution(z, config(temperature=1.0, top_p=share))
    every, shares = distribution(z, config(temperature=1.0))
    order = np.argsort(-shares, kind="stable")
    before = np.cumsum(shares[order]) - shares[order]
    kept = order[before < share]
    assert ids.tolist() == every[kept].tolist()
    assert probabilities == pytest.approx(shares[kept] / shares[kept].sum())


@pytest.mark.parametrize("size", [2, 5, 64, 65, 66, 1000, 6090])
@pytest.mark.parametrize(
    "settings",
    [config(), config(temperature=0), config(temperature=1.5, top_k=3), config(top_p=0.7)],
)
def test_rows_are_drawn_as_one_by_one(size: int, settings: GenerationConfig) -> None:
    rng = np.random.default_rng(size)
    z = rng.normal(0, 3, (200, size)).astype(np.float32)
    uniforms = rng.random(200)
    uniforms[:2] = 0.0, np.nextafter(1, 0)
    together = draw_rows(z, settings, uniforms)
    alone = [draw(row, settings, uniform)[0] for row, uniform in zip(z, uniforms, strict=True)]
    assert together.tolist() == alone
