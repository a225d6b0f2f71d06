"""The recurrent cells RNN, GRU and LSTM from their equations, equal to torch.nn's.

At time t a cell reads the input x_t and the hidden state h that it had at time t-1, and gives the
new hidden state h'. (σ is the logistic sigmoid, ⊙ the elementwise product; ᵀ, because a batch
holds its vectors as rows and torch.nn keeps a weight as (outputs, inputs).)

RNN   (Elman 1990, Finding Structure in Time)

    h' = tanh(x_t W_ihᵀ + b_ih + h W_hhᵀ + b_hh)

LSTM  (Hochreiter & Schmidhuber 1997, Long Short-Term Memory; the forget gate: Gers, Schmidhuber
      & Cummins 2000, Learning to Forget). The cell state c is carried beside h.

    i = σ(x_t W_iiᵀ + b_ii + h W_hiᵀ + b_hi)           input gate: how much of g to write
    f = σ(x_t W_ifᵀ + b_if + h W_hfᵀ + b_hf)           forget gate: how much of c to keep
    g = tanh(x_t W_igᵀ + b_ig + h W_hgᵀ + b_hg)        cell gate: what could be written
    o = σ(x_t W_ioᵀ + b_io + h W_hoᵀ + b_ho)           output gate: how much of c' to show
    c' = f ⊙ c + i ⊙ g
    h' = o ⊙ tanh(c')

GRU   (Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder)

    r = σ(x_t W_irᵀ + b_ir + h W_hrᵀ + b_hr)           reset gate: how much of h to consult
    z = σ(x_t W_izᵀ + b_iz + h W_hzᵀ + b_hz)           update gate: how much of h to keep
    n = tanh(x_t W_inᵀ + b_in + r ⊙ (h W_hnᵀ + b_hn))  new gate: what could replace h
    h' = (1 - z) ⊙ n + z ⊙ h

      This is the variant of cuDNN and torch.nn: r multiplies the transformed state, its bias
      included. In the paper r multiplies h before the product, (r ⊙ h) W_hnᵀ, so that one
      product for all three gates would not do.

The gates of a cell are stacked in one weight, in the order of `GATE_NAMES`:

    x      (B, T, E)      input                        B batch    T time        E input features
    h, c   (B, H)         state of one layer           H hidden   L layers      D directions
    W_ih   (G·H, E)       input to gates               G gates: 1 RNN, 3 GRU, 4 LSTM
    W_hh   (G·H, H)       hidden state to gates        b_ih, b_hh   (G·H)

Parameters of one layer in one direction: G·H·(E + H + 2). In every layer but the first, E is D·H.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.config import Cell

StepState = tuple[Tensor, ...]
"""The state of one layer in one direction: (h,), or (h, c) for the LSTM, each (B, H)."""

RecurrentState = Tensor | tuple[Tensor, Tensor]
"""The state of all layers as torch.nn has it: h, or (h, c) for the LSTM, each (L·D, B, H)."""


# --- One step -----------------------------------------------------------------------------------
#
# gates_x   (B, G·H)   the input's share of the gates, x_t W_ihᵀ + b_ih: ready-made, because it
#                      does not depend on the state and so is computed for all T at once
# gates_h   (B, G·H)   the hidden state's share, h W_hhᵀ + b_hh, with h of the PREVIOUS step


class RnnGates(NamedTuple):
    """The one value that an RNN computes, h' itself: (B, H)."""

    hidden: Tensor


class GruGates(NamedTuple):
    """r, z and n of the GRU's equations, each (B, H)."""

    reset: Tensor
    update: Tensor
    new: Tensor


class LstmGates(NamedTuple):
    """i, f, g and o of the LSTM's equations, each (B, H)."""

    input: Tensor
    forget: Tensor
    cell: Tensor
    output: Tensor


