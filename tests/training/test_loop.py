"""The course of a run: what happens when, and that stopping anywhere changes nothing."""

from __future__ import annotations

import json
import math
import random
import shutil
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from engine.config import Cell
from engine.errors import CheckpointError, ConfigError
from engine.events import Checkpointed, Evaluated, Finished, RunState, StateChanged, Warned
from engine.training import checkpoint, prepare
from engine.training.evaluation import stateful
from engine.training.loop import Happening, SampleDue, TrainingLoop
from engine.training.run import Run
from engine.training.trainer import Trainer

CELLS = get_args(Cell)
each_cell = pytest.mark.parametrize("cell", CELLS)
# A rate at which this network overshoots: the held-out loss soon gets worse.
OVERSHOOTING = {"learning_rate": 0.5, "schedule": "constant", "dropout": 0.0}


def of_kind(happened: list[Happening], kind: Any) -> list[Any]:
    return [event for event in happened if isinstance(event, kind)]


def steps_on_disk(run: Run) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in checkpoint.listed(run.checkpoints)]


def newest(run: Run) -> Path:
    return checkpoint.listed(run.checkpoints)[-1]


def strict(line: str) -> dict[str, Any]:
    """A line of JSON as every reader takes it: NaN and Infinity are Python's own."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON: {line}")

    found: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return found


def outcome(run: Run) -> dict[str, Any]:
    """All that a run comes to, but for the time that it took."""
    last = newest(run)
    manifest = checkpoint.read_manifest(last)
    return {
        "weights": (last / "model.safetensors").read_bytes(),
        "trainer": (last / "trainer.safetensors").read_bytes(),
        "metrics": run.metrics_path.read_bytes(),
        "progress": manifest.progress.changed(seconds=0.0),
    }


def told_at_the_end(happened: list[Happening]) -> dict[str, Any]:
    (finished,) = of_kind(happened, Finished)
    return {
        "step": finished.step,
        "loss": finished.loss,
        "held_out_loss": finished.held_out_loss,
        "reason": finished.reason,
    }


# --- The order of things ------------------------------------------------------------------------


def test_everything_comes_in_its_turn(workshop: Any) -> None:
    run = workshop.new_run(steps=12, evaluate_every=5, checkpoint_every=4, sample_every=6)
    loop = workshop.loop(run)
    happened = workshop.finish(loop)

    assert [event.step for event in of_kind(happened, Evaluated)] == [5, 10, 12]
    assert [event.step for event in of_kind(happened, SampleDue)] == [6, 12]
    saved = [event.step for event in of_kind(happened, Checkpointed)]
    assert {0, 4, 8, 12} <= set(saved)
    assert saved == sorted(saved)
    dated = [event.step for event in happened if hasattr(event, "step")]
    assert dated == sorted(dated)
    assert not of_kind(happened, Warned)

    *_, closing_state, finished = happened
    assert closing_state == StateChanged(RunState.FINISHED)
    assert isinstance(finished, Finished)
    assert (finished.step, finished.run) == (12, run.path)
    assert finished.reason == "every step of the plan is done"


def test_states_are_told_when_they_change_and_only_then(workshop: Any) -> None:
    happened = workshop.finish(workshop.loop(workshop.new_run()))
    states = [event.state for event in of_kind(happened, StateChanged)]
    assert all(before != after for before, after in pairwise([RunState.TRAINING, *states]))
    assert set(states) == {RunState.EVALUATING, RunState.TRAINING, RunState.FINISHED}
    state = RunState.TRAINING
    for event in happened:
        if isinstance(event, StateChanged):
            state = event.state
        if isinstance(event, Evaluated):
            assert state is RunState.EVALUATING


def test_a_new_best_is_saved_at_once_and_whole_when_it_is_told(workshop: Any) -> None:
    loop = workshop.loop(workshop.new_run())
    best = math.inf
    while not loop.state.ended:
        happened = loop.advance()
        for event in of_kind(happened, Checkpointed):
            assert checkpoint.read(event.path).manifest.progress.step == event.step
        for event in of_kind(happened, Evaluated):
            assert event.best == (event.loss < best)
            best = min(best, event.loss)
            assert bool(of_kind(happened, Checkpointed)) == event.best
    assert best < math.inf


def test_the_log_has_every_point_once_and_in_order(workshop: Any) -> None:
    run = workshop.trained(steps=12, evaluate_every=5)
    points = [strict(line) for line in run.metrics_path.read_text().splitlines()]
    trained = [point for point in points if "loss" in point]
    held_out = [point for point in points if "held_out_loss" in point]
    assert [point["step"] for point in trained] == list(range(1, 13))
    assert [point["step"] for point in held_out] == [5, 10, 12]
    assert [point["step"] for point in points] == sorted(point["step"] for point in points)
    for point in points:
        loss = point.get("loss", point.get("held_out_loss"))
        assert point["perplexity"] == pytest.approx(math.exp(loss))
        assert point["bits_per_character"] == pytest.approx(loss / math.log(2))


def test_a_point_of_a_long_run_is_the_mean_since_the_one_before(workshop: Any) -> None:
    loop = workshop.loop(workshop.new_run(evaluate_every=24))
    loop.plan = loop.plan.changed(log_every=5)
    losses: list[float] = []
    step = loop.trainer.step

    def remembered() -> Any:
        report = step()
        losses.append(report.loss)
        return report

    loop.trainer.step = remembered
    workshop.finish(loop)
    points = [point for point in loop.run.metrics() if "loss" in point]
    assert [point["step"] for point in points] == [5, 10, 15, 20, 24]
    for first, point in zip(range(0, 24, 5), points, strict=True):
        assert point["loss"] == pytest.approx(statistics.fmean(losses[first : first + 5]))


def test_without_held_out_text_it_trains_and_keeps_the_last_weights(workshop: Any) -> None:
    run = workshop.new_run(held_out=0.0)
    loop = workshop.loop(run)
    happened = workshop.finish(loop)
    assert not of_kind(happened, Evaluated)
    assert of_kind(happened, Finished)[0].held_out_loss is None
    last = checkpoint.read(newest(run)).weights
    assert all(torch.equal(last[n], w) for n, w in loop.trainer.network.state_dict().items())


def test_evaluations_leave_the_training_untouched(workshop: Any) -> None:
    """The losses with an evaluation after every step are those without one, bit for bit."""
    often = workshop.trained("often", evaluate_every=1, checkpoint_every=1, sample_every=1)
    never = workshop.trained("never", evaluate_every=24, checkpoint_every=24, sample_every=24)

    def losses(run: Run) -> list[tuple[float, float]]:
        return [(p["loss"], p["gradient_norm"]) for p in run.metrics() if "loss" in p]

    assert len(losses(often)) == 24
    assert losses(often) == losses(never)


# --- The best weights ---------------------------------------------------------------------------


def held_out_loss(loop: TrainingLoop) -> float:
    return list(stateful(loop.trainer.network, loop.run.ids("held_out")))[-1].loss


def test_it_stops_early_and_ends_with_the_best_weights(workshop: Any) -> None:
    run = workshop.new_run(steps=500, evaluate_every=2, patience=3, **OVERSHOOTING)
    loop = workshop.loop(run)
    happened = workshop.finish(loop)

    evaluated = of_kind(happened, Evaluated)
    best = min(evaluated, key=lambda event: event.loss)
    (finished,) = of_kind(happened, Finished)
    assert loop.state is RunState.FINISHED
    assert finished.step == best.step + 3 * 2 < 500
    assert "3 evaluations" in finished.reason
    assert [event.best for event in evaluated[-3:]] == [False] * 3

    assert finished.held_out_loss == best.loss
    assert held_out_loss(loop) == pytest.approx(best.loss, abs=1e-6)
    assert finished.perplexity == pytest.approx(math.exp(best.loss))
    kept = checkpoint.read(run.checkpoints / checkpoint.name_of(best.step)).weights
    now = loop.trainer.network.state_dict()
    assert all(torch.equal(kept[name], now[name]) for name in kept)
    assert finished.step in steps_on_disk(run)  # where the run itself stands


def test_patience_zero_never_stops_early(workshop: Any) -> None:
    run = workshop.new_run(steps=60, evaluate_every=2, patience=0, **OVERSHOOTING)
    happened = workshop.finish(workshop.loop(run))
    assert of_kind(happened, Finished)[0].step == 60


def test_the_last_ones_and_the_best_are_kept(workshop: Any) -> None:
    run = workshop.new_run(
        steps=40, evaluate_every=2, checkpoint_every=3, keep_checkpoints=2, **OVERSHOOTING
    )
    happened = workshop.finish(workshop.loop(run))
    saved = sorted({event.step for event in of_kind(happened, Checkpointed)})
    best = min(of_kind(happened, Evaluated), key=lambda event: event.loss).step
    assert best < saved[-2]
    assert steps_on_disk(run) == [best, *saved[-2:]]
    assert all(checkpoint.read(path) for path in checkpoint.listed(run.checkpoints))


# --- Stopping and going on ----------------------------------------------------------------------


def interrupted(
    workshop: Any,
    run: Run,
    rng: random.Random,
    prepared: Callable[[TrainingLoop], None],
    saving: float,
) -> tuple[list[Happening], int]:
    """Trains to the end in sittings that stop after a random number of pieces, a share of them
    having saved. Returns what the last sitting told, and how many there were."""
    for sitting in range(1, 500):
        loop = workshop.loop(run)
        prepared(loop)
        happened: list[Happening] = []
        for _ in range(rng.randrange(1, 30)):
            happened += loop.advance()
            if loop.state.ended:
                return happened, sitting
        if rng.random() < saving:
            loop.save()
        loop.close()
    raise AssertionError("500 sittings and no end")


def compare_with_interrupted(
    workshop: Any,
    seed: int,
    trials: int,
    prepared: Callable[[TrainingLoop], None] = lambda loop: None,
    saving: float = 0.5,
    **shape: Any,
) -> None:
    rng = random.Random(seed)
    reference = workshop.new_run("uninterrupted", **shape)
    loop = workshop.loop(reference)
    prepared(loop)
    expected_end = told_at_the_end(workshop.finish(loop))
    expected, sittings = outcome(reference), 0
    for trial in range(trials):
        run = workshop.new_run(f"interrupted {trial}", **shape)
        happened, count = interrupted(workshop, run, rng, prepared, saving)
        sittings += count
        assert outcome(run) == expected
        assert told_at_the_end(happened) == expected_end
    assert sittings > trials  # something was interrupted


@each_cell
@pytest.mark.parametrize("sampling", ["adjacent", "random"])
def test_stopped_anywhere_it_comes_to_the_same(
    workshop: Any, seed: int, cell: str, sampling: str
) -> None:
    compare_with_interrupted(workshop, seed, trials=4, cell=cell, sampling=sampling, layers=2)


def test_stopped_at_every_piece_it_comes_to_the_same(workshop: Any) -> None:
    shape = {"steps": 7, "evaluate_every": 3, "checkpoint_every": 2, "sample_every": 4}
    reference = workshop.trained("uninterrupted", **shape)
    run = workshop.new_run("step by step", **shape)
    sittings = 0
    while True:
        loop = workshop.loop(run)
        loop.advance()
        # An evaluation has several pieces and begins anew in each sitting.
        while loop.state is RunState.EVALUATING:
            loop.advance()
        if loop.state.ended:
            break
        loop.save()
        loop.close()
        sittings += 1
    assert sittings > 7
    assert outcome(run) == outcome(reference)


def test_stopped_anywhere_it_stops_early_at_the_same_step(workshop: Any, seed: int) -> None:
    shape = {"steps": 500, "evaluate_every": 2, "patience": 3, **OVERSHOOTING}
    compare_with_interrupted(workshop, seed, trials=4, **shape)


def test_a_run_that_has_ended_ends_again_with_the_same_figures(workshop: Any) -> None:
    run = workshop.new_run()
    first = told_at_the_end(workshop.finish(workshop.loop(run)))
    before = outcome(run)
    loop = workshop.loop(run)
    assert told_at_the_end(workshop.finish(loop)) == first
    assert outcome(run) == before
    assert held_out_loss(loop) == pytest.approx(first["held_out_loss"], abs=1e-6)


def test_the_time_of_all_sittings_is_counted(workshop: Any) -> None:
    run = workshop.new_run()
    first = workshop.loop(run)
    workshop.advance_to(first, 10)
    first.save()
    second = workshop.loop(run)
    assert second.progress.seconds == first.progress.seconds > 0
    (finished,) = of_kind(workshop.finish(second), Finished)
    assert finished.seconds > first.progress.seconds
    assert finished.characters_per_second > 0


def test_saving_twice_writes_once(workshop: Any) -> None:
    run = workshop.new_run()
    loop = workshop.loop(run)
    workshop.advance_to(loop, 6)
    (saved,) = loop.save()
    assert saved == Checkpointed(6, run.checkpoints / "step-000000006")
    before = (saved.path / "manifest.json").stat()
    assert loop.save() == []
    after = (saved.path / "manifest.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    loop.advance()
    assert of_kind(loop.save(), Checkpointed) or newest(run).name > "step-000000006"


def test_a_fresh_run_can_be_saved_and_resumed_before_its_first_step(workshop: Any) -> None:
    run = workshop.new_run()
    assert [event.step for event in workshop.loop(run).save()] == [0]
    assert workshop.loop(run).progress.step == 0


def test_the_snapshot_has_the_figures_of_now(workshop: Any) -> None:
    loop = workshop.loop(workshop.new_run())
    start = loop.snapshot()
    assert (start.step, start.total_steps, start.loss, start.seconds_left) == (0, 24, None, None)
    workshop.advance_to(loop, 9)
    now = loop.snapshot(RunState.PAUSED)
    assert (now.state, now.step) == (RunState.PAUSED, 9)
    assert now.loss == loop.run.metrics()[-1]["loss"]
    assert now.perplexity == pytest.approx(math.exp(now.loss))
    assert now.held_out_loss == now.best_held_out_loss
    assert now.epoch == pytest.approx(9 / loop.plan.batches_per_epoch)
    assert now.seconds_left is not None
    assert now.characters_per_second is not None


# --- The learning rate --------------------------------------------------------------------------


def test_a_rate_that_was_set_holds_from_the_next_step_and_over_a_resume(workshop: Any) -> None:
    run = workshop.new_run(schedule="constant", warm_up=0)
    loop = workshop.loop(run)
    workshop.advance_to(loop, 6)
    loop.set_learning_rate(0.0125)
    assert loop.snapshot().learning_rate == pytest.approx(0.0125)
    assert of_kind(loop.save(), Checkpointed)
    resumed = workshop.loop(run)
    workshop.advance_to(resumed, 7)
    assert resumed.run.metrics()[-1]["learning_rate"] == pytest.approx(0.0125)


@pytest.mark.parametrize("rate", [0.0, -0.1, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(workshop: Any, rate: float) -> None:
    """Taken, it would go into every checkpoint from now on, and none of them could be read."""
    loop = workshop.loop(workshop.new_run())
    before = loop.trainer.learning_rate()
    with pytest.raises(ConfigError, match="rate"):
        loop.set_learning_rate(rate)
    assert loop.trainer.learning_rate() == before


# --- Divergence ---------------------------------------------------------------------------------

When = Callable[[Trainer], bool]


def poison(
    loop: TrainingLoop,
    *,
    before: When | None = None,
    after: When | None = None,
    value: float = math.nan,
) -> None:
    """Makes weights NaN, or another value, before (or after) the steps that are chosen."""
    step = loop.trainer.step

    def spoil(chosen: When | None) -> None:
        if chosen is not None and chosen(loop.trainer):
            with torch.no_grad():
                loop.trainer.network.output.weight[1] = value

    def poisoned() -> Any:
        spoil(before)
        report = step()
        spoil(after)
        return report

    loop.trainer.step = poisoned  # type: ignore[method-assign]


def once(trainer: Trainer) -> bool:
    """At step 10, but not again at half the rate."""
    return trainer.step_count == 10 and trainer.rate_scale == 1.0


def finite(loop: TrainingLoop) -> bool:
    return all(p.isfinite().all() for p in loop.trainer.network.parameters())


def test_a_loss_that_is_not_finite_goes_back_once_at_half_the_rate(workshop: Any) -> None:
    run = workshop.new_run(schedule="constant", warm_up=0, evaluate_every=24)
    loop = workshop.loop(run)
    poison(loop, before=once)
    happened = workshop.finish(loop)

    (warned,) = of_kind(happened, Warned)
    assert "loss is not a finite number at step 11" in warned.message
    assert "back to step 8" in warned.message
    assert loop.state is RunState.FINISHED
    assert finite(loop)
    points = [point for point in run.metrics() if "loss" in point]
    assert [point["step"] for point in points] == list(range(1, 25))  # the log went back too
    rates = [point["learning_rate"] for point in points]
    assert rates[8:] == pytest.approx([rates[0] / 2] * 16)
    assert rates[:8] == pytest.approx([rates[0]] * 8)


@pytest.mark.parametrize("held_out", [0.3, 0.0])
def test_the_second_time_it_ends_with_the_last_good_weights(workshop: Any, held_out: float) -> None:
    run = workshop.new_run(held_out=held_out, evaluate_every=4, keep_checkpoints=1)
    loop = workshop.loop(run)
    poison(loop, after=lambda trainer: trainer.step_count == 10)
    happened = workshop.finish(loop)

    first, second = of_kind(happened, Warned)
    assert "back to step 8" in first.message
    assert "for the second time" in second.message
    assert loop.state is RunState.DIVERGED
    *_, closing_state, finished = happened
    assert closing_state == StateChanged(RunState.DIVERGED)
    assert isinstance(finished, Finished)
    assert finished.reason == second.message
    assert finite(loop)
    best = run.best_checkpoint([])
    assert best is not None
    assert all(weight.isfinite().all() for weight in best.weights.values())


def test_going_back_comes_to_the_same_however_often_the_process_ends(
    workshop: Any, seed: int
) -> None:
    """Without saving: one more checkpoint would be one more that can be gone back to."""
    compare_with_interrupted(
        workshop, seed, trials=5, prepared=lambda loop: poison(loop, after=once), saving=0.0
    )


@pytest.mark.parametrize("value", [math.nan, 3e38])
def test_it_goes_back_past_a_checkpoint_that_holds_the_bad_weights(
    workshop: Any, value: float
) -> None:
    """The update before made the weights bad, and they were saved before anybody could know. From
    them the next step fails at any rate: going back to them would not help."""
    run = workshop.new_run(checkpoint_every=1, keep_checkpoints=3, evaluate_every=24)
    loop = workshop.loop(run)
    poison(loop, after=once, value=value)
    happened = workshop.finish(loop)
    assert len(of_kind(happened, Warned)) == 1
    assert loop.state is RunState.FINISHED
    assert finite(loop)


def test_an_evaluation_that_is_not_finite_is_no_best_and_spoils_no_file(workshop: Any) -> None:
    run = workshop.new_run(evaluate_every=5, checkpoint_every=5, keep_checkpoints=1)
    loop = workshop.loop(run)
    poison(loop, after=once)
    happened = workshop.advance_to(loop, 10)
    while of_kind(happened, Evaluated)[-1].step != 10:
        happened += loop.advance()
    assert not of_kind(happened, Evaluated)[-1].best
    loop.advance()  # the checkpoint of step 10

    for line in run.metrics_path.read_text().splitlines():
        strict(line)
    for path in checkpoint.listed(run.checkpoints):
        assert checkpoint.read(path)
    workshop.finish(loop)
    assert loop.state in {RunState.FINISHED, RunState.DIVERGED}
    assert finite(loop)


def test_a_loss_beyond_the_range_of_perplexity_is_still_json(workshop: Any) -> None:
    run = workshop.new_run(
        steps=12, optimizer="sgd", learning_rate=1000.0, clip_norm=0, dropout=0.0
    )
    workshop.finish(workshop.loop(run))
    points = [strict(line) for line in run.metrics_path.read_text().splitlines()]
    assert max(point["loss"] for point in points if "loss" in point) > 710


def test_divergence_before_anything_could_be_saved_is_told_as_it_is(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise CheckpointError("The disk is full.")

    monkeypatch.setattr(checkpoint, "write", full)
    loop = workshop.loop(workshop.new_run(evaluate_every=24))
    poison(loop, before=lambda trainer: trainer.step_count == 2)
    happened = workshop.finish(loop)
    assert loop.state is RunState.DIVERGED
    assert "second time" not in of_kind(happened, Finished)[0].reason


# --- Damaged and foreign checkpoints ------------------------------------------------------------


def damage(path: Path) -> None:
    data = bytearray((path / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "model.safetensors").write_bytes(data)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_it_goes_on_from_the_newest_whole_one_and_keeps_what_it_writes(
    workshop: Any, keep: int
) -> None:
    run = workshop.new_run(evaluate_every=12, checkpoint_every=24, keep_checkpoints=keep)
    loop = workshop.loop(run)
    for step in (14, 16, 18):
        workshop.advance_to(loop, step)
        loop.save()
    loop.close()
    whole, *damaged = checkpoint.listed(run.checkpoints)  # the best one, of step 12, and the last
    for path in damaged:
        damage(path)

    opened = Run.open(run.path)
    again = TrainingLoop(opened, prepare.trainer_for(opened, torch.device("cpu")))
    warnings = again.restore()
    assert len(warnings) == keep
    for path, warning in zip(reversed(damaged), warnings, strict=True):
        assert str(path) in warning
    assert checkpoint.name_of(again.progress.step) == whole.name
    workshop.advance_to(again, again.progress.step + 1)
    again.save()
    step = again.progress.step
    again.close()

    # A machine that stops now must not lose what was just told to be saved.
    assert workshop.loop(run).progress.step == step


def test_it_comes_to_the_same_after_the_newest_was_damaged(workshop: Any) -> None:
    reference = workshop.trained("undamaged")
    run = workshop.new_run()
    loop = workshop.loop(run)
    workshop.advance_to(loop, 14)
    loop.save()
    loop.close()
    damage(newest(run))
    workshop.finish(workshop.loop(run))
    assert outcome(run) == outcome(reference)


def test_where_none_is_whole_it_says_so(workshop: Any) -> None:
    run = workshop.trained()
    for path in checkpoint.listed(run.checkpoints):
        damage(path)
    with pytest.raises(CheckpointError, match=r"No checkpoint of .* is whole"):
        workshop.loop(run)


def test_a_checkpoint_of_another_network_is_refused(workshop: Any) -> None:
    small, large = workshop.trained("small"), workshop.trained("large", hidden=16)
    shutil.rmtree(small.checkpoints)
    shutil.copytree(large.checkpoints, small.checkpoints)
    with pytest.raises(CheckpointError, match="do not fit this run's network"):
        workshop.loop(small)
