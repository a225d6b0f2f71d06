"""What a network is made of and what happens inside it: tensors, shapes, one step in numbers.

The letters of symbolic shapes, the same everywhere in lyricrnn:

    B   batch: sequences computed side by side      H   hidden: features of a hidden state
    T   time: characters in each sequence           L   layers, one above the other
    V   vocabulary: distinct characters             D   directions: 2 when bidirectional, else 1
    E   embedding: features of a character          G   gates of the cell: rnn 1, gru 3, lstm 4

`(4H, E)` is a matrix of 4·H rows and E columns, `(L·D, B, H)` a stack of L·D matrices, `()` one
number. The number of gates and, in a parameter's shape, of directions is written out: `(3H, 2H)`.

Nothing here changes the network: not its weights, its mode, nor a generator of random numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.config import Cell
from engine.errors import PromptError
from engine.model.cells import GATE_NAMES, GATE_VALUES, GATES, STEPS, StepState
from engine.model.network import CharRNN, OneHotLayer, TiedOutput

LETTERS = {
    "B": "batch",
    "T": "time",
    "V": "vocabulary",
    "E": "embedding",
    "H": "hidden",
    "L": "layers",
    "D": "directions",
    "G": "gates",
}

_BYTES = 4  # of a float32, as weights are stored
_FIRST_VALUES = 4  # of each gate are told
_SMALL_BATCH, _SMALL_TIME = 2, 3  # of the pass that `flow` measures


def sizes(network: CharRNN, batch: int, time_steps: int) -> dict[str, int]:
    """What each letter stands for here. One-hot input has no embedding, hence no E."""
    config = network.config
    found = {
        "B": batch,
        "T": time_steps,
        "V": network.vocabulary_size,
        "E": config.embedding,
        "H": config.hidden,
        "L": config.layers,
        "D": network.directions,
        "G": GATES[config.cell],
    }
    if network.embedding is None:
        del found["E"]
    return found


def shape_text(shape: Sequence[int]) -> str:
    """(1536, 64) → "(1536, 64)", (1536,) → "(1536)", as symbolic shapes are written."""
    return f"({', '.join(map(str, shape))})"


# --- Parameters ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class TensorFacts:
    """One parameter. `bytes` is its size as float32, as it is stored."""

    name: str
    meaning: str
    symbolic_shape: str
    shape: tuple[int, ...]
    parameters: int
    bytes: int


def tensors(network: CharRNN) -> list[TensorFacts]:
    """Every parameter, in the order in which the text goes through them."""
    found = []
    for name, parameter in network.named_parameters():
        meaning, symbolic = _describe(network, name)
        count = parameter.numel()
        shape = tuple(parameter.shape)
        found.append(TensorFacts(name, meaning, symbolic, shape, count, count * _BYTES))
    return found


def _describe(network: CharRNN, name: str) -> tuple[str, str]:
    """The meaning and the symbolic shape of a parameter, both from its name."""
    config = network.config
    width = "2H" if config.bidirectional else "H"  # of a layer's output
    match name.split("."):
        case ["embedding", _]:
            return "one row of features a character", "(V, E)"
        case ["output", "weight"]:
            return "hidden state to logits, one row a character", f"(V, {width})"
        case ["output", "projection"]:
            meaning = "hidden state to what is compared with each row of the embedding"
            return meaning, f"(E, {width})"
        case ["output", _]:
            return "bias of the logits", "(V)"
    _, index, field = name.split(".")
    role, order, gates = _gates(network)
    meaning, symbolic = {
        "input_rows": (f"input to {role}, one row a character{order}", f"(V, {gates})"),
        "weight_ih": (f"input to {role}{order}", f"({gates}, {'E' if index == '0' else width})"),
        "weight_hh": (f"hidden state to {role}{order}", f"({gates}, H)"),
        "bias_ih": (f"bias of input to {role}", f"({gates})"),
        "bias_hh": (f"bias of hidden state to {role}", f"({gates})"),
    }[field.removesuffix("_reverse").removesuffix("_l0")]
    where = [f"layer {int(index) + 1}"] if config.layers > 1 else []
    if config.bidirectional:
        where.append("backwards" if field.endswith("_reverse") else "forwards")
    return (f"{', '.join(where)}: {meaning}" if where else meaning), symbolic


def _gates(network: CharRNN) -> tuple[str, str, str]:
    """What the rows of a layer's weights compute, in which order, and how many rows they are."""
    names = GATE_NAMES[network.config.cell]
    if len(names) == 1:
        return "the next hidden state", "", "H"
    number = {3: "three", 4: "four"}[len(names)]
    return "gates", f", all {number} stacked: {', '.join(names)}", f"{len(names)}H"


