"""One character at a time, without gradients: what generation runs on.

The input product is precomputed: for every character v, its gate inputs W_ih·e_v + b_ih are one
row of a table (V, G·H), so that a step reads one row, the recurrent weights and the output layer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import PromptError
from engine.model.cells import STEPS
from engine.model.network import CharRNN, OneHotLayer, State


class Stepper:
    """A copy of a network's weights, made when it is constructed; training goes on beside it.

    Works on the CPU in float32 whatever the network was trained on: one stream of characters is
    bound by latency, not by arithmetic.
    """

    def __init__(self, network: CharRNN) -> None:
        if network.config.bidirectional:
            raise PromptError(
                "A bidirectional network cannot generate: its backward half reads the very "
                "characters that it would have to predict. Train one with bidirectional = false."
            )
        self.vocabulary_size = network.vocabulary_size
        self.hidden = network.config.hidden
        self._step = STEPS[network.config.cell]
        self._parts = 2 if network.config.cell == "lstm" else 1
        with torch.inference_mode():
            self._input_table = self._table(network)
            self._layers = [self._weights(layer) for layer in network.layers]
            self._output_weight = _copy(network.output.weight)
            self._output_bias = _copy(network.output.bias)

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

    @torch.inference_mode()
    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """ids (N,), state (L, N, H) -> logits (N, V) of the next character, state after these."""
        gates_x = self._input_table[ids]
        afters: list[State] = []
        for index, (w_hh, b_hh, *input_weights) in enumerate(self._layers):
            if index > 0:
                gates_x = F.linear(afters[-1][0], *input_weights)
            afters.append(self._step(gates_x, tuple(part[index] for part in state), w_hh, b_hh))
        logits = F.linear(afters[-1][0], self._output_weight, self._output_bias)
        return logits, tuple(torch.stack(parts) for parts in zip(*afters, strict=True))


def _copy(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu", torch.float32, copy=True)
