"""The fast recurrences and the fast loss compute what the simple ones compute, gradients too."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.config import Cell
from engine.model import fused, loss, products
from engine.model.cells import GATES, StepState, unroll

torch.set_num_threads(1)

CELLS: tuple[Cell, ...] = get_args(Cell)
T, B, H, V, N = 9, 4, 16, 23, 50
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.03}

each_cell = pytest.mark.parametrize("cell", CELLS)
each_way = pytest.mark.parametrize("reverse", [False, True])
each_precision = pytest.mark.parametrize("precision", TOLERANCE)


def drawn(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def leaves_of(cell: Cell) -> dict[str, Tensor]:
    rows = GATES[cell] * H
    found = {"gates_x": drawn(1, T, B, rows), "h": drawn(2, B, H)}
    if cell == "lstm":
        found["c"] = drawn(3, B, H)
    found |= {"w_hh": drawn(4, rows, H, scale=0.3), "b_ih": drawn(6, rows), "b_hh": drawn(5, rows)}
    return {name: leaf.requires_grad_() for name, leaf in found.items()}


def gradients(output: Tensor, final: StepState, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of a loss in which every number weighs otherwise."""
    weighed = [
        (part.float() * drawn(10 + k, *part.shape)).sum() for k, part in enumerate((output, *final))
    ]
    found = torch.autograd.grad(torch.stack(weighed).sum(), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def assert_alike(found: Tensor, expected: Tensor, tolerance: float, name: str) -> None:
    difference, largest = (found - expected).detach().abs().max(), expected.detach().abs().max()
    assert difference <= tolerance * largest, name


@pytest.fixture(params=["as small as they are", "as if they were large"])
def weights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small weights are multiplied by torch's own product, large ones by oneDNN's."""
    if request.param == "as if they were large":
        monkeypatch.setattr(products, "SMALLEST_PACKED", 1)


@each_cell
@each_way
@each_precision
@pytest.mark.parametrize("at_once", [1, 3 * B * H, fused.NUMBERS_AT_ONCE])
@pytest.mark.usefixtures("weights")
def test_the_fused_recurrence_is_the_one_of_the_cells(
    cell: Cell,
    reverse: bool,
    precision: torch.dtype,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fused, "NUMBERS_AT_ONCE", at_once)
    leaves = leaves_of(cell)
    gates_x, *state, w_hh, b_ih, b_hh = leaves.values()
    output, final = fused.recurrence(
        cell, gates_x.to(precision, copy=True), tuple(state), w_hh, b_ih, b_hh, reverse
    )
    simple, simple_final = unroll(
        cell, gates_x.transpose(0, 1) + b_ih, tuple(state), w_hh, b_hh, reverse
    )
    tolerance = TOLERANCE[precision]
    assert output.dtype == precision
    assert_alike(output, simple.transpose(0, 1), tolerance, "output")
    for part, simple_part in zip(final, simple_final, strict=True):
        assert part.dtype == torch.float32
        assert_alike(part, simple_part, tolerance, "final state")
    expected = gradients(simple.transpose(0, 1), simple_final, leaves)
    for name, gradient in gradients(output, final, leaves).items():
        assert_alike(gradient, expected[name], tolerance, name)


@each_cell
def test_what_was_given_is_left_as_it_was(cell: Cell) -> None:
    leaves = leaves_of(cell)
    before = {name: leaf.detach().clone() for name, leaf in leaves.items()}
    gates_x, *state, w_hh, b_ih, b_hh = leaves.values()
    output, final = fused.recurrence(cell, gates_x.clone(), tuple(state), w_hh, b_ih, b_hh)
    kept = output.detach().clone()
    weights = [torch.ones_like(part) for part in (output, *final)]
    torch.autograd.backward([output, *final], weights)
    assert all(torch.equal(weight, torch.ones_like(weight)) for weight in weights)
    assert torch.equal(output, kept)
    assert all(torch.equal(leaf, before[name]) for name, leaf in leaves.items())


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_long_memory_survives_low_precision(cell: Cell) -> None:
    """A state that changes by less than bfloat16 can tell of it still changes over many steps."""
    steps, hidden = 400, 4
    gates_x = torch.zeros(steps, 1, GATES[cell] * hidden)
    gates_x[..., hidden : 2 * hidden] = 5.5413  # σ of it is 1 - 1/256: almost all is kept
    if cell == "lstm":
        gates_x[..., :hidden] = -5.5413  # and almost nothing written
    gates_x[..., 2 * hidden : 3 * hidden] = 3.0
    state = tuple(torch.zeros(1, hidden) for _ in range(2 if cell == "lstm" else 1))
    bias = torch.zeros(GATES[cell] * hidden)
    nothing = torch.zeros(GATES[cell] * hidden, hidden), bias, bias
    ends = [
        fused.recurrence(cell, gates_x.to(precision, copy=True), state, *nothing)[1][-1]
        for precision in (torch.float32, torch.bfloat16)
    ]
    assert_alike(ends[1], ends[0], 0.05, "the state after many small changes")


@each_precision
@pytest.mark.parametrize("at_once", [1, 7 * V, 2**21])
@pytest.mark.usefixtures("weights")
def test_the_loss_is_cross_entropy(
    precision: torch.dtype, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "LOGITS_AT_ONCE", at_once)
    monkeypatch.setattr(loss, "GRADIENTS_AT_ONCE", 3 * at_once)
    targets = torch.randint(V, (N,), generator=torch.Generator().manual_seed(6))
    x, weight, bias = (
        leaf.requires_grad_() for leaf in (drawn(7, N, H), drawn(8, V, H), drawn(9, V))
    )
    found = loss.cross_entropy(x.to(precision), weight, bias, targets)
    expected = F.cross_entropy(F.linear(x, weight, bias), targets, reduction="sum")
    tolerance = TOLERANCE[precision]
    assert_alike(found, expected, tolerance, "loss")
    leaves = [x, weight, bias]
    pairs = zip(
        torch.autograd.grad(found * 0.1, leaves),
        torch.autograd.grad(expected * 0.1, leaves),
        strict=True,
    )
    for gradient, simple in pairs:
        assert_alike(gradient, simple, tolerance, "gradient")
    with torch.no_grad():
        alone = loss.cross_entropy(x.to(precision), weight, bias, targets)
    assert not alone.requires_grad
    assert_alike(alone, found.detach(), 1e-5, "loss without gradient")
