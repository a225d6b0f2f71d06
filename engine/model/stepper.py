"""One character at a time, without gradients: what generation runs on.

The input product is precomputed: for every character v, its gate inputs W_ih·e_v + b_ih are one
row of a table (V, G·H), so that a step reads one row, the recurrent weights and the output layer.

A `Stepper` advances N texts together as one batch, in torch. A `Stream` advances one text, in
NumPy: a step is a few products of a vector and a matrix, so short that what torch does around each
call would cost as much as the products themselves.
"""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.config import Cell
from engine.errors import PromptError
from engine.model import device as devices
from engine.model.fused import tanh_
from engine.model.network import CharRNN, OneHotLayer, State, TiedOutput
from engine.model.products import Affine

Vector = NDArray[np.float32]
MANY = 8  # texts that advance together, from which on products are bfloat16 where that is fast


class Stepper:
    """A copy of a network's weights, made when it is constructed; training goes on beside it.

    Works on the CPU whatever the network was trained on: one stream of characters is bound by
    latency, not by arithmetic. One text and a few advance in float32; `MANY` or more multiply
    bfloat16 where the processor does so faster, which moves the held-out loss by less than 0.001
    nats (docs/benchmarks.md), and carry their state in float32.
    """

    def __init__(self, network: CharRNN) -> None:
        if network.config.bidirectional:
            raise PromptError(
                "A bidirectional network cannot generate: its backward half reads the very "
                "characters that it would have to predict. Train one with bidirectional = false."
            )
        self.vocabulary_size = network.vocabulary_size
        self.hidden = network.config.hidden
        self.cell: Cell = network.config.cell
        self._advance = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}[self.cell]
        self._parts = 2 if network.config.cell == "lstm" else 1
        with torch.inference_mode():
            self._input_table = self._table(network)
            self._layers = [self._weights(layer) for layer in network.layers]
            self._output_weight = _copy(network.output.weight)
            self._output_bias = _copy(network.output.bias)
            self._projection: Tensor | None = None
            if isinstance(network.output, TiedOutput):
                self._projection = _copy(network.output.projection)

    def stream(self) -> Stream:
        """One text, from a state of zeros."""
        return Stream(self)

    def state_of(self, stream: Stream) -> State:
        """The state that a text has come to: (L, 1, H) for h, and c in an LSTM."""
        parts = [stream.h, stream.c][: self._parts]
        return tuple(torch.from_numpy(part.copy()).unsqueeze(1) for part in parts)

    @cached_property
    def columns(self) -> Columns:
        """The weights as a `Stream` reads them."""
        output = [
            weight for weight in (self._projection, self._output_weight) if weight is not None
        ]
        return Columns(self.cell, self._input_table, self._layers, output)

    @property
    def output_bias(self) -> Vector:
        """(V,)."""
        bias: Vector = self._output_bias.numpy()
        return bias

    @staticmethod
    def _table(network: CharRNN) -> Tensor:
        """The gate inputs of the first layer for every character: (V, G·H)."""
        first = network.layers[0]
        if isinstance(first, OneHotLayer):
            return _copy(first.get_parameter("input_rows") + first.get_parameter("bias_ih"))
        assert network.embedding is not None
        rows = _copy(network.embedding.weight) @ _copy(first.get_parameter("weight_ih_l0")).T
        return rows + _copy(first.get_parameter("bias_ih_l0"))

    @staticmethod
    def _weights(layer: torch.nn.Module) -> tuple[Tensor, ...]:
        """(W_hh, b_hh) of a layer, and (W_ih, b_ih) where its input is not the table."""
        if isinstance(layer, OneHotLayer):
            names = ["weight_hh", "bias_hh"]
        else:
            names = ["weight_hh_l0", "bias_hh_l0", "weight_ih_l0", "bias_ih_l0"]
        return tuple(_copy(layer.get_parameter(name)) for name in names)

    def initial_state(self, streams: int = 1) -> State:
        """Zeros: (L, N, H) for h, and c in an LSTM, for N streams."""
        shape = (len(self._layers), streams, self.hidden)
        return tuple(torch.zeros(shape) for _ in range(self._parts))

    def _affine(self, precision: torch.dtype) -> tuple[list[list[Affine]], list[Affine]]:
        """Of each layer the product with its state and, but for the first, whose inputs are the
        table, the one with its input; and those of the output."""
        layers = [[Affine(w_hh, b_hh, precision)] for w_hh, b_hh, *_ in self._layers]
        for products, (_, _, w_ih, b_ih) in zip(layers[1:], self._layers[1:], strict=True):
            products.append(Affine(w_ih, b_ih, precision))
        output = [Affine(self._output_weight, self._output_bias, precision)]
        if self._projection is not None:
            output.insert(0, Affine(self._projection, None, precision))
        return layers, output

    @cached_property
    def _few(self) -> tuple[list[list[Affine]], list[Affine]]:
        return self._affine(torch.float32)

    @cached_property
    def _many(self) -> tuple[list[list[Affine]], list[Affine]]:
        fast = devices.bf16_is_fast(torch.device("cpu"))
        return self._affine(torch.bfloat16) if fast else self._few

    @torch.inference_mode()
    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """ids (N,), state (L, N, H) -> logits (N, V) of the next character, state after these."""
        layers, output = self._few if len(ids) < MANY else self._many
        gates_x = self._input_table[ids]
        after = tuple(torch.empty_like(part) for part in state)
        for index, (recurrent, *inputs) in enumerate(layers):
            for product in inputs:
                gates_x = product(after[0][index - 1])
            now, then = [part[index] for part in state], [part[index] for part in after]
            self._advance(gates_x, recurrent(now[0]), now, then)
        logits = after[0][-1]
        for product in output:
            logits = product(logits)
        return logits, after


