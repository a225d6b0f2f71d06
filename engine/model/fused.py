"""The recurrences of `cells`, fast on a CPU: each one autograd function, time first.

What `cells.unroll` computes through autograd is computed here with as little as a step allows.
Notation and equations are those of `cells`; a bar over a value is the loss's gradient by it.

Forward, a step is one product h W_hhᵀ, added in place to the input's share of the gates, and a few
elementwise operations in place. What a step leaves is what its gradient needs.

Backward (Werbos 1990, Backpropagation Through Time), the chain rule is linear in h̄ and c̄: each
gate's gradient is one of them times a factor that depends on the forward values only. So the
factors of all steps are computed at once, and a step is a product of them with h̄, and one matrix
product back to the step before:

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
and add in float32; the state that is carried from step to step (h of the GRU, c of the LSTM) and
its gradient stay in float32, so that small changes are not lost in a long memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from engine.config import Cell
from engine.model.cells import StepState


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
        gates_x = F.linear(x, w_ih)
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
    weights = (weight.to(gates_x.dtype) for weight in (w_hh, b_ih, b_hh))
    output, *final = _FUNCTIONS[cell].apply(gates_x, *state, *weights)  # type: ignore[no-untyped-call]
    return output.flip(0) if reverse else output, tuple(final)


class _Rnn(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates_x: Tensor, h: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> tuple[Tensor, ...]:
        steps, batch, hidden = gates_x.shape
        states = gates_x.new_empty(steps + 1, batch, hidden)
        states[0] = h
        torch.add(gates_x, b_ih + b_hh, out=states[1:])
        at, w_t = states.unbind(), w_hh.t().contiguous()
        for t in range(steps):
            at[t + 1].addmm_(at[t], w_t).tanh_()
        ctx.save_for_backward(states, w_hh)
        return states[1:], states[steps].float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        states, w_hh = ctx.saved_tensors
        d_gates = 1 - states[1:].square()  # the factors, and then what they are factors of
        d_gate, d_out = d_gates.unbind(), d_output.unbind()
        d_h = d_last.to(d_gates.dtype)
        for t in range(len(d_gate) - 1, -1, -1):
            d_h = d_gate[t].mul_(torch.add(d_h, d_out[t])) @ w_hh
        d_bias = _summed(d_gates)
        return d_gates, d_h.float(), _weight_gradient(d_gates, states), d_bias, d_bias


class _Gru(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates_x: Tensor, h: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> tuple[Tensor, ...]:
        steps, batch, rows = gates_x.shape
        hidden = rows // 3
        low = gates_x.dtype != torch.float32
        # r and z add up both shares; of n the input's share waits in `new` until r is known.
        new = gates_x[..., 2 * hidden :] + b_ih[2 * hidden :]
        gates = gates_x
        gates[..., : 2 * hidden] += (b_ih + b_hh)[: 2 * hidden]
        gates[..., 2 * hidden :] = b_hh[2 * hidden :]
        states = gates_x.new_empty(steps + 1, batch, hidden)
        states[0] = h
        at, gate, n, w_t = states.unbind(), gates.unbind(), new.unbind(), w_hh.t().contiguous()
        r_z = gates[..., : 2 * hidden].unbind()
        r, z, q = (part.unbind() for part in gates.chunk(3, dim=-1))
        for t in range(steps):
            gate[t].addmm_(at[t], w_t)
            r_z[t].sigmoid_()
            n[t].addcmul_(r[t], q[t]).tanh_()
            if low:
                h = torch.lerp(n[t].float(), h, z[t].float())  # (1 - z) ⊙ n + z ⊙ h
                at[t + 1].copy_(h)
            else:
                h = torch.lerp(n[t], h, z[t], out=at[t + 1])
        ctx.save_for_backward(gates, new, states, w_hh)
        return states[1:], h.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        gates, n, states, w_hh = ctx.saved_tensors
        steps, _, hidden = n.shape
        low = n.dtype != torch.float32
        r, z, q = gates.chunk(3, dim=-1)
        factors = torch.empty_like(gates)  # of r̄, z̄ and q̄
        of_r, of_z, of_q = factors.chunk(3, dim=-1)
        of_n = 1 - n.square()
        of_n.addcmul_(of_n, z, value=-1)
        torch.mul(of_n, r, out=of_q)
        torch.sub(1, r, out=of_r).mul_(q).mul_(of_q)
        torch.sub(states[:-1], n, out=of_z).mul_(z)
        of_z.addcmul_(of_z, z, value=-1)
        d_gates, d_hs = factors, torch.empty_like(n)  # each factor becomes what it is a factor of
        d_gate, d_at = d_gates.unbind(), d_hs.unbind()
        d_out, z_at = d_output.float().unbind(), z.float().unbind()
        three = d_gates.view(steps, -1, 3, hidden).unbind()
        d_h = d_last
        for t in range(steps - 1, -1, -1):
            d_h = torch.add(d_h, d_out[t])
            three[t].mul_(d_at[t].copy_(d_h)[:, None])
            through = d_gate[t] @ w_hh
            d_h = torch.addcmul(through.float() if low else through, d_h, z_at[t])
        d_w_hh, d_b_hh = _weight_gradient(d_gates, states), _summed(d_gates)
        torch.mul(d_hs, of_n, out=d_gates[..., 2 * hidden :])
        return d_gates, d_h, d_w_hh, _summed(d_gates), d_b_hh


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates_x: Tensor, h: Tensor, c: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> tuple[Tensor, ...]:
        steps, batch, rows = gates_x.shape
        hidden = rows // 4
        low = gates_x.dtype != torch.float32
        gates = gates_x.add_(b_ih + b_hh)
        states = gates_x.new_empty(steps + 1, batch, hidden)
        states[0] = h
        cells = c.new_empty(steps + 1, batch, hidden)
        cells[0] = c
        shown = gates_x.new_empty(steps, batch, hidden)  # tanh(c')
        at, c_at, tanh_c, w_t = (
            states.unbind(),
            cells.unbind(),
            shown.unbind(),
            w_hh.t().contiguous(),
        )
        gate, i_f = gates.unbind(), gates[..., : 2 * hidden].unbind()
        i_f_g = gates[..., : 3 * hidden].unbind()
        g, o = (gates[..., k * hidden : (k + 1) * hidden].unbind() for k in (2, 3))
        for t in range(steps):
            gate[t].addmm_(at[t], w_t)
            i_f[t].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            i, f, g_now = (i_f_g[t].float() if low else i_f_g[t]).chunk(3, dim=-1)
            torch.mul(f, c_at[t], out=c_at[t + 1]).addcmul_(i, g_now)
            torch.tanh(tanh_c[t].copy_(c_at[t + 1]), out=tanh_c[t])
            torch.mul(o[t], tanh_c[t], out=at[t + 1])
        ctx.save_for_backward(gates, states, cells, shown, w_hh)
        return states[1:], states[steps].float(), cells[steps].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_output: Tensor, d_last: Tensor, d_last_c: Tensor
    ) -> tuple[Tensor, ...]:
        gates, states, cells, shown, w_hh = ctx.saved_tensors
        steps, _, hidden = shown.shape
        i, f, g, o = gates.chunk(4, dim=-1)
        factors = torch.empty_like(gates)  # of ī, f̄, ḡ (by c̄) and ō (by h̄)
        of_i, of_f, of_g, of_o = factors.chunk(4, dim=-1)
        torch.sub(1, i, out=of_i).mul_(i).mul_(g)
        torch.sub(1, f, out=of_f).mul_(f).mul_(cells[:-1])
        torch.sub(1, g.square(), out=of_g).mul_(i)
        torch.sub(1, o, out=of_o).mul_(o).mul_(shown)
        of_c = (1 - shown.square()).mul_(o)
        d_gates = factors  # each factor becomes what it is a factor of
        d_gate, d_out = d_gates.unbind(), d_output.unbind()
        f_at, c_factor = f.float().unbind(), of_c.float().unbind()
        four = d_gates.view(steps, -1, 4, hidden)
        by_c, by_h = four[:, :, :3].unbind(), four[:, :, 3].unbind()
        d_h, d_c = d_last.to(gates.dtype), d_last_c
        for t in range(steps - 1, -1, -1):
            d_h = torch.add(d_h, d_out[t])
            d_c = torch.addcmul(d_c, d_h.float(), c_factor[t])
            by_c[t].mul_(d_c.to(gates.dtype)[:, None])
            by_h[t].mul_(d_h)
            d_c = d_c * f_at[t]
            d_h = d_gate[t] @ w_hh
        d_bias = _summed(d_gates)
        return d_gates, d_h.float(), d_c, _weight_gradient(d_gates, states), d_bias, d_bias


def _weight_gradient(d_gates: Tensor, states: Tensor) -> Tensor:
    """The gradient of W_hh (G·H, H), from that of the gates' share of the state (T, B, G·H) and
    the states before them (T+1, B, H; the last is not used)."""
    # The narrow side first: torch's product is up to a tenth faster so.
    return (states[:-1].flatten(0, 1).t() @ d_gates.flatten(0, 1)).t()


def _summed(d_gates: Tensor) -> Tensor:
    """Over time and batch, (T, B, G·H) -> (G·H). A product with ones adds in float32, and many
    times faster than a sum of bfloat16."""
    rows = d_gates.flatten(0, 1)
    return (rows.new_ones(1, len(rows)) @ rows)[0]


_FUNCTIONS: dict[Cell, type[torch.autograd.Function]] = {"rnn": _Rnn, "gru": _Gru, "lstm": _Lstm}
