"""The recurrences of `cells`, fast on a CPU: each one autograd function, time first.

What `cells.unroll` computes through autograd is computed here with as little as a step allows.
Notation and equations are those of `cells`; a bar over a value is the loss's gradient by it.

Forward, a step is one product h W_hhᵀ with the input's share of the gates added, and a few
elementwise operations. What a step leaves is what its gradient needs.

Backward (Werbos 1990, Backpropagation Through Time), the chain rule is linear in h̄ and c̄: each
gate's gradient is one of them times a factor that depends on the forward values only. So the
factors of a block of steps are computed at once, and a step is a product of them with h̄, and one
matrix product back to the step before:

    RNN    a = h'                    ā   = h̄ ⊙ (1 - h'²)
    GRU    n̄ = h̄ ⊙ Fₙ                Fₙ = (1 - z)(1 - n²)     (n̄, r̄, z̄: before tanh and σ)
           r̄ = h̄ ⊙ Fₙ q r(1 - r)     q = h W_hnᵀ + b_hn
           z̄ = h̄ ⊙ (h - n) z(1 - z)
           q̄ = h̄ ⊙ Fₙ r              (on the state's side what n̄ is on the input's)
    LSTM   c̄ ← c̄ + h̄ ⊙ o(1 - tanh²c')
           ī = c̄ ⊙ g i(1 - i)        f̄ = c̄ ⊙ c f(1 - f)
           ḡ = c̄ ⊙ i (1 - g²)        ō = h̄ ⊙ tanh(c') o(1 - o)    (all before σ or tanh)
           c̄ of the step before = c̄ ⊙ f

The gradient of W_hh is then one product over all steps. In bfloat16 the products multiply bfloat16
and add in float32; what is computed element by element is float32, and so is the state that is
carried from step to step (h of the GRU, c of the LSTM) with its gradient, so that small changes are
not lost in a long memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from engine.config import Cell
from engine.model import products
from engine.model.cells import StepState

NUMBERS_AT_ONCE = 2**16  # of each tensor that one block of the backward pass computes


class FusedRnn(nn.RNN):
    """`nn.RNN` of one layer, batch first, that runs `recurrence` where there is no cuDNN. In both
    directions the state's and the output's features lie side by side, as in torch.nn."""

    def forward(self, x: Tensor, state: StepState) -> tuple[Tensor, StepState]:  # type: ignore[override]
        """x (B, T, E), state (D, B, H) each -> output (B, T, D·H), final state (D, B, H)."""
        return _forward(self, x, state, super().forward)


class FusedGru(nn.GRU):
    """The same for `nn.GRU`."""

    def forward(self, x: Tensor, state: StepState) -> tuple[Tensor, StepState]:  # type: ignore[override]
        """x (B, T, E), state (D, B, H) each -> output (B, T, D·H), final state (D, B, H)."""
        return _forward(self, x, state, super().forward)


class FusedLstm(nn.LSTM):
    """`nn.LSTM` as it is: on a CPU torch gives it to oneDNN, which is faster than `recurrence`."""

    def forward(self, x: Tensor, state: StepState) -> tuple[Tensor, StepState]:  # type: ignore[override]
        """x (B, T, E), state (D, B, H) each -> output (B, T, D·H), final state (D, B, H)."""
        h, c = state
        return super().forward(x, (h, c))


def _forward(layer: nn.RNNBase, x: Tensor, state: StepState, by_torch: Any) -> tuple[Any, ...]:
    if x.is_cuda:
        output, final = by_torch(x, state[0])
        return output, (final,)
    cell: Cell = "gru" if layer.mode == "GRU" else "rnn"
    x = x.transpose(0, 1)  # the recurrence has time first, so that a step's memory is in one piece
    outputs, finals = [], []
    for direction in range(2 if layer.bidirectional else 1):
        w_ih, w_hh, b_ih, b_hh = layer.all_weights[direction]
        before = tuple(part[direction] for part in state)
        gates_x = products.linear(x, w_ih)
        output, final = recurrence(cell, gates_x, before, w_hh, b_ih, b_hh, direction == 1)
        outputs.append(output)
        finals.append(final)
    joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
    return joined.transpose(0, 1), tuple(torch.stack(parts) for parts in zip(*finals, strict=True))


def recurrence(
    cell: Cell,
    gates_x: Tensor,
    state: StepState,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    reverse: bool = False,
) -> tuple[Tensor, StepState]:
    """The recurrence over time: gates_x (T, B, G·H) = x W_ihᵀ, float32 or bfloat16, state (B, H)
    each in float32 -> output (T, B, H) in the precision of gates_x, and the final state. Both
    biases (G·H) are added here, where their gradients are had for little. gates_x is used up: what
    it holds afterwards means nothing.

    With `reverse` the steps go from T-1 down to 0. Gradients can be taken once, not twice.
    """
    if reverse:
        gates_x = gates_x.flip(0)
    w_hh = w_hh.to(gates_x.dtype)
    output, *final = _FUNCTIONS[cell].apply(gates_x, *state, w_hh, b_ih, b_hh)  # type: ignore[no-untyped-call]
    return output.flip(0) if reverse else output, tuple(final)


class _Rnn(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates_x: Tensor, h: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> tuple[Tensor, ...]:
        steps = len(gates_x)
        states = gates_x.new_empty(steps + 1, *h.shape)
        states[0] = h
        at, x, w, bias = states.unbind(), gates_x.unbind(), products.packed(w_hh), b_ih + b_hh
        for t in range(steps):
            at[t + 1].copy_(tanh_(products.product(at[t], w, bias, x[t]).float()))
        ctx.save_for_backward(states, w_hh)
        return states[1:], states[steps].float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        states, w_hh = ctx.saved_tensors
        outputs, d_gates = states[1:], torch.empty_like(states[1:])
        d_gate, d_out, w = d_gates.unbind(), d_output.unbind(), _transposed(w_hh)
        d_h = d_last
        for block in _blocks(d_gates):
            factors = 1 - outputs[block].float().square()
            for t, factor in _backwards(block, factors):
                d_h = torch.add(d_h, d_out[t])
                d_gate[t].copy_(factor.mul_(d_h))
                d_h = products.product(d_gate[t], w)
        d_w_hh, d_bias = _weight_gradient(d_gates, states), _summed(d_gates)
        return d_gates, d_h.float(), d_w_hh, d_bias, d_bias


class _Gru(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates_x: Tensor, h: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> tuple[Tensor, ...]:
        steps, batch, rows = gates_x.shape
        hidden = rows // 3
        states = gates_x.new_empty(steps + 1, batch, hidden)
        states[0] = h
        gates, new = h.new_empty(steps, batch, rows), h.new_empty(steps, batch, hidden)
        # r and z add up both shares; of n the input's share waits in `new` until r is known.
        bias, b_new = b_hh.clone(), b_ih[2 * hidden :]
        bias[: 2 * hidden] += b_ih[: 2 * hidden]
        at, x, gate, n = (part.unbind() for part in (states, gates_x, gates, new))
        x_new, r_z = gates_x[..., 2 * hidden :].unbind(), gates[..., : 2 * hidden].unbind()
        r, z, q = (part.unbind() for part in gates.chunk(3, dim=-1))
        w = products.packed(w_hh)
        for t in range(steps):
            torch.add(x_new[t], b_new, out=n[t])
            x_new[t].zero_()
            gate[t].copy_(products.product(at[t], w, bias, x[t]))
            r_z[t].sigmoid_()
            tanh_(n[t].addcmul_(r[t], q[t]))
            h = torch.lerp(n[t], h, z[t])  # (1 - z) ⊙ n + z ⊙ h
            at[t + 1].copy_(h)
        ctx.save_for_backward(gates, new, states, w_hh)
        return states[1:], h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        gates, new, states, w_hh = ctx.saved_tensors
        batch, hidden = new.shape[1:]
        d_gates, d_new = states.new_empty(gates.shape), torch.empty_like(states[1:])
        d_gate, d_n, d_out = d_gates.unbind(), d_new.unbind(), d_output.unbind()
        w = _transposed(w_hh)
        d_h = d_last
        for block in _blocks(new):
            (r, z, q), n, h = gates[block].chunk(3, dim=-1), new[block], states[:-1][block]
            factors = torch.empty_like(gates[block])  # of r̄, z̄ and q̄
            of_r, of_z, of_q = factors.chunk(3, dim=-1)
            of_n = _by_tanh(1 - z, n)
            torch.mul(of_n, r, out=of_q)
            _by_sigmoid(of_n.mul(q), r, grad_input=of_r)
            _by_sigmoid(torch.sub(h, n), z, grad_input=of_z)
            three = factors.view(len(n), batch, 3, hidden)
            for t, of_gates, factor, of_new, kept in _backwards(block, three, factors, of_n, z):
                d_h = torch.add(d_h, d_out[t])
                of_gates.mul_(d_h[:, None])
                d_gate[t].copy_(factor)
                d_n[t].copy_(of_new.mul_(d_h))
                d_h = torch.mul(d_h, kept).add_(products.product(d_gate[t], w))
        d_w_hh, d_b_hh = _weight_gradient(d_gates, states), _summed(d_gates)
        d_gates[..., 2 * hidden :] = d_new
        return d_gates, d_h, d_w_hh, _summed(d_gates), d_b_hh


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates_x: Tensor, h: Tensor, c: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> tuple[Tensor, ...]:
        steps, batch, rows = gates_x.shape
        hidden = rows // 4
        states = gates_x.new_empty(steps + 1, batch, hidden)
        states[0] = h
        cells = c.new_empty(steps + 1, batch, hidden)
        cells[0] = c
        gates, shown = h.new_empty(steps, batch, rows), torch.empty_like(cells[1:])  # tanh(c')
        at, x, c_at, tanh_c = (part.unbind() for part in (states, gates_x, cells, shown))
        gate, i_f = gates.unbind(), gates[..., : 2 * hidden].unbind()
        i, f, g, o = (part.unbind() for part in gates.chunk(4, dim=-1))
        w, bias = products.packed(w_hh), b_ih + b_hh
        for t in range(steps):
            gate[t].copy_(products.product(at[t], w, bias, x[t]))
            i_f[t].sigmoid_()
            tanh_(g[t])
            o[t].sigmoid_()
            torch.mul(f[t], c_at[t], out=c_at[t + 1]).addcmul_(i[t], g[t])
            tanh_(tanh_c[t].copy_(c_at[t + 1]))
            at[t + 1].copy_(torch.mul(o[t], tanh_c[t]))
        ctx.save_for_backward(gates, states, cells, shown, w_hh)
        return states[1:], states[steps].float(), cells[steps].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_output: Tensor, d_last: Tensor, d_last_c: Tensor
    ) -> tuple[Tensor, ...]:
        gates, states, cells, shown, w_hh = ctx.saved_tensors
        batch, hidden = shown.shape[1:]
        d_gates = states.new_empty(gates.shape)
        d_gate, d_out, w = d_gates.unbind(), d_output.unbind(), _transposed(w_hh)
        d_h, d_c = d_last, d_last_c
        for block in _blocks(shown):
            (i, f, g, o), tanh_c = gates[block].chunk(4, dim=-1), shown[block]
            factors = torch.empty_like(gates[block])  # of ī, f̄, ḡ (by c̄) and ō (by h̄)
            of_i, of_f, of_g, of_o = factors.chunk(4, dim=-1)
            _by_sigmoid(g, i, grad_input=of_i)
            _by_sigmoid(cells[:-1][block], f, grad_input=of_f)
            _by_tanh(i, g, grad_input=of_g)
            _by_sigmoid(tanh_c, o, grad_input=of_o)
            of_c = _by_tanh(o, tanh_c)
            four = factors.view(len(of_c), batch, 4, hidden)
            for t, of_i_f_g, by_h, factor, shows, kept in _backwards(
                block, four[:, :, :3], four[:, :, 3], factors, of_c, f
            ):
                d_h = torch.add(d_h, d_out[t]).float()
                d_c = torch.addcmul(d_c, d_h, shows)
                of_i_f_g.mul_(d_c[:, None])
                by_h.mul_(d_h)
                d_gate[t].copy_(factor)
                d_c = d_c * kept
                d_h = products.product(d_gate[t], w)
        d_w_hh, d_bias = _weight_gradient(d_gates, states), _summed(d_gates)
        return d_gates, d_h.float(), d_c, d_w_hh, d_bias, d_bias


_by_sigmoid = torch.ops.aten.sigmoid_backward  # (d_y, y) -> d_y ⊙ y (1 - y)
_by_tanh = torch.ops.aten.tanh_backward  # (d_y, y) -> d_y ⊙ (1 - y²)
_MINUS_ONE = torch.tensor(-1.0)


def tanh_(x: Tensor) -> Tensor:
    """tanh(x) = 2σ(2x) - 1 of float32, in place, to within 1e-7: torch's own takes four times as
    long on a CPU."""
    return torch.add(_MINUS_ONE, x.add_(x).sigmoid_(), alpha=2, out=x)


def _transposed(w_hh: Tensor) -> Tensor:
    return products.packed(w_hh.t().contiguous())


def _blocks(over_time: Tensor) -> Iterator[slice]:
    """The time steps of (T, B, H), last ones first, so many at once that what is computed of them
    does not leave a core's cache."""
    steps, at_once = len(over_time), max(1, NUMBERS_AT_ONCE // over_time[0].numel())
    return (slice(max(0, end - at_once), end) for end in range(steps, 0, -at_once))


def _backwards(block: slice, *over_time: Tensor) -> Iterator[tuple[Any, ...]]:
    """Each time step of a block, last first, with its part of each tensor."""
    steps = zip(range(block.start, block.stop), *(part.unbind() for part in over_time), strict=True)
    return iter(list(steps)[::-1])


def _weight_gradient(d_gates: Tensor, states: Tensor) -> Tensor:
    """The gradient of W_hh (G·H, H), from that of the gates' share of the state (T, B, G·H) and
    the states before them (T+1, B, H; the last is not used)."""
    return products.weight_gradient(d_gates.flatten(0, 1), states[:-1].flatten(0, 1))


def _summed(d_gates: Tensor) -> Tensor:
    """Over time and batch, (T, B, G·H) -> (G·H). A product with ones adds in float32, and many
    times faster than a sum of bfloat16."""
    rows = d_gates.flatten(0, 1)
    return (rows.new_ones(1, len(rows)) @ rows)[0]


_FUNCTIONS: dict[Cell, type[torch.autograd.Function]] = {"rnn": _Rnn, "gru": _Gru, "lstm": _Lstm}