def rnn_gates(gates_x: Tensor, h: Tensor, w_hh: Tensor, b_hh: Tensor) -> RnnGates:
    """gates_x (B, H), h (B, H), w_hh (H, H), b_hh (H) -> the new hidden state (B, H)."""
    gates_h = F.linear(h, w_hh, b_hh)  # (B, H)
    return RnnGates(hidden=torch.tanh(gates_x + gates_h))


def gru_gates(gates_x: Tensor, h: Tensor, w_hh: Tensor, b_hh: Tensor) -> GruGates:
    """gates_x (B, 3H), h (B, H), w_hh (3H, H), b_hh (3H) -> r, z, n, each (B, H)."""
    gates_h = F.linear(h, w_hh, b_hh)  # (B, 3H)
    x_r, x_z, x_n = gates_x.chunk(3, dim=1)  # each (B, H)
    h_r, h_z, h_n = gates_h.chunk(3, dim=1)  # each (B, H)
    r = torch.sigmoid(x_r + h_r)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    return GruGates(reset=r, update=z, new=n)


def lstm_gates(gates_x: Tensor, h: Tensor, w_hh: Tensor, b_hh: Tensor) -> LstmGates:
    """gates_x (B, 4H), h (B, H), w_hh (4H, H), b_hh (4H) -> i, f, g, o, each (B, H)."""
    gates_h = F.linear(h, w_hh, b_hh)  # (B, 4H)
    i, f, g, o = (gates_x + gates_h).chunk(4, dim=1)  # each (B, H)
    return LstmGates(
        input=torch.sigmoid(i), forget=torch.sigmoid(f), cell=torch.tanh(g), output=torch.sigmoid(o)
    )


def rnn_step(gates_x: Tensor, state: StepState, w_hh: Tensor, b_hh: Tensor) -> StepState:
    """gates_x (B, H), state (h,), w_hh (H, H), b_hh (H) -> the next state (h',)."""
    (h,) = state
    (h_next,) = rnn_gates(gates_x, h, w_hh, b_hh)
    return (h_next,)


def gru_step(gates_x: Tensor, state: StepState, w_hh: Tensor, b_hh: Tensor) -> StepState:
    """gates_x (B, 3H), state (h,), w_hh (3H, H), b_hh (3H) -> the next state (h',)."""
    (h,) = state
    _, z, n = gru_gates(gates_x, h, w_hh, b_hh)
    return ((1 - z) * n + z * h,)


def lstm_step(gates_x: Tensor, state: StepState, w_hh: Tensor, b_hh: Tensor) -> StepState:
    """gates_x (B, 4H), state (h, c), w_hh (4H, H), b_hh (4H) -> the next state (h', c')."""
    h, c = state
    i, f, g, o = lstm_gates(gates_x, h, w_hh, b_hh)
    c_next = f * c + i * g
    h_next = o * torch.tanh(c_next)
    return h_next, c_next


STEPS: dict[Cell, Callable[[Tensor, StepState, Tensor, Tensor], StepState]] = {
    "rnn": rnn_step,
    "gru": gru_step,
    "lstm": lstm_step,
}

Gates = RnnGates | GruGates | LstmGates

GATE_VALUES: dict[Cell, Callable[[Tensor, Tensor, Tensor, Tensor], Gates]] = {
    "rnn": rnn_gates,
    "gru": gru_gates,
    "lstm": lstm_gates,
}
"""The values inside a step, by name: GATE_VALUES[cell](gates_x, h, w_hh, b_hh)._asdict()."""

GATE_NAMES: dict[Cell, tuple[str, ...]] = {
    "rnn": RnnGates._fields,
    "gru": GruGates._fields,
    "lstm": LstmGates._fields,
}
"""In the order in which the gates are stacked in the weights, gate k in rows k·H to (k+1)·H."""

GATES: dict[Cell, int] = {cell: len(names) for cell, names in GATE_NAMES.items()}


# --- All steps ----------------------------------------------------------------------------------


