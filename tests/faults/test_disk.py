"""A disk that fails at any write: what was saved stays whole, a person is told, training goes on.

As SQLite tests it: the Nth thing done to the disk fails, for every N, once and from then on,
until a run ends that no failure touched.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import CheckpointError, RunError
from engine.events import Checkpointed, Evaluated, Finished, RunState, Warned
from engine.training import checkpoint, prepare
from engine.training.evaluation import stateful
from engine.training.loop import TrainingLoop
from engine.training.run import Run

SHAPE = {
    "steps": 6,
    "evaluate_every": 3,
    "checkpoint_every": 2,
    "sample_every": 6,
    "keep_checkpoints": 2,
}


class Failures:
    """Counts what is done to the disk; the Nth such thing fails (N = 0: none)."""

    def __init__(self, at: int, for_good: bool) -> None:
        self.at, self.for_good = at, for_good
        self.count = 0
        self.hit = False

    def wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if name == "mkdir" and Path(arguments[0]).is_dir():
                return real(*arguments, **named)  # nothing would be written
            self.count += 1
            if self.at and (self.count == self.at or (self.for_good and self.count > self.at)):
                self.hit = True
                if name == "write":  # a full disk takes a part of the bytes
                    descriptor, data = arguments
                    real(descriptor, bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **named)

        return call


@contextmanager
def failing_disk(at: int, for_good: bool = False) -> Iterator[Failures]:
    failures = Failures(at, for_good)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("mkdir", "write", "fsync", "rename", "replace"):
            patch.setattr(os, name, failures.wrapped(name, getattr(os, name)))
        yield failures


def whole(run: Run) -> list[int]:
    """The steps of the checkpoints; each must be readable."""
    return [
        checkpoint.read(path).manifest.progress.step for path in checkpoint.listed(run.checkpoints)
    ]


def temporary(run: Run) -> list[str]:
    return [entry.name for entry in run.checkpoints.iterdir() if not entry.name.startswith("step-")]


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
def test_a_failure_at_every_write_of_a_run(workshop: Any, for_good: bool) -> None:
    reference = workshop.loop(workshop.new_run("reference", **SHAPE))
    workshop.finish(reference)
    expected = [point for point in reference.run.metrics() if "loss" in point]
    number, tried = 0, 0
    while True:
        number += 1
        run = workshop.new_run(f"{number}", **SHAPE)
        loop = workshop.loop(run)
        there: list[int] = []
        warned = 0
        with failing_disk(number, for_good) as failures:
            while not loop.state.ended:
                before = failures.hit
                happened = loop.advance()
                told = [event for event in happened if isinstance(event, Warned)]
                if failures.hit and not before:
                    saved = any(isinstance(event, Checkpointed) for event in happened)
                    assert told or saved, f"nothing was told of failure {number}"
                    assert all("No space left" in event.message for event in told)
                    # Those that were there stay there; one that was whole but for its name or
                    # its last flush may be there too.
                    assert set(there) <= set(whole(run)), number
                warned += len(told)
                assert temporary(run) == [], number
                there = whole(run)
        assert loop.state is RunState.FINISHED
        if not failures.hit:
            break
        tried += 1
        assert warned <= 1 or for_good
        # Training itself was not touched, and what is on the disk can be gone on from.
        assert [point for point in run.metrics() if "loss" in point] == expected
        loop.close()
        resumed = workshop.loop(run)
        workshop.finish(resumed)
        assert [point for point in run.metrics() if "loss" in point] == expected
        assert 6 in whole(run)
    assert tried > 40
    print(f"{tried} failures tried")


def test_a_failure_at_every_write_of_a_second_save_at_one_step(workshop: Any) -> None:
    """What is replaced is the run's only checkpoint: it must not be lost on the way."""
    number = 0
    while True:
        number += 1
        run = workshop.new_run(f"{number}", evaluate_every=24, checkpoint_every=24)
        loop = workshop.loop(run)
        assert whole(run) == []
        loop.save()
        loop.set_learning_rate(0.001)
        with failing_disk(number) as failures:
            told = loop.save()
        if not failures.hit:
            assert number > 8
            break
        assert isinstance(told[0], Warned | Checkpointed)
        assert set(whole(run)) == {0}, number
        assert temporary(run) == [], number


