"""Held-out loss: both protocols equal the plain computation and touch nothing."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from engine.config import Cell, ModelConfig
from engine.model.network import CharRNN
from engine.training import evaluation
from engine.training.evaluation import Evaluation, stateful, windows

torch.set_num_threads(1)

V = 9
each_cell = pytest.mark.parametrize("cell", get_args(Cell))


def network(**changes: Any) -> CharRNN:
    """Weights far from their initial ones, so that characters differ in loss."""
    made = CharRNN(ModelConfig(**{"embedding": 4, "hidden": 8, "dropout": 0.5, **changes}), V)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2.0)
    return made


def memoryless() -> CharRNN:
    """A network whose loss at a character depends on that character and the one before alone:
    whatever is warmed up or cut, each target has one known loss."""
    made = network(cell="rnn")
    with torch.no_grad():
        made.layers[0].get_parameter("weight_hh_l0").zero_()
    return made


def text(length: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, length).astype(np.uint16)


def losses(of: CharRNN, ids: np.ndarray) -> np.ndarray:
    """The loss of every character but the first, in one forward pass: (N-1,)."""
    rows = torch.from_numpy(ids.astype(np.int64))
    was_training = of.training
    with torch.no_grad():
        logits, _ = of.eval()(rows[None, :-1])
        found = F.cross_entropy(logits[0], rows[1:], reduction="none")
    of.train(was_training)
    return found.double().numpy()


def last(pieces: Any) -> Evaluation:
    return list(pieces)[-1]


# --- Stateful -----------------------------------------------------------------------------------


@each_cell
@pytest.mark.parametrize("kind", ["embedding", "one-hot"])
@pytest.mark.parametrize("length", [2, 3, 64, 65, 66, 500])
def test_one_lane_is_one_long_forward_pass(cell: Cell, kind: str, length: int) -> None:
    made, ids = network(cell=cell, input=kind, layers=2), text(length)
    found = last(stateful(made, ids, 1))
    assert found.characters == length - 1
    assert found.loss == pytest.approx(losses(made, ids).mean(), abs=1e-5)


@each_cell
def test_chunked_equals_whole(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    made, ids = network(cell=cell), text(333)
    found = []
    for columns in (1, 7, 64, 1000):
        monkeypatch.setattr(evaluation, "COLUMNS_PER_PIECE", columns)
        found.append(last(stateful(made, ids, 1)).loss)
    assert found == pytest.approx([found[0]] * 4, abs=1e-5)


def test_each_piece_tells_the_loss_so_far() -> None:
    made, ids = network(), text(200)
    expected = losses(made, ids)
    pieces = list(stateful(made, ids, 1))
    assert len(pieces) > 1
    counts = [piece.characters for piece in pieces]
    assert counts == sorted(set(counts))
    for piece in pieces:
        assert piece.loss == pytest.approx(expected[: piece.characters].mean(), abs=1e-5)


@settings(max_examples=40)
@given(st.integers(2, 9000), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_number_of_lanes_counts_every_target_once(length: int, lanes: int, seed: int) -> None:
    made, ids = memoryless(), text(length, seed)
    found = last(stateful(made, ids, lanes))
    assert found.characters == length - 1
    assert found.loss == pytest.approx(losses(made, ids).mean(), abs=1e-5)


@each_cell
def test_many_lanes_differ_little_from_one(cell: Cell) -> None:
    made, ids = network(cell=cell), text(6 * 1024 + 77)
    one, six = last(stateful(made, ids, 1)), last(stateful(made, ids, 6))
    assert six.characters == one.characters
    # These networks remember less than the 256 characters that a lane is warmed up with.
    assert six.loss == pytest.approx(one.loss, abs=1e-5)


# --- Windows ------------------------------------------------------------------------------------


def by_windows(made: CharRNN, ids: np.ndarray, window: int) -> np.ndarray:
    """The losses of cold windows one after another, the last one as long as what is left."""
    return np.concatenate(
        [losses(made, ids[start : start + window + 1]) for start in range(0, len(ids) - 1, window)]
    )


@each_cell
@pytest.mark.parametrize("window", [1, 7, 50, 99, 100, 1000])
def test_windows_are_cold_starts(cell: Cell, window: int) -> None:
    made, ids = network(cell=cell), text(101)
    found = last(windows(made, ids, window))
    assert found.characters == 100
    assert found.loss == pytest.approx(by_windows(made, ids, window).mean(), abs=1e-5)


@settings(max_examples=40)
@given(st.integers(2, 600), st.integers(1, 700), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_any_window_and_piece_counts_every_target_once(
    length: int, window: int, piece: int, seed: int
) -> None:
    made, ids = memoryless(), text(length, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "WINDOW_CHARACTERS_PER_PIECE", piece)
        found = last(windows(made, ids, window))
    assert found.characters == length - 1
    assert found.loss == pytest.approx(losses(made, ids).mean(), abs=1e-5)


def test_cold_windows_know_less_than_a_carried_state() -> None:
    """The two protocols are told apart by what they measure, on a network that needs memory."""
    made = network(cell="lstm")
    ids = text(400)
    assert last(windows(made, ids, 2)).loss != pytest.approx(
        last(stateful(made, ids, 1)).loss, abs=1e-4
    )


# --- What both leave alone ----------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1])
def test_a_text_with_nothing_to_predict_gives_nothing(length: int) -> None:
    assert list(stateful(network(), text(length))) == []
    assert list(windows(network(), text(length), 8)) == []


@pytest.mark.parametrize("training", [True, False])
def test_the_networks_mode_is_as_it_was_at_every_piece(training: bool) -> None:
    made, ids = network().train(training), text(2000)
    for pieces in (stateful(made, ids, 1), stateful(made, ids, 4), windows(made, ids, 5)):
        for _ in pieces:
            assert made.training is training


def test_the_mode_is_as_it_was_after_an_error() -> None:
    made = network().train()
    with pytest.raises(IndexError):
        list(stateful(made, np.array([1, V + 5, 2], np.uint16)))
    assert made.training


def test_dropout_is_off_and_draws_nothing() -> None:
    made, ids = network(layers=2).train(), text(300)
    made.to_device(torch.device("cpu"))
    before = made.generator.get_state()
    first, second = last(stateful(made, ids)), last(stateful(made, ids))
    assert first == second
    assert torch.equal(made.generator.get_state(), before)


def test_perplexity_and_bits_belong_to_the_loss() -> None:
    found = Evaluation(loss=float(np.log(8)), characters=1)
    assert found.perplexity == pytest.approx(8)
    assert found.bits_per_character == pytest.approx(3)
