"""The network equals torch.nn, keeps its own chance to itself, and carries its state."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import product
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from engine.config import Cell, Implementation, InputKind, ModelConfig
from engine.errors import ConfigError
from engine.model.cells import GATES
from engine.model.network import CharRNN, OneHotLayer, SeededDropout, State, detach

torch.set_num_threads(1)

CELLS: tuple[Cell, ...] = get_args(Cell)
INPUTS: tuple[InputKind, ...] = get_args(InputKind)
IMPLEMENTATIONS: tuple[Implementation, ...] = get_args(Implementation)
TORCH: dict[Cell, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
V, E, H, B, T = 11, 5, 6, 3, 7

each_cell = pytest.mark.parametrize("cell", CELLS)
each_input = pytest.mark.parametrize("kind", INPUTS)
each_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
each_depth = pytest.mark.parametrize("layers", [1, 2, 3])
each_direction = pytest.mark.parametrize("bidirectional", [False, True])


def network(seed: int = 1, **changes: Any) -> CharRNN:
    return CharRNN(
        ModelConfig(**{"embedding": E, "hidden": H, "dropout": 0.0, **changes}), V, seed=seed
    )


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def characters(seed: int = 2, batch: int = B, time: int = T) -> Tensor:
    return torch.randint(V, (batch, time), generator=seeded(seed))


def random_state(of: CharRNN, seed: int = 3, batch: int = B) -> State:
    generator = seeded(seed)
    return tuple(torch.randn(part.shape, generator=generator) for part in of.initial_state(batch))


def results(of: CharRNN, ids: Tensor, state: State) -> dict[str, Tensor]:
    """Output, final state, and every gradient, of a loss in which each entry weighs otherwise."""
    leaves = tuple(part.clone().requires_grad_() for part in state)
    logits, final = of(ids, leaves)
    found = {"logits": logits, **{f"final {k}": part for k, part in enumerate(final)}}
    weigh = seeded(4)
    loss = sum((torch.randn(part.shape, generator=weigh) * part).sum() for part in found.values())
    names = [f"state {k}" for k in range(len(leaves))] + [n for n, _ in of.named_parameters()]
    gradients = torch.autograd.grad(loss, [*leaves, *of.parameters()])
    found.update({f"gradient of {n}": g for n, g in zip(names, gradients, strict=True)})
    return found


# --- Equal to torch.nn --------------------------------------------------------------------------


@each_cell
@each_input
@each_depth
@each_direction
def test_fused_and_scratch_are_one_network(
    cell: Cell, kind: InputKind, layers: int, bidirectional: bool
) -> None:
    shape = {"cell": cell, "input": kind, "layers": layers, "bidirectional": bidirectional}
    fused = network(1, implementation="fused", **shape)
    scratch = network(2, implementation="scratch", **shape)
    scratch.load_state_dict(fused.state_dict())
    state = random_state(fused)
    torch.testing.assert_close(
        results(scratch, characters(), state),
        results(fused, characters(), state),
        rtol=1e-5,
        atol=1e-5,
    )


@each_cell
@each_depth
@each_direction
@each_implementation
def test_the_layers_in_a_row_are_one_torch_module_of_so_many_layers(
    cell: Cell, layers: int, bidirectional: bool, implementation: Implementation
) -> None:
    mine = network(
        cell=cell, layers=layers, bidirectional=bidirectional, implementation=implementation
    )
    reference = TORCH[cell](E, H, layers, batch_first=True, bidirectional=bidirectional)
    reference.load_state_dict(
        {
            name.replace("_l0", f"_l{index}"): value
            for index, layer in enumerate(mine.layers)
            for name, value in layer.state_dict().items()
        }
    )
    assert mine.embedding is not None
    ids, state = characters(), random_state(mine)

    logits, final = mine(ids, state)
    given = state if cell == "lstm" else state[0]
    output, last = reference(mine.embedding.weight[ids], given)

    torch.testing.assert_close(logits, mine.output(output), rtol=1e-5, atol=1e-5)
    expected = last if cell == "lstm" else (last,)
    torch.testing.assert_close(final, tuple(expected), rtol=1e-5, atol=1e-5)


@each_cell
@each_direction
def test_a_one_hot_layer_is_torch_on_vectors_of_zeros_and_a_one(
    cell: Cell, bidirectional: bool
) -> None:
    mine = network(cell=cell, input="one-hot", bidirectional=bidirectional)
    layer = mine.layers[0]
    assert isinstance(layer, OneHotLayer)
    reference = TORCH[cell](V, H, batch_first=True, bidirectional=bidirectional)
    renamed = {}
    for name, value in layer.state_dict().items():
        kind, reverse, _ = name.partition("_reverse")
        if kind == "input_rows":
            kind, value = "weight_ih", value.T.contiguous()
        renamed[f"{kind}_l0{reverse}"] = value
    reference.load_state_dict(renamed)
    ids, state = characters(), random_state(mine)

    output, final = layer(ids, state)
    given = state if cell == "lstm" else state[0]
    expected, last = reference(nn.functional.one_hot(ids, V).float(), given)

    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(output, expected, **close)
    torch.testing.assert_close(final, tuple(last) if cell == "lstm" else (last,), **close)
    weigh = torch.randn(output.shape, generator=seeded(5))
    (output * weigh).sum().backward()
    (expected * weigh).sum().backward()
    torch.testing.assert_close(
        layer.get_parameter("input_rows").grad, reference.weight_ih_l0.grad.T, **close
    )


@each_cell
def test_parameters_are_counted_as_the_docstring_says(cell: Cell) -> None:
    gates = GATES[cell]
    output = V * (H + 1)
    embedded = network(cell=cell, layers=3)
    assert sum(p.numel() for p in embedded.parameters()) == (
        V * E + gates * H * (E + H + 2) + 2 * gates * H * (2 * H + 2) + output
    )
    one_hot = network(cell=cell, input="one-hot")
    assert sum(p.numel() for p in one_hot.parameters()) == (
        V * gates * H + gates * H * (H + 2) + output
    )


# --- Initial weights ----------------------------------------------------------------------------


@each_cell
@each_input
def test_initial_weights_depend_on_the_seed_alone(cell: Cell, kind: InputKind) -> None:
    def weights(seed: int, implementation: Implementation) -> list[Tensor]:
        torch.rand(7)  # moves torch's global generator on, which must not matter
        made = network(seed, cell=cell, input=kind, layers=2, implementation=implementation)
        return list(made.state_dict().values())

    first = weights(5, "fused")
    assert all(map(torch.equal, first, weights(5, "fused")))
    assert all(map(torch.equal, first, weights(5, "scratch")))
    assert not any(map(torch.equal, first, weights(6, "fused")))


@each_cell
def test_initial_weights_have_the_distributions_of_torch(cell: Cell) -> None:
    wide = CharRNN(ModelConfig(cell=cell, embedding=64, hidden=100), 400)
    for name, parameter in wide.named_parameters():
        if name == "embedding.weight":
            assert parameter.std().item() == pytest.approx(1.0, abs=0.03)
        else:
            assert 0.08 < parameter.abs().max().item() <= 1 / math.sqrt(100), name


def test_a_vocabulary_without_a_character_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one character"):
        CharRNN(ModelConfig(), 1)


# --- Dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("time_first", [False, True])
def test_dropout_zeroes_its_share_and_keeps_the_mean(
    precision: torch.dtype, time_first: bool
) -> None:
    drop = SeededDropout(0.3)
    drop.generator = seeded(6)
    ones = torch.ones(400, 500, dtype=precision)
    kept = drop.train()(ones.t() if time_first else ones)
    # 200,000 draws: the share's standard error is 0.001.
    share = (kept == 0).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.006)
    (growth,) = kept[kept != 0].unique().tolist()
    assert growth == pytest.approx(1 / 0.7, rel=0.004)  # as near as bfloat16 has it
    assert kept.float().mean().item() == pytest.approx(1, abs=0.008)


@each_input
@each_implementation
def test_masks_come_from_the_networks_own_generator(
    kind: InputKind, implementation: Implementation
) -> None:
    def run(seed: int) -> Tensor:
        made = network(dropout=0.5, layers=2, input=kind, implementation=implementation)
        made.to_device(torch.device("cpu"))
        made.generator.manual_seed(seed)
        torch.rand(1)  # moves torch's global generator on, which must not matter
        first, second = made.train()(characters())[0], made(characters())[0]
        assert not torch.equal(first, second)  # a new mask in every pass
        return torch.stack([first, second])

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_a_network_that_was_never_moved_uses_its_own_generator_too() -> None:
    def run(global_seed: int) -> Tensor:
        made = network(dropout=0.5)
        made.generator.manual_seed(1)
        torch.manual_seed(global_seed)
        return made.train()(characters())[0]

    assert torch.equal(run(1), run(2))


def test_dropout_is_off_in_evaluation_and_at_probability_zero() -> None:
    dropping, plain = network(dropout=0.5, layers=2), network(layers=2)
    assert torch.equal(dropping.eval()(characters())[0], plain.train()(characters())[0])
    assert not torch.equal(dropping.train()(characters())[0], plain(characters())[0])


def test_networks_side_by_side_in_threads_do_not_disturb_each_other() -> None:
    def run(seed: int) -> list[Tensor]:
        torch.set_num_threads(1)
        made = network(seed, cell="lstm", dropout=0.5, layers=2)
        made.to_device(torch.device("cpu"))
        made.generator.manual_seed(seed)
        made.train()
        return [made(characters(seed))[0].detach() for _ in range(40)]

    alone = {seed: run(seed) for seed in (1, 2)}
    together: dict[int, list[Tensor]] = {}
    start = threading.Barrier(2)

    def work(seed: int) -> None:
        start.wait()
        together[seed] = run(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        assert all(map(torch.equal, together[seed], alone[seed]))


# --- The state ----------------------------------------------------------------------------------


@each_cell
@each_input
@each_implementation
@each_depth
def test_two_halves_with_the_state_carried_equal_the_whole(
    cell: Cell, kind: InputKind, implementation: Implementation, layers: int
) -> None:
    made = network(cell=cell, input=kind, implementation=implementation, layers=layers).eval()
    ids = characters()
    whole, whole_final = made(ids)
    first, middle = made(ids[:, :3])
    second, final = made(ids[:, 3:], middle)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(final, whole_final, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(made(ids[:, 3:])[0], second, atol=1e-3)  # the state does matter


@each_cell
@each_direction
def test_no_state_is_a_state_of_zeros_of_the_named_shape(cell: Cell, bidirectional: bool) -> None:
    made = network(cell=cell, layers=2, bidirectional=bidirectional)
    zeros = made.initial_state(B)
    assert len(zeros) == (2 if cell == "lstm" else 1)
    assert all(part.shape == (4 if bidirectional else 2, B, H) for part in zeros)
    assert all(not part.any() for part in zeros)
    assert torch.equal(made(characters())[0], made(characters(), zeros)[0])


@each_cell
def test_a_given_state_is_left_as_it_was_and_detaching_cuts_its_history(cell: Cell) -> None:
    made = network(cell=cell, layers=2)
    state = random_state(made)
    copies = [part.clone() for part in state]
    _, after = made(characters(), state)
    assert all(map(torch.equal, state, copies))
    assert all(part.requires_grad for part in after)
    assert not any(part.requires_grad for part in detach(after))
    assert all(map(torch.equal, detach(after), after))


@each_cell
def test_rows_of_a_batch_do_not_see_each_other(cell: Cell) -> None:
    made = network(cell=cell, layers=2)
    ids, state = characters(), random_state(made)
    together, _ = made(ids, state)
    for row in range(B):
        alone, _ = made(ids[row : row + 1], tuple(part[:, row : row + 1] for part in state))
        torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-5)


# --- bfloat16 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "kind", "implementation", "layers", "bidirectional"),
    list(product(CELLS, INPUTS, IMPLEMENTATIONS, [1, 2], [False, True])),
)
def test_autocast_to_bf16_runs_and_keeps_the_state_in_float32(
    cell: Cell, kind: InputKind, implementation: Implementation, layers: int, bidirectional: bool
) -> None:
    made = network(
        cell=cell,
        input=kind,
        implementation=implementation,
        layers=layers,
        bidirectional=bidirectional,
        dropout=0.2,
    )
    state = None
    for _ in range(2):  # the second pass starts from the state of the first
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, state = made.train()(characters(), state)
        assert logits.shape == (B, T, V)
        assert logits.isfinite().all()
        assert {part.dtype for part in state} == {torch.float32}
        state = detach(state)
    logits.float().square().mean().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32, name

    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, _ = made.eval()(characters())
    exact, _ = made(characters())
    torch.testing.assert_close(rough.float(), exact, rtol=0, atol=0.05)


# --- Tied output --------------------------------------------------------------------------------


@each_cell
def test_a_tied_output_is_the_embedding_seen_from_the_state(cell: Cell) -> None:
    made = network(cell=cell, output="tied").eval()
    ids = characters()
    features, _ = made.features(ids)
    weights = made.state_dict()
    rows, bias = weights["embedding.weight"], weights["output.bias"]
    expected = features @ weights["output.projection"].T @ rows.T + bias
    torch.testing.assert_close(made(ids)[0], expected)
    assert "output.weight" not in weights
    assert weights["output.projection"].shape == (E, H)


@pytest.mark.parametrize("output", ["full", "tied"])
@each_cell
def test_the_loss_is_that_of_the_logits(cell: Cell, output: str) -> None:
    made = network(cell=cell, output=output).eval()
    ids, targets, state = characters(5), characters(6), random_state(made)
    total, after = made.loss(ids, targets, state)
    logits, expected_state = made(ids, state)
    expected = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(after, expected_state)
    found = torch.autograd.grad(total, list(made.parameters()))
    simple = torch.autograd.grad(expected, list(made.parameters()))
    torch.testing.assert_close(found, simple)


def test_one_hot_input_has_nothing_to_tie_the_output_to() -> None:
    with pytest.raises(ConfigError, match=r"one-hot input lacks"):
        network(input="one-hot", output="tied")