def unroll(
    cell: Cell,
    gates_x: Tensor,
    state: StepState,
    w_hh: Tensor,
    b_hh: Tensor,
    reverse: bool = False,
) -> tuple[Tensor, StepState]:
    """The recurrence over time: gates_x (B, T, G·H) -> output (B, T, H) and the final state.

    Each step starts from the state that the step before it left. With `reverse` the steps go from
    T-1 down to 0, so that the final state is that at time 0; output[:, t] belongs to time t either
    way. T = 0 is a ValueError, as torch.nn refuses it too; B = 0 is a batch like any other. Shapes
    that do not fit are a ValueError.
    """
    _check_shapes(cell, gates_x, state, w_hh)
    step = STEPS[cell]
    outputs = []
    # unbind, not gates_x[:, t]: each index would cost a gradient (B, T, G·H) of mostly zeros.
    steps_x = gates_x.unbind(dim=1)  # T times (B, G·H)
    for step_x in reversed(steps_x) if reverse else steps_x:
        state = step(step_x, state, w_hh, b_hh)
        outputs.append(state[0])
    if reverse:
        outputs.reverse()
    return torch.stack(outputs, dim=1), state


def _check_shapes(cell: Cell, gates_x: Tensor, state: StepState, w_hh: Tensor) -> None:
    """A state of batch 1 would be broadcast without a word, so shapes are checked, once a pass."""
    rows, hidden = w_hh.shape
    if rows != GATES[cell] * hidden:
        raise ValueError(
            f"w_hh has shape {(rows, hidden)}, but a cell {cell} with H = {hidden} needs "
            f"{(GATES[cell] * hidden, hidden)}."
        )
    if gates_x.ndim != 3 or gates_x.shape[2] != rows:
        raise ValueError(f"gates_x has shape {tuple(gates_x.shape)}, but (B, T, {rows}) is needed.")
    batch, steps, _ = gates_x.shape
    if steps == 0:
        raise ValueError("The sequence has no time steps: give at least one.")
    for part in state:
        if part.shape != (batch, hidden):
            raise ValueError(
                f"A state has shape {tuple(part.shape)}, but {(batch, hidden)} is needed."
            )


# --- All layers ---------------------------------------------------------------------------------