# --- Shapes of a batch --------------------------------------------------------------------------


@dataclass(frozen=True)
class FlowFacts:
    """One tensor that a batch becomes on its way.

    `operation` says how it comes from the tensor before it. A `branch` is not on the way to the
    loss: the state at the end, which the next batch may start from.
    """

    name: str
    operation: str
    symbolic_shape: str
    shape: tuple[int, ...]
    branch: bool = False


def flow(network: CharRNN, batch: int, time_steps: int) -> list[FlowFacts]:
    """What a batch of ids (B, T) becomes, from the ids to the loss.

    The shapes are those of a real pass, watched from outside, of at most 2 × 3 characters so that
    it costs next to nothing; only its B and T are then replaced by those that were asked for.
    """
    small = {"B": min(batch, _SMALL_BATCH), "T": min(time_steps, _SMALL_TIME)}
    asked = {"B": batch, "T": time_steps}
    found = []
    for step in _watch(network, small["B"], small["T"]):
        symbols = [symbol for symbol in step.symbolic_shape[1:-1].split(", ") if symbol]
        sides = list(zip(symbols, step.shape, strict=True))
        assert all(small.get(symbol, side) == side for symbol, side in sides), step
        found.append(replace(step, shape=tuple(asked.get(*side) for side in sides)))
    return found


def _watch(network: CharRNN, batch: int, time_steps: int) -> list[FlowFacts]:
    """The shapes of a pass of B × T characters, as hooks on the modules see them."""
    watched = _twin(network)
    outputs: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, given: object, result: object) -> None:
        tensor = result[0] if isinstance(result, tuple) else result
        assert isinstance(tensor, Tensor)
        outputs[name] = tensor

    for name, module in watched.named_modules():
        module.register_forward_hook(partial(note, name))
    device = watched.output.weight.device
    with torch.inference_mode():
        ids = torch.zeros(batch, time_steps, dtype=torch.long, device=device)
        _, state = watched(ids)
        logits = outputs["output"]
        probabilities = F.softmax(logits, dim=-1)
        loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
        first = watched.layers[0]
        rows: list[tuple[str, Tensor]] = []
        if isinstance(first, OneHotLayer):  # the layer picks its rows inside, where no hook is
            for suffix in first.suffixes:
                table = first.get_parameter(f"input_rows{suffix}")
                rows.append((", backwards" if suffix else "", F.embedding(ids, table)))
        else:
            rows.append(("", outputs["embedding"]))

    facts: list[FlowFacts] = []

    def add(name: str, operation: str, symbolic: str, tensor: Tensor, branch: bool = False) -> None:
        facts.append(FlowFacts(name, operation, symbolic, tuple(tensor.shape), branch))

    one_hot, cell = isinstance(first, OneHotLayer), network.config.cell
    add("ids", "", "(B, T)", ids)
    for suffix, tensor in rows:
        add(
            f"input rows{suffix}",
            "each id picks its row of input_rows" if one_hot else "each id picks its row",
            f"(B, T, {_gates(network)[-1]})" if one_hot else "(B, T, E)",
            tensor,
        )
    for index in range(len(watched.layers)):
        operation = f"{cell}, character by character"
        add(f"layer {index + 1} output", operation, "(B, T, D·H)", outputs[f"layers.{index}"])
    for name, part in zip(("final state h", "final state c"), state, strict=False):
        add(name, "the last step of each layer", "(L·D, B, H)", part, branch=True)
    tied = isinstance(watched.output, TiedOutput)
    add(
        "logits",
        "output weights, tied to the embedding" if tied else "output weights",
        "(B, T, V)",
        logits,
    )
    add("probabilities", "softmax", "(B, T, V)", probabilities)
    add("loss", "cross-entropy with the next characters", "()", loss)
    return facts


def _twin(network: CharRNN) -> CharRNN:
    """Other modules on the same weights: hooks and the mode of one do not reach the other."""
    shared: dict[int, object] = {id(parameter): parameter for parameter in network.parameters()}
    shared[id(network.generator)] = network.generator  # evaluating draws nothing from it
    twin = copy.deepcopy(network, shared)
    return twin.eval()


# --- One step in numbers ------------------------------------------------------------------------


@dataclass(frozen=True)
class GateFacts:
    """The values of one gate in one layer at one character: H numbers, and the first few."""

    name: str
    mean: float
    minimum: float
    maximum: float
    first: tuple[float, ...]