def _rnn(gates_x: Tensor, gates_h: Tensor, state: list[Tensor], after: list[Tensor]) -> None:
    tanh_(torch.add(gates_x, gates_h, out=after[0]))


def _gru(gates_x: Tensor, gates_h: Tensor, state: list[Tensor], after: list[Tensor]) -> None:
    hidden = state[0].shape[1]
    gates_h[:, : 2 * hidden].add_(gates_x[:, : 2 * hidden]).sigmoid_()
    r, z, q = gates_h.chunk(3, dim=1)
    n = tanh_(torch.addcmul(gates_x[:, 2 * hidden :], r, q))
    torch.lerp(n, state[0], z, out=after[0])


def _lstm(gates_x: Tensor, gates_h: Tensor, state: list[Tensor], after: list[Tensor]) -> None:
    gates_h += gates_x
    i, f, g, o = gates_h.chunk(4, dim=1)
    gates_h[:, : 2 * len(g[0])].sigmoid_()
    torch.mul(f, state[1], out=after[1]).addcmul_(i, tanh_(g))
    tanh_(after[0].copy_(after[1])).mul_(o.sigmoid_())


class Columns:
    """A network's weights as one vector after the other reads them: transposed, h W, so that a
    product runs through memory in order.

    Of gates under a σ everything is halved, since σ(x) = ½ + ½ tanh(x / 2): one tanh then serves
    all gates. The LSTM's gates stand in the order i, f, o, g, those under a σ together.
    """

    def __init__(
        self, cell: Cell, table: Tensor, layers: list[tuple[Tensor, ...]], output: list[Tensor]
    ) -> None:
        hidden = layers[0][0].shape[1]
        squashed = {"rnn": 0, "gru": 2, "lstm": 3}[cell] * hidden  # gates under a σ
        gates = layers[0][0].shape[0]
        order = np.arange(gates)
        if cell == "lstm":
            i_f, g, o = np.split(order, [2 * hidden, 3 * hidden])
            order = np.concatenate([i_f, o, g])
        scale = np.where(np.arange(gates) < squashed, 0.5, 1.0).astype(np.float32)

        def columns(weight: Tensor) -> Vector:
            return np.ascontiguousarray((weight.numpy()[order] * scale[:, None]).T)

        def vector(bias: Tensor) -> Vector:
            scaled: Vector = bias.numpy()[order] * scale
            return scaled

        self.squashed = squashed
        self.table: Vector = table.numpy()[:, order] * scale
        self.recurrent = [(columns(w_hh), vector(b_hh)) for w_hh, b_hh, *_ in layers]
        self.inputs = [(columns(rest[0]), vector(rest[1])) for _, _, *rest in layers[1:]]
        self.output: list[Vector] = [np.ascontiguousarray(w.numpy().T) for w in output]


