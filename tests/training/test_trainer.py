"""The training step: it learns, it repeats, and what cannot be applied changes nothing."""

from __future__ import annotations

import math
import threading
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.config import Cell, ModelConfig, Optimizer, TrainingConfig
from engine.errors import CheckpointError
from engine.training.batches import Batches
from engine.training.plan import learning_rate, make_plan
from engine.training.trainer import StepReport, Trainer

torch.set_num_threads(1)

CELLS = get_args(Cell)
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
V = 6
REPETITIVE = np.tile(np.array([1, 2, 3, 4, 5], np.uint16), 60)

each_cell = pytest.mark.parametrize("cell", CELLS)
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def trainer(ids: np.ndarray = REPETITIVE, **changes: Any) -> Trainer:
    model = {"embedding": 4, "hidden": 12, "dropout": 0.0}
    model.update({k: changes.pop(k) for k in list(changes) if k in ModelConfig.model_fields})
    values = {"batch": 4, "time_steps": 8, "steps": 60, "learning_rate": 0.02, "warm_up": 0.0}
    values |= {"optimizer": "adamw", "weight_decay": 0.01}
    precision = changes.pop("precision", "fp32")
    config = TrainingConfig(model=ModelConfig(**model), **{**values, **changes})
    plan = make_plan(
        config,
        batch=config.batch,
        time_steps=config.time_steps,
        batches_per_epoch=(len(ids) - 1) // (config.batch * config.time_steps),
        held_out_characters=0,
        steps=config.steps or 1,
        precision=precision,
        threads=1,
    )
    return Trainer(config, plan, V, ids, torch.device("cpu"))


def run(of: Trainer, steps: int) -> list[StepReport]:
    return [of.step() for _ in range(steps)]


def weights(of: Trainer) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in of.network.named_parameters()}


def everything(of: Trainer) -> dict[str, Tensor]:
    """All that decides what comes next, as a checkpoint keeps it."""
    kept = {name: value.detach().clone() for name, value in of.tensors().items()}
    kept.update(weights(of))
    kept["numbers"] = torch.tensor([of.step_count, of.rate_scale])
    return kept


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


# --- Learning -----------------------------------------------------------------------------------


@each_cell
@pytest.mark.parametrize("kind", ["embedding", "one-hot"])
@pytest.mark.parametrize("sampling", ["adjacent", "random"])
def test_a_repetitive_text_is_learnt(cell: Cell, kind: str, sampling: str) -> None:
    reports = run(trainer(cell=cell, input=kind, sampling=sampling), 60)
    assert reports[0].loss == pytest.approx(math.log(V), abs=0.4)  # knows nothing yet
    assert reports[-1].loss < 0.35
    assert [report.step for report in reports] == list(range(1, 61))
    assert all(report.applied for report in reports)


@each_optimizer
def test_every_optimizer_learns(optimizer: Optimizer) -> None:
    rate = 2.0 if optimizer == "sgd" else 0.02
    reports = run(trainer(optimizer=optimizer, learning_rate=rate), 60)
    assert reports[-1].loss < 0.5 * reports[0].loss


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_several_layers_dropout_and_both_directions_learn(precision: str) -> None:
    shape = {"layers": 2, "dropout": 0.1, "bidirectional": True, "precision": precision}
    reports = run(trainer(**shape), 60)
    assert reports[-1].loss < 0.5 * reports[0].loss


def test_the_loss_is_the_mean_over_the_batch_before_the_update() -> None:
    made = trainer()
    batch = made.batches[0]
    logits, _ = made.network(torch.from_numpy(batch.inputs))
    expected = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten())
    assert made.step().loss == pytest.approx(expected.item(), abs=1e-6)


@each_cell
def test_adjacent_batches_carry_the_state_and_random_ones_do_not(cell: Cell) -> None:
    for sampling in ("adjacent", "random"):
        made = trainer(cell=cell, sampling=sampling)
        made.step()
        batch, state = made.batches[1], made.state
        assert state is not None
        assert not any(part.requires_grad for part in state)  # truncated: no history
        ids, targets = torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets).flatten()
        warm, cold = (
            F.cross_entropy(made.network(ids, start)[0].flatten(0, 1), targets).item()
            for start in (state, None)
        )
        assert abs(warm - cold) > 1e-4
        expected = warm if sampling == "adjacent" else cold
        assert made.step().loss == pytest.approx(expected, abs=1e-6)


