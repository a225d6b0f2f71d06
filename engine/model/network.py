"""The network: characters' ids in, one logit for each possible next character out.

    ids (B, T) -> input rows (B, T, E) -> recurrent layers (B, T, D·H) -> logits (B, T, V)

B batch, T time, V vocabulary, E embedding, H hidden, L layers, D directions, G gates.

Parameters, with G = 1, 3, 4 for rnn, gru, lstm and D = 1:
    embedding      V·E                      (one-hot input: V·G·H, the first layer's W_x itself)
    first layer    G·H·(E + H + 2)
    further layers G·H·(2H + 2) each
    output         V·(H + 1)            (tied output: E·H + V)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.config import Cell, ModelConfig
from engine.errors import CheckpointError, ConfigError
from engine.model import loss, products
from engine.model.cells import GATES, ScratchRecurrent, unroll
from engine.model.fused import FusedGru, FusedLstm, FusedRnn, recurrence

State = tuple[Tensor, ...]
"""The recurrent state: (h,) or, for an LSTM, (h, c); each (L·D, B, H), float32."""

_FUSED: dict[Cell, type[FusedRnn | FusedGru | FusedLstm]] = {
    "rnn": FusedRnn,
    "gru": FusedGru,
    "lstm": FusedLstm,
}


class SeededDropout(nn.Module):
    """Dropout whose masks come from the network's own generator.

    torch's own dropout draws from one generator for the whole process; two engines side by side,
    or a resumed run, could then not be repeated.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return x
        # Kept values grow by a number that bfloat16 can hold, and the share that is kept is its
        # inverse: so the mean stays, in either precision, and one product does all.
        growth = float(torch.tensor(1.0 / (1.0 - self.probability), dtype=torch.bfloat16))
        return x * self._kept(x, 1.0 / growth).to(x.dtype).mul_(growth)

    def _kept(self, x: Tensor, keep: float) -> Tensor:
        """True with probability `keep` (to 1/65,536), in the shape and the memory order of x. Four
        16-bit draws are cut from each 64-bit one, which takes a fifth of the time that `bernoulli_`
        does on a CPU."""
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        kept = words.view(torch.int16)[: x.numel()] < round(keep * 2**16) - 2**15
        return kept.as_strided(x.shape, torch.empty_like(x).stride())


class OneHotLayer(nn.Module):
    """A recurrent layer on one-hot characters, with the product one_hot(x) · W_x as what it is:
    picking row x of W_x. The one-hot vectors are never made.
    torch.nn takes inputs, not ready gate inputs, so this layer runs a recurrence of our own
    everywhere: the fused one where it is fastest, on a CPU, else the one from scratch.
    """

    def __init__(
        self, cell: Cell, vocabulary: int, hidden: int, directions: int, fused: bool
    ) -> None:
        super().__init__()
        self.cell, self.fused = cell, fused
        gates = GATES[cell] * hidden
        for suffix in ("", "_reverse")[:directions]:
            # Stored as rows, one a character: (V, G·H), the transpose of torch.nn's weight_ih.
            self.register_parameter(
                f"input_rows{suffix}", nn.Parameter(torch.empty(vocabulary, gates))
            )
            self.register_parameter(f"weight_hh{suffix}", nn.Parameter(torch.empty(gates, hidden)))
            self.register_parameter(f"bias_ih{suffix}", nn.Parameter(torch.empty(gates)))
            self.register_parameter(f"bias_hh{suffix}", nn.Parameter(torch.empty(gates)))
        self.suffixes = ("", "_reverse")[:directions]

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """ids (B, T), state tensors (D, B, H) -> output (B, T, D·H), final state (D, B, H)."""
        outputs, finals = [], []
        for direction, suffix in enumerate(self.suffixes):
            table = self.get_parameter(f"input_rows{suffix}")
            w_hh, b_ih, b_hh = (
                self.get_parameter(f"{name}{suffix}")
                for name in ("weight_hh", "bias_ih", "bias_hh")
            )
            before = tuple(part[direction] for part in state)
            reverse = direction == 1
            if self.fused and not ids.is_cuda:
                rows = F.embedding(ids.t(), table)
                if torch.is_autocast_enabled(ids.device.type):
                    # Only now: the gradients of a character's row are added up in float32.
                    rows = rows.to(torch.get_autocast_dtype(ids.device.type))
                output, final = recurrence(self.cell, rows, before, w_hh, b_ih, b_hh, reverse)
                output = output.transpose(0, 1)
            else:
                rows = F.embedding(ids, table) + b_ih
                output, final = unroll(self.cell, rows, before, w_hh, b_hh, reverse)
            outputs.append(output)
            finals.append(final)
        return torch.cat(outputs, dim=-1), tuple(
            torch.stack(parts) for parts in zip(*finals, strict=True)
        )


class TiedOutput(nn.Module):
    """An output layer whose rows are the embedding's (Press & Wolf 2017, Using the Output Embedding
    to Improve Language Models): logits = (x Pᵀ) Eᵀ + b. With a large vocabulary it is most of what
    a step costs, and E features a character are fewer than H."""

    def __init__(self, embedding: nn.Embedding, width: int) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.empty(embedding.embedding_dim, width))
        self.bias = nn.Parameter(torch.empty(embedding.num_embeddings))
        self._shared = (embedding,)  # in a tuple: its weight is the embedding's, not this layer's

    @property
    def weight(self) -> Tensor:
        """One row of features a character, (V, E)."""
        return self._shared[0].weight

    def projected(self, x: Tensor) -> Tensor:
        """x (…, D·H) -> what is compared with each row, (…, E)."""
        return products.linear(x, self.projection)

    def forward(self, x: Tensor) -> Tensor:
        """x (…, D·H) -> logits (…, V)."""
        return F.linear(self.projected(x), self.weight, self.bias)


