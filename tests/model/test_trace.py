"""What the inspection says is what the network is: measured against real networks of all kinds."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import astuple
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.config import Cell, Implementation, InputKind, ModelConfig
from engine.errors import PromptError
from engine.model.cells import GATE_NAMES, GATES
from engine.model.network import CharRNN
from engine.model.trace import (
    LETTERS,
    FlowFacts,
    StepTrace,
    TensorFacts,
    flow,
    shape_text,
    sizes,
    tensors,
    walk,
)

torch.set_num_threads(1)

V, E, H = 13, 5, 7
CONFIGS = [
    ModelConfig(
        cell=cell,
        implementation=implementation,
        input=input_kind,
        embedding=E,
        hidden=H,
        layers=layers,
        dropout=0.3,
        bidirectional=bidirectional,
    )
    for cell, implementation, input_kind, layers, bidirectional in itertools.product(
        get_args(Cell), get_args(Implementation), get_args(InputKind), (1, 3), (False, True)
    )
]


def name_of(config: ModelConfig) -> str:
    directions = "two-way" if config.bidirectional else "one-way"
    return f"{config.cell}-{config.implementation}-{config.input}-{config.layers}-{directions}"


each_network = pytest.mark.parametrize("config", CONFIGS, ids=name_of)
each_one_way_network = pytest.mark.parametrize(
    "config", [config for config in CONFIGS if not config.bidirectional], ids=name_of
)


def evaluated(symbolic: str, letters: dict[str, int]) -> tuple[int, ...]:
    """(4H, L·D) with H = 7, L = 2, D = 1 → (28, 2)."""
    assert symbolic[0] + symbolic[-1] == "()"
    return tuple(
        math.prod(int(f) if f.isdigit() else letters[f] for f in re.findall(r"\d+|\w", symbol))
        for symbol in filter(None, symbolic[1:-1].split(", "))
    )


# --- Parameters ---------------------------------------------------------------------------------


@each_network
def test_every_parameter_is_told_with_its_shape(config: ModelConfig) -> None:
    network = CharRNN(config, V, seed=1)
    found = tensors(network)
    letters = sizes(network, 1, 1)
    assert [facts.name for facts in found] == [name for name, _ in network.named_parameters()]
    for facts, parameter in zip(found, network.parameters(), strict=True):
        assert facts.shape == tuple(parameter.shape)
        assert evaluated(facts.symbolic_shape, letters) == facts.shape, facts
        assert facts.parameters == parameter.numel()
        assert facts.bytes == parameter.float().nbytes
    assert sum(facts.parameters for facts in found) == sum(p.numel() for p in network.parameters())


@each_network
def test_no_two_parameters_mean_the_same(config: ModelConfig) -> None:
    meanings = [facts.meaning for facts in tensors(CharRNN(config, V, seed=1))]
    assert len(set(meanings)) == len(meanings)


def test_parameters_in_words() -> None:
    def told(config: ModelConfig) -> dict[str, tuple[str, str]]:
        network = CharRNN(config, V, seed=1)
        return {facts.name: (facts.meaning, facts.symbolic_shape) for facts in tensors(network)}

    lstm = told(ModelConfig(cell="lstm", layers=2, bidirectional=True))
    stacked = "gates, all four stacked: input, forget, cell, output"
    assert lstm["layers.0.weight_ih_l0"] == (
        f"layer 1, forwards: input to {stacked}",
        "(4H, E)",
    )
    assert lstm["layers.1.weight_ih_l0_reverse"] == (
        f"layer 2, backwards: input to {stacked}",
        "(4H, 2H)",
    )
    assert lstm["output.weight"] == (
        "hidden state to logits, one row a character",
        "(V, 2H)",
    )

    gru = told(ModelConfig(cell="gru", input="one-hot"))
    assert gru["layers.0.input_rows"] == (
        "input to gates, one row a character, all three stacked: reset, update, new",
        "(V, 3H)",
    )
    assert gru["layers.0.bias_hh"][1] == "(3H)"
    assert gru["output.bias"] == ("bias of the logits", "(V)")

    rnn = told(ModelConfig(cell="rnn"))
    assert rnn["embedding.weight"] == (
        "one row of features a character",
        "(V, E)",
    )
    assert rnn["layers.0.weight_hh_l0"] == ("hidden state to the next hidden state", "(H, H)")


def test_notation() -> None:
    network = CharRNN(ModelConfig(cell="lstm", embedding=E, hidden=H, layers=2), V, seed=1)
    letters = {"B": 3, "T": 4, "V": V, "E": E, "H": H, "L": 2, "D": 1, "G": 4}
    assert sizes(network, 3, 4) == letters
    assert set(LETTERS) == set(letters)
    one_hot = CharRNN(ModelConfig(input="one-hot", hidden=H, bidirectional=True), V, seed=1)
    letters = {"B": 3, "T": 4, "V": V, "H": H, "L": 1, "D": 2, "G": 3}
    assert sizes(one_hot, 3, 4) == letters
    assert [shape_text(shape) for shape in ((28, 5), (28,), ())] == ["(28, 5)", "(28)", "()"]


# --- Shapes of a batch --------------------------------------------------------------------------


def hooked(network: CharRNN, batch: int, time: int) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of a real training pass of the full size, as hooks see them."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(module: nn.Module, given: object, result: Tensor | tuple[Tensor, ...]) -> None:
            outputs[name] = result if isinstance(result, Tensor) else result[0]

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in network.named_modules()]
    ids = torch.zeros(batch, time, dtype=torch.long)
    logits, state = network(ids)
    for handle in handles:
        handle.remove()
    loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
    layers = [outputs[f"layers.{index}"] for index in range(network.config.layers)]
    found = {
        "ids": [ids],
        "embedding": [outputs["embedding"]] if "embedding" in outputs else [],
        "layers": layers,
        "state": list(state),
        "logits": [logits],
        "loss": [loss],
    }
    return {name: [tuple(t.shape) for t in tensors_] for name, tensors_ in found.items()}


@each_network
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (2, 9), (6, 5)])
def test_flow_is_what_hooks_see_in_a_real_pass(config: ModelConfig, batch: int, time: int) -> None:
    network = CharRNN(config, V, seed=1)
    steps = flow(network, batch, time)
    seen = hooked(network, batch, time)
    by_name = {step.name: step.shape for step in steps}
    assert by_name["ids"] == seen["ids"][0]
    if config.input == "embedding":
        assert by_name["input rows"] == seen["embedding"][0]
    else:
        rows = [step.shape for step in steps if step.name.startswith("input rows")]
        assert rows == [(batch, time, GATES[config.cell] * H)] * network.directions
    assert [by_name[f"layer {index + 1} output"] for index in range(config.layers)] == seen[
        "layers"
    ]
    assert [step.shape for step in steps if step.branch] == seen["state"]
    assert by_name["logits"] == by_name["probabilities"] == seen["logits"][0]
    assert by_name["loss"] == seen["loss"][0] == ()

    letters = sizes(network, batch, time)
    for step in steps:
        assert evaluated(step.symbolic_shape, letters) == step.shape, step
    assert (steps[0].name, steps[-1].name) == ("ids", "loss")
    assert all(step.operation for step in steps[1:])


def test_flow_of_a_batch_too_big_for_any_memory() -> None:
    network = CharRNN(ModelConfig(hidden=H), V, seed=1)
    by_name = {step.name: step.shape for step in flow(network, 65_536, 65_536)}
    assert by_name["logits"] == (65_536, 65_536, V)


# --- One step in numbers ------------------------------------------------------------------------


@each_one_way_network
def test_walk_is_the_networks_own_forward(config: ModelConfig) -> None:
    network = CharRNN(config, V, seed=2).eval()
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    steps = walk(network, ids, top=V)
    state = None
    assert [step.id for step in steps] == ids
    for number, step in zip(ids, steps, strict=True):
        with torch.inference_mode():
            before = state
            logits, state = network(torch.tensor([[number]]), state)
        expected = logits[0, 0].softmax(dim=0)
        told = torch.empty(V)
        for id_, probability in step.next:
            told[id_] = probability
        assert torch.allclose(told, expected, rtol=0, atol=1e-5)
        assert [p for _, p in step.next] == sorted((p for _, p in step.next), reverse=True)

        assert len(step.layers) == config.layers
        for index, layer in enumerate(step.layers):
            assert [gate.name for gate in layer.gates] == list(GATE_NAMES[config.cell])
            norms = (
                [0.0] * len(state) if before is None else [part[index].norm() for part in before]
            )
            norms += [part[index].norm() for part in state]
            pairs = [layer.hidden_before, layer.cell_before, layer.hidden_after, layer.cell_after]
            assert [n for n in pairs if n is not None] == pytest.approx(
                [float(n) for n in norms], abs=1e-5
            )
            assert (layer.cell_after is not None) == (config.cell == "lstm")
    # One pass over all characters at once is the same thing.
    with torch.inference_mode():
        logits, _ = network(torch.tensor([ids]))
    assert [step.next[0][0] for step in steps] == logits[0].argmax(dim=1).tolist()


def test_gates_are_the_equations() -> None:
    """The LSTM's first step worked out from the weights, from a state of zeros."""
    network = CharRNN(ModelConfig(cell="lstm", embedding=E, hidden=H), V, seed=3)
    (step,) = walk(network, [4], top=2)
    weights = {name: p.detach() for name, p in network.named_parameters()}
    x = weights["embedding.weight"][4]
    preactivations = (
        weights["layers.0.weight_ih_l0"] @ x
        + weights["layers.0.bias_ih_l0"]
        + weights["layers.0.bias_hh_l0"]
    )
    i, f, g, o = preactivations.chunk(4)
    expected = {
        "input": i.sigmoid(),
        "forget": f.sigmoid(),
        "cell": g.tanh(),
        "output": o.sigmoid(),
    }
    (layer,) = step.layers
    for gate in layer.gates:
        values = expected[gate.name]
        told = (gate.mean, gate.minimum, gate.maximum)
        assert told == pytest.approx((values.mean(), values.min(), values.max()), abs=1e-6)
        assert gate.first == pytest.approx(values[: len(gate.first)].tolist(), abs=1e-6)
        assert 1 <= len(gate.first) <= H
    c = expected["input"] * expected["cell"]
    assert layer.cell_after == pytest.approx(float(c.norm()), abs=1e-6)
    h = expected["output"] * c.tanh()
    assert (layer.hidden_before, layer.hidden_after) == pytest.approx(
        (0, float(h.norm())), abs=1e-6
    )
    assert len(step.next) == 2