def test_an_epoch_starts_from_zero() -> None:
    made = trainer()
    per_epoch = made.batches.per_epoch
    run(made, per_epoch)
    batch = made.batches[per_epoch]
    logits, _ = made.network(torch.from_numpy(batch.inputs))
    expected = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten())
    assert made.epoch == 1.0
    assert made.step().loss == pytest.approx(expected.item(), abs=1e-6)


# --- The update ---------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [0.001, 0.05])
def test_clipping_bounds_the_update_and_keeps_its_direction(clip: float) -> None:
    free = trainer(optimizer="sgd", learning_rate=1.0, clip_norm=0, schedule="constant")
    clipped = trainer(optimizer="sgd", learning_rate=1.0, clip_norm=clip, schedule="constant")
    before = weights(free)
    report = free.step()
    assert report.gradient_norm > clip
    assert clipped.step().gradient_norm == pytest.approx(report.gradient_norm)  # told unclipped

    def update(of: Trainer) -> Tensor:
        return torch.cat([(weights(of)[name] - old).flatten() for name, old in before.items()])

    whole, small = update(free), update(clipped)
    assert whole.norm().item() == pytest.approx(report.gradient_norm, rel=1e-3)
    assert small.norm().item() == pytest.approx(clip, rel=1e-2)
    assert F.cosine_similarity(whole, small, dim=0).item() == pytest.approx(1, abs=1e-4)


def test_a_gradient_below_the_norm_is_not_touched() -> None:
    free, clipped = (
        trainer(optimizer="sgd", learning_rate=1.0, clip_norm=norm) for norm in (0, 1e6)
    )
    free.step()
    clipped.step()
    torch.testing.assert_close(weights(clipped), weights(free))


def test_adamw_decays_matrices_only() -> None:
    decaying = trainer(optimizer="adamw", weight_decay=0.5)
    plain = trainer(optimizer="adamw", weight_decay=0.0)
    start = weights(plain)
    rate = plain.step().learning_rate
    decaying.step()
    for name, value in weights(plain).items():
        expected = value - rate * 0.5 * start[name] if value.ndim > 1 else value
        torch.testing.assert_close(weights(decaying)[name], expected, msg=name)


def test_the_rate_is_that_of_the_schedule_times_the_scale() -> None:
    made = trainer(warm_up=0.2)
    made.rate_scale = 0.5
    for step in range(20):
        ahead = made.learning_rate()
        report = made.step()
        assert report.learning_rate == ahead
        assert ahead == pytest.approx(0.5 * learning_rate(made.config, made.plan, step))


def test_a_doubled_rate_doubles_the_step_of_gradient_descent() -> None:
    single, double = trainer(optimizer="sgd"), trainer(optimizer="sgd")
    double.rate_scale = 2.0
    start = weights(single)
    single.step()
    double.step()
    for name, old in start.items():
        torch.testing.assert_close(
            weights(double)[name] - old, 2 * (weights(single)[name] - old), rtol=1e-2, atol=1e-6
        )


# --- What cannot be applied ---------------------------------------------------------------------


def poison_loss(of: Trainer) -> None:
    with torch.no_grad():
        of.network.output.bias[2] = math.nan


def poison_gradient(of: Trainer) -> None:
    """The loss stays ln V, the gradient of the hidden state is beyond float32."""
    with torch.no_grad():
        for parameter in of.network.parameters():
            parameter.zero_()
        of.network.output.weight.copy_(torch.full((V, 12), 1e30) * torch.arange(1, V + 1)[:, None])