class CharRNN(nn.Module):
    """A character-level recurrent language model.

    The recurrent layers are modules of one layer each, with dropout of our own between them, so
    that every random draw comes from a generator that a checkpoint can restore.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int, seed: int = 0) -> None:
        super().__init__()
        if vocabulary_size < 2:
            raise ConfigError("A network needs a vocabulary of at least one character.")
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.directions = 2 if config.bidirectional else 1
        self.generator = torch.Generator()
        self.embedding: nn.Embedding | None = None
        layers: list[nn.Module] = []
        if config.input == "embedding":
            self.embedding = nn.Embedding(vocabulary_size, config.embedding)
            layers.append(self._recurrent(config.embedding))
        else:
            fused = config.implementation == "fused"
            layers.append(
                OneHotLayer(config.cell, vocabulary_size, config.hidden, self.directions, fused)
            )
        width = config.hidden * self.directions
        layers.extend(self._recurrent(width) for _ in range(config.layers - 1))
        self.layers = nn.ModuleList(layers)
        self.dropout = SeededDropout(config.dropout)
        self.dropout.generator = self.generator
        self.output: nn.Linear | TiedOutput
        if config.output == "tied":
            assert self.embedding is not None
            self.output = TiedOutput(self.embedding, width)
        else:
            self.output = nn.Linear(width, vocabulary_size)
        self.reset_parameters(seed)

    def _recurrent(self, input_size: int) -> nn.Module:
        config = self.config
        if config.implementation == "scratch":
            return ScratchRecurrent(
                config.cell, input_size, config.hidden, bidirectional=config.bidirectional
            )
        return _FUSED[config.cell](
            input_size, config.hidden, batch_first=True, bidirectional=config.bidirectional
        )

    def reset_parameters(self, seed: int) -> None:
        """Draws every weight anew: the embedding from N(0, 1), all else from U(-1/√H, 1/√H), the
        distributions of torch.nn, but from a generator of our own. An embedding that the output
        shares is drawn from N(0, 1/E), so that the first logits are not far from equal."""
        generator = torch.Generator().manual_seed(seed)
        bound = 1.0 / math.sqrt(self.config.hidden)
        spread = 1.0 if self.config.output == "full" else 1.0 / math.sqrt(self.config.embedding)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name == "embedding.weight":
                    parameter.normal_(0.0, spread, generator=generator)
                else:
                    parameter.uniform_(-bound, bound, generator=generator)

    def recurrent_matrices(self) -> list[tuple[nn.Parameter, int]]:
        """The weight matrices inside the recurrent layers, each with the number of gates that are
        stacked in it; the rows of one-hot input, which stand for an embedding, are not among
        them."""
        gates = GATES[self.config.cell]
        return [
            (parameter, gates)
            for name, parameter in self.layers.named_parameters()
            if ".weight_" in name
        ]

    def to_device(self, device: torch.device) -> None:
        """Moves the weights, and makes the generator of dropout's masks there."""
        self.to(device)
        self.generator = torch.Generator(device)
        self.dropout.generator = self.generator

    def initial_state(self, batch: int) -> State:
        """The state before the first character: zeros, (L·D, B, H) for h, and c in an LSTM."""
        shape = (self.config.layers * self.directions, batch, self.config.hidden)
        parts = 2 if self.config.cell == "lstm" else 1
        device = self.output.weight.device
        return tuple(torch.zeros(shape, device=device) for _ in range(parts))

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """ids (B, T), state or None for zeros -> logits (B, T, V), the state after the last
        character. Logits come in the precision that autocast chose, the state in float32."""
        x, final = self.features(ids, state)
        return self.output(x), final

    def loss(
        self, ids: Tensor, targets: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """ids and targets (B, T) -> the sum of the losses of all targets in nats, and the state
        after the last character. The logits are never all there at once."""
        x, final = self.features(ids, state)
        if isinstance(self.output, TiedOutput):
            x = self.output.projected(x)
        # In the order of memory, time first, so that nothing is copied.
        x, targets = x.transpose(0, 1).flatten(0, 1), targets.t().flatten()
        return loss.cross_entropy(x, self.output.weight, self.output.bias, targets), final

    def features(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """ids (B, T) -> what the output layer reads, (B, T, D·H), and the final state."""
        if state is None:
            state = self.initial_state(ids.shape[0])
        x = ids if self.embedding is None else self.dropout(self.embedding(ids))
        finals: list[State] = []
        for index, layer in enumerate(self.layers):
            rows = slice(index * self.directions, (index + 1) * self.directions)
            before = tuple(part[rows].contiguous() for part in state)
            if isinstance(layer, ScratchRecurrent):
                x, last = layer(x, before if self.config.cell == "lstm" else before[0])
                after = last if isinstance(last, tuple) else (last,)
            else:
                x, after = layer(x, before)
            finals.append(after)
            x = self.dropout(x)
        return x, tuple(torch.cat(parts).float() for parts in zip(*finals, strict=True))


def load_weights(network: CharRNN, weights: dict[str, Tensor], source: object) -> None:
    """Copies weights into a network; `source` is what the error calls them if they do not fit."""
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise CheckpointError(
            f"The tensors of {source} do not fit this run's network: they belong to another run."
        ) from None


def detach(state: State) -> State:
    """The same numbers without their history: where truncated backpropagation through time
    cuts."""
    return tuple(part.detach() for part in state)