class ScratchRecurrent(nn.Module):
    """Recurrent layers that compute what torch.nn.RNN, GRU and LSTM (batch_first=True) compute.

    Parameters have torch.nn's names, shapes and order, so that a state_dict loads either way:
    weight_ih_l{k} (G·H, E or D·H), weight_hh_l{k} (G·H, H), bias_ih_l{k} and bias_hh_l{k} (G·H),
    each once more with the suffix _reverse when bidirectional.

    `dropout` is the probability that a value between two layers is zeroed in training; the kept
    ones grow by 1 / (1 - dropout), so that the mean stays. All chance, the initial weights and the
    dropout masks, is drawn from `generator` (None: torch's global one). It must live where the
    tensors live: after moving the module to another device, set a generator of that device. Its
    state is not in the state_dict.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if cell not in get_args(Cell):
            raise ValueError(f"cell = {cell!r} is not one of {', '.join(get_args(Cell))}.")
        for name, size in {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
        }.items():
            if size < 1:
                raise ValueError(f"{name} = {size} must be at least 1.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout = {dropout} must be at least 0 and less than 1.")
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.generator = generator

        rows = GATES[cell] * hidden_size
        for layer in range(num_layers):
            columns = input_size if layer == 0 else self.directions * hidden_size
            for direction in range(self.directions):
                w_ih, w_hh, b_ih, b_hh = self._names(layer, direction)
                self.register_parameter(w_ih, nn.Parameter(torch.empty(rows, columns)))
                self.register_parameter(w_hh, nn.Parameter(torch.empty(rows, hidden_size)))
                self.register_parameter(b_ih, nn.Parameter(torch.empty(rows)))
                self.register_parameter(b_hh, nn.Parameter(torch.empty(rows)))
        self.reset_parameters()

    @property
    def directions(self) -> int:
        """D: 2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def reset_parameters(self) -> None:
        """Draw every weight and bias from U(-1/√H, 1/√H), as torch.nn does."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=self.generator)

    def forward(
        self, x: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """x (B, T, E) -> output (B, T, D·H) of the last layer, and the final state.

        `state` (None: zeros) and the final state are h (L·D, B, H), or the pair (h, c) for the
        LSTM; entry layer·D + direction belongs to that layer and direction. T = 0 and wrong shapes
        are a ValueError; B = 0 gives empty results, as in torch.nn.
        """
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(
                f"The input has shape {tuple(x.shape)}, but (B, T, {self.input_size}) is needed."
            )
        initial = self._initial_states(x, state)
        finals: list[StepState] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = self._drop(x)
            outputs = []
            for direction in range(self.directions):
                w_ih, w_hh, b_ih, b_hh = self._weights(layer, direction)
                gates_x = F.linear(x, w_ih, b_ih)  # (B, T, G·H): all time steps in one product
                output, final = unroll(
                    self.cell, gates_x, initial[len(finals)], w_hh, b_hh, reverse=direction == 1
                )
                outputs.append(output)  # (B, T, H)
                finals.append(final)
            x = torch.cat(outputs, dim=2)  # (B, T, D·H), the next layer's input
        h = torch.stack([final[0] for final in finals])  # (L·D, B, H)
        if self.cell == "lstm":
            return x, (h, torch.stack([final[1] for final in finals]))
        return x, h

    def extra_repr(self) -> str:
        return (
            f"{self.cell}, {self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
            f"dropout={self.dropout}, bidirectional={self.bidirectional}"
        )

    def _names(self, layer: int, direction: int) -> tuple[str, str, str, str]:
        """The names of W_ih, W_hh, b_ih and b_hh; direction 1 runs backwards in time."""
        suffix = f"l{layer}_reverse" if direction == 1 else f"l{layer}"
        return (
            f"weight_ih_{suffix}",
            f"weight_hh_{suffix}",
            f"bias_ih_{suffix}",
            f"bias_hh_{suffix}",
        )

    def _weights(self, layer: int, direction: int) -> list[Tensor]:
        """W_ih (G·H, E), W_hh (G·H, H), b_ih (G·H) and b_hh (G·H)."""
        return [getattr(self, name) for name in self._names(layer, direction)]

    def _initial_states(self, x: Tensor, state: RecurrentState | None) -> list[StepState]:
        """The given state, or zeros, cut into one StepState for each layer and direction."""
        shape = (self.num_layers * self.directions, x.shape[0], self.hidden_size)
        parts: StepState
        if state is None:
            zeros = x.new_zeros(shape)
            parts = (zeros, zeros) if self.cell == "lstm" else (zeros,)
        elif self.cell == "lstm":
            if isinstance(state, Tensor) or len(state) != 2:
                raise ValueError("The state of an LSTM is the pair (h, c).")
            parts = tuple(state)
        else:
            if not isinstance(state, Tensor):
                raise ValueError(f"The state of a cell {self.cell} is one tensor, h.")
            parts = (state,)
        for name, part in zip(("h", "c"), parts, strict=False):  # an RNN and a GRU have no c
            if part.shape != shape:
                raise ValueError(f"{name} has shape {tuple(part.shape)}, but {shape} is needed.")
        return [tuple(part[k] for part in parts) for k in range(shape[0])]

    def _drop(self, x: Tensor) -> Tensor:
        """Inverted dropout, only in training: keep with probability 1 - p, then divide by it."""
        if not self.training or self.dropout == 0:
            return x
        keep = 1 - self.dropout
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.generator)  # zeros and ones
        return x * mask / keep