@dataclass(frozen=True)
class LayerStep:
    """What one character did to one layer: its gates, and the norms of its state, ‖h‖ and for an
    LSTM ‖c‖, before and after."""

    gates: tuple[GateFacts, ...]
    hidden_before: float
    hidden_after: float
    cell_before: float | None = None
    cell_after: float | None = None


@dataclass(frozen=True)
class StepTrace:
    """One character read: its id, what it did to each layer, and the likeliest next ids with
    their probabilities, the likeliest first."""

    id: int
    layers: tuple[LayerStep, ...]
    next: tuple[tuple[int, float], ...]


def walk(network: CharRNN, ids: Sequence[int], top: int = 5) -> list[StepTrace]:
    """The recurrence one character at a time, from a state of zeros, as `cells` computes it.

    On the CPU in float32, without dropout, whatever the network is trained on. Raises PromptError
    for a bidirectional network and for an id that the vocabulary lacks.
    """
    if network.config.bidirectional:
        raise PromptError(
            "A bidirectional network cannot be followed one character at a time: its backward "
            "half reads from the end. Inspect one trained with bidirectional = false."
        )
    for number in ids:
        if not 0 <= number < network.vocabulary_size:
            raise PromptError(
                f"{number} is no id of this network, which knows 0 to "
                f"{network.vocabulary_size - 1}: encode the text with the run's own vocabulary."
            )
    weights = {
        name: parameter.detach().to("cpu", torch.float32)
        for name, parameter in network.named_parameters()
    }
    parts = 2 if network.config.cell == "lstm" else 1
    states = [(torch.zeros(1, network.config.hidden),) * parts for _ in network.layers]
    with torch.inference_mode():
        return [_read(network.config.cell, weights, number, states, top) for number in ids]


def _read(
    cell: Cell, weights: dict[str, Tensor], number: int, states: list[StepState], top: int
) -> StepTrace:
    """One character through all layers; `states`, one a layer, become what they are after it."""
    layers: list[LayerStep] = []
    for index, before in enumerate(states):
        gates_x, w_hh, b_hh = _step_inputs(weights, index, number, states)
        gates = GATE_VALUES[cell](gates_x, before[0], w_hh, b_hh)
        after = states[index] = STEPS[cell](gates_x, before, w_hh, b_hh)
        norms = [part.norm().item() for part in (*before, *after)]  # of h, h' or h, c, h', c'
        is_lstm = len(norms) == 4
        layers.append(
            LayerStep(
                gates=tuple(_gate_facts(name, value) for name, value in gates._asdict().items()),
                hidden_before=norms[0],
                hidden_after=norms[2 if is_lstm else 1],
                cell_before=norms[1] if is_lstm else None,
                cell_after=norms[3] if is_lstm else None,
            )
        )
    hidden, rows = states[-1][0][0], weights.get("output.weight")  # (H,), (V, H)
    if rows is None:  # tied: (E,) is compared with (V, E)
        hidden, rows = weights["output.projection"] @ hidden, weights["embedding.weight"]
    logits = F.linear(hidden, rows, weights["output.bias"])  # (V,)
    best = F.softmax(logits, dim=0).topk(max(0, min(top, len(logits))))
    ranked = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return StepTrace(number, tuple(layers), tuple(ranked))


def _step_inputs(
    weights: dict[str, Tensor], index: int, number: int, states: list[StepState]
) -> tuple[Tensor, Tensor, Tensor]:
    """The input's share of a layer's gates (1, G·H), W_hh (G·H, H) and b_hh (G·H)."""
    layer = f"layers.{index}."
    if (rows := weights.get(f"{layer}input_rows")) is not None:
        gates_x = rows[number : number + 1] + weights[f"{layer}bias_ih"]
        return gates_x, weights[f"{layer}weight_hh"], weights[f"{layer}bias_hh"]
    x = states[index - 1][0] if index > 0 else weights["embedding.weight"][number : number + 1]
    gates_x = F.linear(x, weights[f"{layer}weight_ih_l0"], weights[f"{layer}bias_ih_l0"])
    return gates_x, weights[f"{layer}weight_hh_l0"], weights[f"{layer}bias_hh_l0"]


def _gate_facts(name: str, values: Tensor) -> GateFacts:
    """`values` (1, H)."""
    return GateFacts(
        name,
        mean=values.mean().item(),
        minimum=values.min().item(),
        maximum=values.max().item(),
        first=tuple(values[0, :_FIRST_VALUES].tolist()),
    )