def test_after_a_failed_best_the_weights_at_the_end_are_those_that_are_told(workshop: Any) -> None:
    """From the second best on the disk is full, so the best weights that can be kept are the
    first ones, or those in memory: the figures must be of the weights that are there."""
    run = workshop.new_run(
        steps=20, evaluate_every=5, checkpoint_every=5, learning_rate=0.01, dropout=0.0
    )
    loop = workshop.loop(run)
    happened = workshop.advance_to(loop, 6)
    assert [event.best for event in happened if isinstance(event, Evaluated)] == [True]
    with failing_disk(1, for_good=True):
        happened = workshop.finish(loop)
    assert any(event.best for event in happened if isinstance(event, Evaluated))
    (finished,) = [event for event in happened if isinstance(event, Finished)]
    now = list(stateful(loop.trainer.network, run.ids("held_out")))[-1].loss
    assert finished.held_out_loss == pytest.approx(now, abs=1e-6)


def test_a_best_that_could_not_be_saved_does_not_cost_the_one_before(workshop: Any) -> None:
    shape = {
        "steps": 60,
        "evaluate_every": 2,
        "checkpoint_every": 3,
        "keep_checkpoints": 1,
        "learning_rate": 0.2,
        "schedule": "constant",
        "dropout": 0.0,
    }
    happened = workshop.finish(workshop.loop(workshop.new_run("untroubled", **shape)))
    *_, before, best = [e for e in happened if isinstance(e, Evaluated) and e.best]

    run = workshop.new_run(**shape)
    loop = workshop.loop(run)
    workshop.advance_to(loop, best.step)
    with failing_disk(1, for_good=True):
        while best not in (happened := loop.advance()):
            assert loop.trainer.step_count == best.step
    assert any(isinstance(event, Warned) for event in happened)
    workshop.finish(loop)

    kept = run.best_checkpoint([])
    assert kept is not None
    assert kept.manifest.progress.held_out_loss <= before.loss


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_log_that_cannot_be_written_is_warned_of_and_training_goes_on(workshop: Any) -> None:
    """/dev/full takes nothing: a disk that really is full, for the log alone."""
    run = workshop.new_run()
    run.metrics_path.unlink()
    run.metrics_path.symlink_to("/dev/full")
    loop = TrainingLoop(run, prepare.trainer_for(run, torch.device("cpu")))
    try:
        happened = workshop.finish(loop)
    finally:
        with suppress(OSError):
            loop.close()
    assert loop.state is RunState.FINISHED
    assert any(isinstance(event, Warned) for event in happened)


def refusal(workshop: Any, name: str) -> str | None:
    """The sentence that refuses a new run, None where it was made."""
    try:
        workshop.new_run(name, **SHAPE)
    except RunError as error:
        return str(error)
    return None


def test_a_failure_at_every_write_of_a_new_run_is_refused_in_a_sentence(workshop: Any) -> None:
    """And the place can be used once there is room again."""
    number = 0
    while True:
        number += 1
        with failing_disk(number) as failures:
            refused = refusal(workshop, f"{number}")
        if not failures.hit:
            assert refused is None
            break
        assert refused is not None, number
        assert "No space left" in refused
        assert str(workshop.folder / f"{number}") in refused
        if not (workshop.folder / f"{number}" / "run.toml").exists():
            workshop.new_run(f"{number}", **SHAPE)
        assert Run.open(workshop.folder / f"{number}").ids("training").size
    assert number > 15


def test_a_disk_that_cannot_be_written_to_is_named_by_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match=r"step 7 could not be saved .* untouched"):
        checkpoint.write(
            tmp_path / "file" / "checkpoints",
            checkpoint.Progress(step=7),
            {"w": torch.ones(1)},
            {},
            corpus_sha256="",
            vocabulary_digest="",
            seed=0,
        )