class Stream:
    """One text that is being read or written: `read(id)` and then `logits` (V,), which the next
    `read` overwrites; `h` and `c` (L, H) are its state. A step makes no new arrays, but for the
    projection of a tied output."""

    def __init__(self, stepper: Stepper) -> None:
        weights = stepper.columns
        layers, gates, hidden = len(weights.recurrent), weights.table.shape[1], stepper.hidden
        self.logits: Vector = np.zeros(stepper.vocabulary_size, np.float32)
        self._weights, self._bias = weights, stepper.output_bias
        self.h = np.zeros((layers, hidden), np.float32)
        self.c = np.zeros((layers, hidden), np.float32)
        self._gates_x, self._gates_h = np.empty((2, gates), np.float32)
        self._spare = np.empty(hidden, np.float32)
        self._advance = {"rnn": self._rnn, "gru": self._gru, "lstm": self._lstm}[stepper.cell]

    def copy(self) -> Self:
        """Another text that goes on from here."""
        twin = object.__new__(type(self))
        twin.__dict__ = {
            name: value.copy() if isinstance(value, np.ndarray) else value
            for name, value in self.__dict__.items()
        }
        twin._advance = getattr(twin, self._advance.__name__)
        return twin

    def read(self, character: int) -> None:
        """Takes one id in: the state moves on, and `logits` are those of the character after it."""
        weights, h = self._weights, self.h
        gates_x = weights.table[character]
        for layer, (w_hh, b_hh) in enumerate(weights.recurrent):
            if layer > 0:
                w_ih, b_ih = weights.inputs[layer - 1]
                np.dot(h[layer - 1], w_ih, out=self._gates_x)
                self._gates_x += b_ih
                gates_x = self._gates_x
            np.dot(h[layer], w_hh, out=self._gates_h)
            self._gates_h += b_hh
            self._advance(gates_x, self._gates_h, h[layer], self.c[layer])
        *projections, output = weights.output
        np.dot(np.dot(h[-1], projections[0]) if projections else h[-1], output, out=self.logits)
        self.logits += self._bias

    def _rnn(self, gates_x: Vector, gates_h: Vector, h: Vector, c: Vector) -> None:
        np.add(gates_x, gates_h, out=h)
        np.tanh(h, out=h)

    def _gru(self, gates_x: Vector, gates_h: Vector, h: Vector, c: Vector) -> None:
        squashed, hidden, n = self._weights.squashed, len(h), self._spare
        r_z = gates_h[:squashed]
        r_z += gates_x[:squashed]
        _sigmoid_of_double(r_z)
        np.multiply(r_z[:hidden], gates_h[squashed:], out=n)
        n += gates_x[squashed:]
        np.tanh(n, out=n)
        h -= n
        h *= r_z[hidden:]
        h += n  # n + z ⊙ (h - n)

    def _lstm(self, gates_x: Vector, gates_h: Vector, h: Vector, c: Vector) -> None:
        squashed, hidden = self._weights.squashed, len(h)
        gates_h += gates_x
        _sigmoid_of_double(gates_h[:squashed])
        g = gates_h[squashed:]
        np.tanh(g, out=g)
        g *= gates_h[:hidden]
        c *= gates_h[hidden : 2 * hidden]
        c += g
        np.tanh(c, out=h)
        h *= gates_h[2 * hidden : squashed]


def _sigmoid_of_double(halved: Vector) -> None:
    """σ(2x) in place."""
    np.tanh(halved, out=halved)
    halved *= 0.5
    halved += 0.5


def _copy(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu", torch.float32, copy=True)
