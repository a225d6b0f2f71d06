"""One character at a time, the stepper is the network."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.config import Cell, Implementation, InputKind, ModelConfig
from engine.errors import PromptError
from engine.model.network import CharRNN
from engine.model.stepper import Stepper

torch.set_num_threads(1)

CELLS: tuple[Cell, ...] = get_args(Cell)
V, TEXT = 11, 30
CLOSE = {"rtol": 1e-5, "atol": 1e-5}

ENDS: list[dict[str, Any]] = [{"input": "embedding"}, {"input": "one-hot"}, {"output": "tied"}]

each_cell = pytest.mark.parametrize("cell", CELLS)


def network(seed: int = 1, **changes: Any) -> CharRNN:
    return CharRNN(
        ModelConfig(**{"embedding": 5, "hidden": 8, "dropout": 0.5, **changes}), V, seed=seed
    )


def text(seed: int = 2, streams: int = 1) -> Tensor:
    return torch.randint(V, (streams, TEXT), generator=torch.Generator().manual_seed(seed))


def stepped(stepper: Stepper, ids: Tensor) -> Tensor:
    """Logits (N, T, V) of streams (N, T), a column at a time."""
    state, found = stepper.initial_state(len(ids)), []
    for column in ids.unbind(dim=1):
        logits, state = stepper.step(column, state)
        found.append(logits)
    return torch.stack(found, dim=1)


@pytest.mark.parametrize(
    ("cell", "ends", "implementation", "layers"),
    list(product(CELLS, ENDS, get_args(Implementation), [1, 2, 3])),
)
def test_every_step_gives_the_networks_logits_and_state(
    cell: Cell, ends: dict[str, Any], implementation: Implementation, layers: int
) -> None:
    made = network(cell=cell, implementation=implementation, layers=layers, **ends).eval()
    stepper, ids = Stepper(made), text()
    state = stepper.initial_state()
    with torch.no_grad():
        for position in range(TEXT):
            logits, state = stepper.step(ids[:, position], state)
            expected, after = made(ids[:, : position + 1])
            torch.testing.assert_close(logits, expected[:, -1], **CLOSE)
            torch.testing.assert_close(state, after, **CLOSE)


@pytest.mark.parametrize(("cell", "ends", "layers"), list(product(CELLS, ENDS, [1, 2, 3])))
def test_a_stream_is_a_stepper_of_one_text(cell: Cell, ends: dict[str, Any], layers: int) -> None:
    stepper, ids = Stepper(network(cell=cell, layers=layers, **ends)), text()
    stream = stepper.stream()
    expected = stepped(stepper, ids)[0]
    for position, character in enumerate(ids[0].tolist()):
        stream.read(character)
        torch.testing.assert_close(torch.from_numpy(stream.logits), expected[position], **CLOSE)


@each_cell
def test_copies_of_a_stream_go_their_own_ways(cell: Cell) -> None:
    stepper = Stepper(network(cell=cell, layers=2))
    stream = stepper.stream()
    stream.read(3)
    twin, other = stream.copy(), stream.copy()
    twin.read(4)
    first = twin.logits.copy()
    stream.read(5)
    assert not np.allclose(stream.logits, first)
    assert np.array_equal(twin.logits, first)
    other.read(4)
    assert np.array_equal(other.logits, first)


@each_cell
def test_dropout_of_a_network_in_training_does_not_reach_the_stepper(cell: Cell) -> None:
    made = network(cell=cell, layers=2)
    in_training = stepped(Stepper(made.train()), text())
    torch.testing.assert_close(in_training, made.eval()(text())[0].detach(), **CLOSE)


@each_cell
@pytest.mark.parametrize("kind", get_args(InputKind))
def test_a_stepper_is_a_copy(cell: Cell, kind: InputKind) -> None:
    """Training goes on in the same tensors; what was begun is written on with the old weights."""
    made = network(cell=cell, input=kind, layers=2)
    stepper = Stepper(made)
    before = stepped(stepper, text())
    optimizer = torch.optim.SGD(made.parameters(), lr=1.0)
    made(text())[0].square().sum().backward()
    optimizer.step()
    assert torch.equal(stepped(stepper, text()), before)
    assert not torch.allclose(stepped(Stepper(made), text()), before, atol=1e-3)


@each_cell
def test_streams_do_not_see_each_other(cell: Cell) -> None:
    stepper, ids = Stepper(network(cell=cell, layers=2)), text(streams=4)
    together = stepped(stepper, ids)
    for row in range(4):
        torch.testing.assert_close(stepped(stepper, ids[row : row + 1])[0], together[row], **CLOSE)


@each_cell
def test_a_state_can_be_gone_back_to(cell: Cell) -> None:
    """A step leaves the state that it was given as it was: candidates start from one state."""
    stepper = Stepper(network(cell=cell))
    _, state = stepper.step(torch.tensor([3]), stepper.initial_state())
    first, _ = stepper.step(torch.tensor([4]), state)
    stepper.step(torch.tensor([5]), state)
    assert torch.equal(stepper.step(torch.tensor([4]), state)[0], first)


@each_cell
def test_a_bidirectional_network_is_refused(cell: Cell) -> None:
    with pytest.raises(PromptError, match=r"bidirectional network cannot generate.* Train one"):
        Stepper(network(cell=cell, bidirectional=True))
