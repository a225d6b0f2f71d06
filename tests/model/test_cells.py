"""The scratch cells are torch.nn's cells: same outputs, same gradients, same equations."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.config import Cell
from engine.model.cells import (
    GATE_NAMES,
    GATE_VALUES,
    GATES,
    STEPS,
    RecurrentState,
    ScratchRecurrent,
    StepState,
    unroll,
)

torch.set_num_threads(1)

CELLS: tuple[Cell, ...] = get_args(Cell)
TORCH: dict[Cell, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}  # absolute plus relative

each_cell = pytest.mark.parametrize("cell", CELLS)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_state(
    cell: Cell, shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
) -> RecurrentState:
    h = torch.randn(shape, generator=generator, dtype=dtype)
    if cell != "lstm":
        return h
    return h, torch.randn(shape, generator=generator, dtype=dtype)


def parts(state: RecurrentState | None) -> StepState:
    """A state as a tuple of its tensors; no state as an empty one."""
    if state is None:
        return ()
    return (state,) if isinstance(state, Tensor) else tuple(state)


# --- Equal to torch.nn --------------------------------------------------------------------------


def results(module: nn.Module, x: Tensor, state: RecurrentState | None) -> dict[str, Tensor]:
    """Everything that a pass gives: output, final state, and the gradient of every leaf.

    The loss weighs each entry of output and final state differently, so that two entries that
    changed places, or a direction that was mixed up, cannot cancel.
    """
    x = x.clone().requires_grad_()
    initial = tuple(part.clone().requires_grad_() for part in parts(state))
    given_state: RecurrentState | None = None
    if state is not None:
        given_state = initial[0] if len(initial) == 1 else (initial[0], initial[1])
    output, final = module(x, given_state)
    found = {"output": output, **{f"final {k}": part for k, part in enumerate(parts(final))}}

    weigh = seeded(1)
    loss = torch.zeros((), dtype=x.dtype)
    for values in found.values():
        loss = loss + (torch.randn(values.shape, generator=weigh, dtype=x.dtype) * values).sum()
    leaves = {"x": x, **{f"state {k}": part for k, part in enumerate(initial)}}
    leaves.update(module.named_parameters())
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    found.update({f"gradient of {name}": g for name, g in zip(leaves, gradients, strict=True)})
    return found


@settings(max_examples=250, deadline=None)
@given(
    cell=st.sampled_from(CELLS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    batch=st.integers(1, 4),
    time=st.integers(1, 9),
    inputs=st.integers(1, 6),
    hidden=st.integers(1, 7),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    with_state=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_output_state_and_every_gradient_equal_torch(
    cell: Cell,
    dtype: torch.dtype,
    batch: int,
    time: int,
    inputs: int,
    hidden: int,
    layers: int,
    bidirectional: bool,
    with_state: bool,
    seed: int,
) -> None:
    generator = seeded(seed)
    scratch = ScratchRecurrent(
        cell, inputs, hidden, layers, bidirectional=bidirectional, generator=generator
    ).to(dtype)
    reference = TORCH[cell](
        inputs, hidden, layers, batch_first=True, bidirectional=bidirectional, dtype=dtype
    )
    reference.load_state_dict(scratch.state_dict())
    x = torch.randn(batch, time, inputs, generator=generator, dtype=dtype)
    shape = (layers * scratch.directions, batch, hidden)
    state = random_state(cell, shape, generator, dtype) if with_state else None

    mine, theirs = results(scratch, x, state), results(reference, x, state)

    # A failure names the tensor; hypothesis prints the shapes and the seed.
    torch.testing.assert_close(mine, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_state_dict_loads_both_ways(cell: Cell, bidirectional: bool) -> None:
    scratch = ScratchRecurrent(cell, 3, 5, 2, bidirectional=bidirectional, generator=seeded(1))
    reference = TORCH[cell](3, 5, 2, batch_first=True, bidirectional=bidirectional)
    assert list(scratch.state_dict()) == list(reference.state_dict())
    x = torch.randn(2, 4, 3, generator=seeded(2))

    assert not torch.allclose(scratch(x)[0], reference(x)[0], atol=1e-3)  # two different networks
    there = copy.deepcopy(reference)
    there.load_state_dict(scratch.state_dict())
    torch.testing.assert_close(there(x)[0], scratch(x)[0])
    scratch.load_state_dict(reference.state_dict())
    torch.testing.assert_close(scratch(x)[0], reference(x)[0])


@each_cell
def test_initial_weights_are_those_of_torch_under_the_same_seed(cell: Cell) -> None:
    torch.manual_seed(11)
    reference = TORCH[cell](3, 16, 2, bidirectional=True)
    scratch = ScratchRecurrent(cell, 3, 16, 2, bidirectional=True, generator=seeded(11))
    for name, expected in reference.named_parameters():
        assert torch.equal(scratch.get_parameter(name), expected), name


# --- Equal to the equations ---------------------------------------------------------------------


def sigmoid(a: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-a)))


def by_the_equations(
    cell: Cell,
    x: NDArray[np.float64],
    h: NDArray[np.float64],
    c: NDArray[np.float64],
    w_ih: NDArray[np.float64],
    w_hh: NDArray[np.float64],
    b_ih: NDArray[np.float64],
    b_hh: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """One sequence x (T, E) through one cell from h, c (H), gate by gate: the equations alone."""
    outputs = []
    for x_t in x:
        from_x = np.split(w_ih @ x_t + b_ih, GATES[cell])
        from_h = np.split(w_hh @ h + b_hh, GATES[cell])
        if cell == "rnn":
            h = np.tanh(from_x[0] + from_h[0])
        elif cell == "gru":
            r = sigmoid(from_x[0] + from_h[0])
            z = sigmoid(from_x[1] + from_h[1])
            n = np.tanh(from_x[2] + r * from_h[2])
            h = (1 - z) * n + z * h
        else:
            i = sigmoid(from_x[0] + from_h[0])
            f = sigmoid(from_x[1] + from_h[1])
            g = np.tanh(from_x[2] + from_h[2])
            o = sigmoid(from_x[3] + from_h[3])
            c = f * c + i * g
            h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), h, c


@each_cell
@pytest.mark.parametrize("reverse", [False, True])
def test_unroll_equals_a_plain_loop(cell: Cell, reverse: bool) -> None:
    """Weights near ±1 and six steps: a step that used a wrong hidden state would be far off."""
    B, T, E, H = 3, 6, 4, 5
    rng = np.random.default_rng(20)
    x = rng.normal(size=(B, T, E))
    h, c = rng.normal(size=(2, B, H))
    w_ih = rng.uniform(-1, 1, size=(GATES[cell] * H, E))
    w_hh = rng.uniform(-1, 1, size=(GATES[cell] * H, H))
    b_ih, b_hh = rng.uniform(-1, 1, size=(2, GATES[cell] * H))

    gates_x = torch.from_numpy(x @ w_ih.T + b_ih)
    state = tuple(torch.from_numpy(part) for part in ((h, c) if cell == "lstm" else (h,)))
    output, final = unroll(
        cell, gates_x, state, torch.from_numpy(w_hh), torch.from_numpy(b_hh), reverse
    )

    assert output.shape == (B, T, H)
    for b in range(B):
        sequence = x[b, ::-1] if reverse else x[b]
        outputs, h_last, c_last = by_the_equations(
            cell, sequence, h[b], c[b], w_ih, w_hh, b_ih, b_hh
        )
        np.testing.assert_allclose(output[b], outputs[::-1] if reverse else outputs, atol=1e-12)
        np.testing.assert_allclose(final[0][b], h_last, atol=1e-12)
        if cell == "lstm":
            np.testing.assert_allclose(final[1][b], c_last, atol=1e-12)


def one_step(cell: Cell) -> tuple[Tensor, StepState, Tensor, Tensor]:
    """Random arguments of one step, B = 2, H = 3, in float64."""
    generator = seeded(5)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    state = tuple(draw(2, 3) for _ in range(2 if cell == "lstm" else 1))
    return draw(2, GATES[cell] * 3), state, draw(GATES[cell] * 3, 3), draw(GATES[cell] * 3)


@each_cell
def test_a_steps_gates_satisfy_its_equations(cell: Cell) -> None:
    gates_x, state, w_hh, b_hh = one_step(cell)
    h = state[0]
    gates = GATE_VALUES[cell](gates_x, h, w_hh, b_hh)._asdict()
    after = STEPS[cell](gates_x, state, w_hh, b_hh)

    assert tuple(gates) == GATE_NAMES[cell]
    assert len(after) == len(state)
    from_x = gates_x.chunk(GATES[cell], dim=1)
    from_h = (h @ w_hh.T + b_hh).chunk(GATES[cell], dim=1)
    close = torch.testing.assert_close
    if cell == "rnn":
        close(gates["hidden"], torch.tanh(from_x[0] + from_h[0]))
        close(after[0], gates["hidden"])
    elif cell == "gru":
        close(gates["reset"], torch.sigmoid(from_x[0] + from_h[0]))
        close(gates["update"], torch.sigmoid(from_x[1] + from_h[1]))
        close(gates["new"], torch.tanh(from_x[2] + gates["reset"] * from_h[2]))
        close(after[0], (1 - gates["update"]) * gates["new"] + gates["update"] * h)
    else:
        close(gates["input"], torch.sigmoid(from_x[0] + from_h[0]))
        close(gates["forget"], torch.sigmoid(from_x[1] + from_h[1]))
        close(gates["cell"], torch.tanh(from_x[2] + from_h[2]))
        close(gates["output"], torch.sigmoid(from_x[3] + from_h[3]))
        close(after[1], gates["forget"] * state[1] + gates["input"] * gates["cell"])
        close(after[0], gates["output"] * torch.tanh(after[1]))


def test_gates_are_counted_and_named_as_in_torch() -> None:
    assert GATES == {"rnn": 1, "gru": 3, "lstm": 4}
    assert GATE_NAMES == {
        "rnn": ("hidden",),
        "gru": ("reset", "update", "new"),
        "lstm": ("input", "forget", "cell", "output"),
    }
    assert STEPS.keys() == GATES.keys() == set(CELLS)


@each_cell
def test_gradients_equal_numerical_ones(cell: Cell) -> None:
    module = ScratchRecurrent(cell, 2, 3, 2, bidirectional=True, generator=seeded(3)).double()
    names = [name for name, _ in module.named_parameters()]
    x = torch.randn(2, 3, 2, generator=seeded(4), dtype=torch.float64)
    state = parts(random_state(cell, (4, 2, 3), seeded(5), torch.float64))

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        initial, weights = rest[: len(state)], rest[len(state) :]
        output, final = torch.func.functional_call(
            module,
            dict(zip(names, weights, strict=True)),
            (x, initial if cell == "lstm" else initial[0]),
        )
        return output, *parts(final)

    leaves = [x, *state, *(weight.detach() for weight in module.parameters())]
    assert torch.autograd.gradcheck(run, [leaf.clone().requires_grad_() for leaf in leaves])


# --- The state ----------------------------------------------------------------------------------


@each_cell
def test_two_halves_with_the_state_carried_equal_the_whole(cell: Cell) -> None:
    module = ScratchRecurrent(cell, 3, 5, 2, generator=seeded(6)).double()
    x = torch.randn(2, 9, 3, generator=seeded(7), dtype=torch.float64)

    whole, whole_final = module(x)
    first, middle = module(x[:, :4])
    second, final = module(x[:, 4:], middle)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(final, whole_final)
    forgetful, _ = module(x[:, 4:])
    assert not torch.allclose(forgetful, second, atol=1e-3)  # the state does matter


@each_cell
def test_a_given_state_is_left_as_it_was(cell: Cell) -> None:
    module = ScratchRecurrent(cell, 3, 5, generator=seeded(6))
    state = random_state(cell, (1, 2, 5), seeded(7), torch.float32)
    before = copy.deepcopy(state)
    with torch.no_grad():
        module(torch.ones(2, 4, 3), state)
    torch.testing.assert_close(state, before, rtol=0, atol=0)


@each_cell
def test_an_empty_batch_gives_empty_results(cell: Cell) -> None:
    output, final = ScratchRecurrent(cell, 3, 5, 2, bidirectional=True)(torch.zeros(0, 4, 3))
    assert output.shape == (0, 4, 10)
    assert all(part.shape == (4, 0, 5) for part in parts(final))


# --- Dropout ------------------------------------------------------------------------------------


@each_cell
def test_dropout_is_off_in_evaluation(cell: Cell) -> None:
    dropping = ScratchRecurrent(cell, 3, 8, 3, dropout=0.5, generator=seeded(8))
    plain = ScratchRecurrent(cell, 3, 8, 3, generator=seeded(8))
    x = torch.randn(2, 5, 3, generator=seeded(9))
    assert torch.equal(dropping.eval()(x)[0], plain(x)[0])
    assert not torch.allclose(dropping.train()(x)[0], plain(x)[0], atol=1e-3)


def test_dropout_zeroes_its_share_between_layers_and_keeps_the_mean() -> None:
    """The second layer only copies: with weights of 1e-6 · identity, tanh is a straight line."""
    hidden, small, p = 64, 1e-6, 0.3
    module = ScratchRecurrent("rnn", 3, hidden, 2, dropout=p, generator=seeded(10)).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "_l1" in name:
                parameter.zero_()
        module.get_parameter("weight_ih_l1").copy_(small * torch.eye(hidden))
        x = torch.randn(60, 50, 3, generator=seeded(11), dtype=torch.float64)
        kept_whole = module.eval()(x)[0] / small
        dropped = module.train()(x)[0] / small

    zeroed = dropped == 0
    torch.testing.assert_close(dropped[~zeroed], kept_whole[~zeroed] / (1 - p))
    # 192 000 draws: the share's standard error is 0.001.
    assert zeroed.double().mean().item() == pytest.approx(p, abs=0.006)
    assert (dropped.abs().mean() / kept_whole.abs().mean()).item() == pytest.approx(1, abs=0.01)
    # Each value has its own draw: no sequence, time step or unit is kept or zeroed as a whole.
    for dim in range(3):
        assert (zeroed.double().std(dim=dim) > 0).all()


def test_dropout_never_touches_the_last_layer() -> None:
    x = torch.randn(2, 5, 3, generator=seeded(12))
    single = ScratchRecurrent("gru", 3, 8, 1, dropout=0.9, generator=seeded(13))
    assert torch.equal(single.train()(x)[0], single.eval()(x)[0])
    double = ScratchRecurrent("gru", 3, 8, 2, dropout=0.9, generator=seeded(13))
    assert (double.train()(x)[0] != 0).all()


def test_the_generator_alone_decides_weights_and_masks() -> None:
    x = torch.randn(2, 5, 3, generator=seeded(14))

    def run(seed: int) -> Tensor:
        torch.rand(1)  # moves the global generator on, which must not matter
        module = ScratchRecurrent("lstm", 3, 8, 2, dropout=0.5, generator=seeded(seed))
        first, second = module(x)[0], module(x)[0]
        assert not torch.equal(first, second)  # a fresh mask in every pass
        return torch.stack([first, second])

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


# --- What is refused ----------------------------------------------------------------------------


@each_cell
@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((2, 0, 3), "no time steps"),
        ((2, 4, 5), r"\(2, 4, 5\), but \(B, T, 3\)"),
        ((4, 3), r"\(4, 3\), but \(B, T, 3\)"),
    ],
)
def test_a_wrong_input_is_refused(cell: Cell, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ScratchRecurrent(cell, 3, 6)(torch.zeros(shape))


@each_cell
def test_a_wrong_state_is_refused(cell: Cell) -> None:
    module, x = ScratchRecurrent(cell, 3, 6, 2), torch.zeros(2, 4, 3)
    good, batch_one = torch.zeros(2, 2, 6), torch.zeros(2, 1, 6)
    wrong: list[tuple[object, str]]
    if cell == "lstm":
        wrong = [
            (good, "the pair"),
            ((good,), "the pair"),
            ((batch_one, good), r"h has shape \(2, 1, 6\), but \(2, 2, 6\)"),
            ((good, batch_one), r"c has shape \(2, 1, 6\), but \(2, 2, 6\)"),
        ]
    else:
        wrong = [
            ((good, good), "one tensor"),
            (batch_one, r"h has shape \(2, 1, 6\), but \(2, 2, 6\)"),
            (torch.zeros(1, 2, 6), r"h has shape \(1, 2, 6\), but \(2, 2, 6\)"),
        ]
    for state, says in wrong:
        with pytest.raises(ValueError, match=says):
            module(x, state)


@each_cell
def test_unroll_refuses_shapes_that_do_not_fit(cell: Cell) -> None:
    rows, states = GATES[cell] * 3, 2 if cell == "lstm" else 1
    gates_x, w_hh, b_hh = torch.zeros(2, 4, rows), torch.zeros(rows, 3), torch.zeros(rows)
    state = (torch.zeros(2, 3),) * states
    unroll(cell, gates_x, state, w_hh, b_hh)
    with pytest.raises(ValueError, match="A state has shape"):
        unroll(cell, gates_x, (torch.zeros(1, 3),) * states, w_hh, b_hh)
    with pytest.raises(ValueError, match="gates_x has shape"):
        unroll(cell, gates_x[:, :, 1:], state, w_hh, b_hh)
    with pytest.raises(ValueError, match="w_hh has shape"):
        unroll(cell, gates_x, state, torch.zeros(rows + 1, 3), b_hh)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"cell": "transformer"}, "not one of rnn, gru, lstm"),
        ({"input_size": 0}, "input_size = 0"),
        ({"hidden_size": 0}, "hidden_size = 0"),
        ({"num_layers": 0}, "num_layers = 0"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"dropout": -0.1}, "dropout = -0.1"),
        ({"dropout": float("nan")}, "dropout = nan"),
    ],
)
def test_wrong_arguments_are_refused(changed: dict[str, object], says: str) -> None:
    arguments: dict[str, object] = {"cell": "gru", "input_size": 3, "hidden_size": 4, **changed}
    with pytest.raises(ValueError, match=says):
        ScratchRecurrent(**arguments)  # type: ignore[arg-type]
