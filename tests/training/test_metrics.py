"""Perplexity and bits per character are what the field means by them."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.training.metrics import bits_per_character, perplexity


@pytest.mark.parametrize("choices", [2, 27, 6089])
def test_even_chances_among_n_characters(choices: int) -> None:
    loss = math.log(choices)
    assert perplexity(loss) == pytest.approx(choices)
    assert bits_per_character(loss) == pytest.approx(math.log2(choices))


def test_a_network_that_is_always_right() -> None:
    assert perplexity(0.0) == 1.0
    assert bits_per_character(0.0) == 0.0


@given(st.floats(0, 1000))
@example(705.0)
@example(709.0)
def test_perplexity_is_the_exponential_wherever_a_float_holds_it(loss: float) -> None:
    try:
        expected = math.exp(loss)
    except OverflowError:
        expected = math.inf
    assert perplexity(loss) == pytest.approx(expected)


@given(st.floats(0, 600))
def test_bits_and_perplexity_tell_the_same(loss: float) -> None:
    assert 2 ** bits_per_character(loss) == pytest.approx(perplexity(loss))


def test_what_is_not_finite_stays_so() -> None:
    assert perplexity(math.inf) == math.inf
    assert bits_per_character(math.inf) == math.inf
    assert math.isnan(perplexity(math.nan))
    assert math.isnan(bits_per_character(math.nan))