@each_cell
@each_optimizer
@pytest.mark.parametrize("poison", [poison_loss, poison_gradient])
def test_a_step_that_is_not_finite_changes_nothing(
    cell: Cell, optimizer: Optimizer, poison: Any
) -> None:
    made = trainer(cell=cell, optimizer=optimizer)
    run(made, 3)
    poison(made)
    before = everything(made)

    report = made.step()

    assert not report.applied
    assert math.isfinite(report.loss) == (poison is poison_gradient)
    assert report.step == 3
    after = everything(made)
    assert after.keys() == before.keys()
    for name, value in before.items():  # NaN is equal to NaN here
        torch.testing.assert_close(after[name], value, rtol=0, atol=0, equal_nan=True, msg=name)


def test_training_goes_on_from_good_weights_after_a_bad_step() -> None:
    made, untroubled = trainer(dropout=0.3), trainer(dropout=0.3)
    run(made, 3)
    good = weights(made)
    poison_loss(made)
    assert not made.step().applied
    made.network.load_state_dict(good)
    assert [r.loss for r in run(made, 5)] == [r.loss for r in run(untroubled, 8)[3:]]


# --- Repeating ----------------------------------------------------------------------------------


@each_cell
@pytest.mark.parametrize("sampling", ["adjacent", "random"])
def test_a_seed_is_a_run(cell: Cell, sampling: str) -> None:
    def losses(seed: int) -> list[float]:
        torch.rand(3)  # torch's global generator must not matter
        made = trainer(cell=cell, sampling=sampling, dropout=0.3, layers=2, seed=seed)
        return [report.loss for report in run(made, 25)]

    assert losses(7) == losses(7)
    assert losses(7) != losses(8)


def test_another_seed_changes_batches_weights_and_masks() -> None:
    ids = np.random.default_rng(0).integers(1, V, 2000).astype(np.uint16)
    first, second = trainer(ids, seed=1), trainer(ids, seed=2)
    assert not np.array_equal(first.batches[0].inputs, second.batches[0].inputs)
    assert not same(weights(first), weights(second))
    second.network.load_state_dict(first.network.state_dict())
    for made, config_seed in ((first, 1), (second, 2)):
        made.batches = Batches(ids, 4, 8, "adjacent", 1)  # the same text before both
        made.config = made.config.changed(seed=config_seed)
        made.network.dropout.probability = 0.5
    assert first.step().loss != second.step().loss  # only the masks differ now


def test_masks_differ_from_step_to_step() -> None:
    made = trainer(np.ones(300, np.uint16), dropout=0.5, sampling="random", learning_rate=1e-30)
    losses = [report.loss for report in run(made, 10)]  # one text, one network: only masks change
    assert len(set(losses)) == 10


@each_cell
@each_optimizer
@pytest.mark.parametrize("sampling", ["adjacent", "random"])
def test_loaded_at_any_step_it_goes_on_as_if_it_had_never_stopped(
    cell: Cell, optimizer: Optimizer, sampling: str
) -> None:
    shape = {"cell": cell, "optimizer": optimizer, "sampling": sampling, "dropout": 0.3}
    whole = trainer(**shape)
    for stop in (0, 1, 9):
        run(whole, stop - whole.step_count)
        kept = everything(whole)
        resumed = trainer(**shape)
        run(resumed, 4)  # has been somewhere else, which must leave no trace
        resumed.load(weights(whole), whole.tensors(), whole.step_count, whole.rate_scale)
        assert same(everything(resumed), kept)
    assert [r.loss for r in run(resumed, 12)] == [r.loss for r in run(whole, 12)]
    assert same(everything(resumed), everything(whole))


def test_another_networks_tensors_are_refused() -> None:
    other = trainer(hidden=5)
    with pytest.raises(CheckpointError, match="do not fit this run's network"):
        trainer().load(weights(other), other.tensors(), 0, 1.0)


def test_trainers_side_by_side_in_threads_do_not_disturb_each_other() -> None:
    def losses(seed: int) -> list[float]:
        torch.set_num_threads(1)
        made = trainer(cell="lstm", dropout=0.4, seed=seed)
        return [report.loss for report in run(made, 40)]

    alone = {seed: losses(seed) for seed in (1, 2)}
    together: dict[int, list[float]] = {}
    start = threading.Barrier(2)

    def work(seed: int) -> None:
        start.wait()
        together[seed] = losses(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