def test_walk_at_the_edges() -> None:
    network = CharRNN(ModelConfig(embedding=E, hidden=2), V, seed=3)
    assert walk(network, []) == []
    (step,) = walk(network, [0], top=1000)
    assert len(step.next) == V
    assert sum(p for _, p in step.next) == pytest.approx(1, abs=1e-5)
    assert len(step.layers[0].gates[0].first) == 2
    (step,) = walk(network, [0], top=0)
    assert step.next == ()
    for number in (-1, V):
        with pytest.raises(PromptError, match=str(number)):
            walk(network, [0, number])


def test_walk_refuses_a_bidirectional_network() -> None:
    with pytest.raises(PromptError, match="bidirectional"):
        walk(CharRNN(ModelConfig(hidden=H, bidirectional=True), V, seed=3), [1])


# --- It only looks ------------------------------------------------------------------------------


@each_network
@pytest.mark.parametrize("training", [True, False])
def test_inspection_leaves_training_untouched(config: ModelConfig, training: bool) -> None:
    """The same losses, weights and chance to the last bit, with an inspection between the steps
    and without."""

    def losses(inspected: bool) -> list[float]:
        network = CharRNN(config, V, seed=4)
        network.to_device(torch.device("cpu"))
        network.generator.manual_seed(5)
        torch.manual_seed(6)
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
        found, state = [], None
        for step in range(3):
            network.train(training)
            ids = torch.arange(step, step + 12).remainder(V).view(2, 6)
            logits, state = network(ids[:, :-1], state)
            if inspected:
                inspect(network)
            state = tuple(part.detach() for part in state)
            loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            if inspected:
                inspect(network)
            optimizer.step()
            found += [loss.item(), torch.rand(1).item()]
        return [*found, *(p.sum().item() for p in network.parameters())]

    def inspect(network: CharRNN) -> None:
        chance = network.generator.get_state()
        parameters = [(id(p), p.data_ptr()) for p in network.parameters()]
        modes = [module.training for module in network.modules()]
        tensors(network)
        flow(network, 3, 4)
        if not config.bidirectional:
            walk(network, [1, 2])
        assert torch.equal(network.generator.get_state(), chance)
        assert [(id(p), p.data_ptr()) for p in network.parameters()] == parameters
        assert [module.training for module in network.modules()] == modes
        assert not any(module._forward_hooks for module in network.modules())

    assert losses(inspected=True) == losses(inspected=False)


def test_facts_are_plain_values() -> None:
    """They can be compared and written as JSON: nothing of torch is in them."""
    network = CharRNN(ModelConfig(cell="lstm", hidden=H), V, seed=4)

    def plain(value: object) -> bool:
        if isinstance(value, tuple):
            return all(map(plain, value))
        return value is None or type(value) in (str, int, float, bool)

    told: list[TensorFacts | FlowFacts | StepTrace] = []
    told += [*tensors(network), *flow(network, 2, 2), *walk(network, [1])]
    for facts in told:
        assert plain(astuple(facts)), facts
